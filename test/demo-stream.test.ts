import { join } from "node:path";
import { expect, test } from "vitest";
import * as z from "zod";
import { openData } from "../regions/data/open-data.ts";
import { Replay } from "../regions/data/replay.ts";
import { EventSender, EventsNotTaken } from "../regions/demo/event-sender.ts";
import { type Feed, replayFeed } from "../regions/demo/feed.ts";
import { regionOf } from "../regions/demo/region-of.ts";
import { streamFeed, type StreamProgress } from "../regions/demo/stream.ts";
import { type Answer, startDemoServer } from "./demo-server.ts";

const GLOBO = join(import.meta.dirname, "fixtures", "data", "globo");
const bodySchema = z.object({ events: z.array(z.object({ request: z.string(), item: z.string() }).loose()) });
const never = new AbortController().signal;

interface Received {
  readonly keys: (string | undefined)[];
  readonly batches: z.output<typeof bodySchema>["events"][];
}

async function startTaker(answer: (attempt: number, events: number) => Answer | undefined) {
  const received: Received = { keys: [], batches: [] };
  let attempts = 0;
  const server = await startDemoServer((request, body) => {
    const { events } = bodySchema.parse(body);
    const given = answer(attempts++, events.length);
    received.keys.push(String(request.headers["idempotency-key"]));
    if (given?.status === 202) received.batches.push(events);
    return given;
  });
  return { ...server, received };
}

function click(index: number) {
  return { type: "feedback", kind: "click", request: `r${index}`, item: "1", time: index } as const;
}

test("EventSender sends everything once more after 503, 429 and a cut connection, in order and under the same key", async () => {
  const answers: readonly (Answer | undefined)[] = [
    { status: 503, headers: { "retry-after": "0" } },
    { status: 429, headers: { "retry-after": "0.01" } },
    undefined,
  ];
  await using taker = await startTaker((attempt) => (attempt < answers.length ? answers[attempt] : { status: 202 }));
  const sender = new EventSender({ url: taker.url, signal: never });
  for (let index = 0; index < 1_200; index++) sender.push(click(index));
  await sender.flush();
  expect(taker.received.batches.flat().map(({ request }) => request)).toEqual(
    Array.from({ length: 1_200 }, (_, index) => `r${index}`),
  );
  expect(sender.sent).toBe(1_200);
  expect(sender.retries).toBe(3);
  expect(new Set(taker.received.keys.slice(0, 4)).size).toBe(1);
  expect(new Set(taker.received.keys).size).toBe(taker.received.keys.length - 3);
});

test("EventSender halves what is too large, and gives up with the answer on what is refused", async () => {
  await using small = await startTaker((_, events) => ({ status: events > 100 ? 413 : 202 }));
  const sender = new EventSender({ url: small.url, signal: never });
  for (let index = 0; index < 450; index++) sender.push(click(index));
  await sender.flush();
  expect(small.received.batches.flat().map(({ request }) => request)).toEqual(
    Array.from({ length: 450 }, (_, index) => `r${index}`),
  );

  await using refusing = await startTaker(() => ({ status: 400, body: { why: "no such thing" } }));
  const refused = new EventSender({ url: refusing.url, signal: never });
  refused.push(click(1));
  const failure: unknown = await refused.flush().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(EventsNotTaken);
  expect(String(failure)).toContain("400");
  await expect(refused.room()).rejects.toBe(failure);
});

test("EventSender gives up on a region that is away for too long, and holds a bounded number meanwhile", async () => {
  const gone = await startTaker(() => ({ status: 202 }));
  await gone[Symbol.asyncDispose]();
  const sender = new EventSender({ url: gone.url, signal: never, outageMsMax: 150 });
  let pushed = 0;
  await expect(
    (async () => {
      for (; pushed < 100_000; pushed++) {
        sender.push(click(pushed));
        if (sender.full) await sender.room();
      }
    })(),
  ).rejects.toBeInstanceOf(EventsNotTaken);
  expect(pushed).toBeLessThan(5_000);
});

test("EventSender stops at its signal, and whoever waits goes on", async () => {
  const stop = new AbortController();
  await using busy = await startTaker(() => {
    stop.abort();
    return { status: 503, headers: { "retry-after": "30" } };
  });
  const sender = new EventSender({ url: busy.url, signal: stop.signal });
  for (let index = 0; index < 5_000; index++) sender.push(click(index));
  await sender.room();
  await sender.flush();
  expect(sender.sent).toBe(0);
});

interface Streamed {
  readonly perRegion: readonly string[][];
  readonly progress: StreamProgress;
}

async function streamTo(feed: Feed, options: { readonly stopAfter?: number } = {}): Promise<Streamed> {
  const stop = new AbortController();
  await using servers = new AsyncDisposableStack();
  const takers = [];
  for (let index = 0; index < 3; index++) takers.push(servers.use(await startTaker(() => ({ status: 202 }))));
  async function* batches() {
    for await (const batch of feed.batches(stop.signal)) {
      yield batch;
      if (batch.requests >= (options.stopAfter ?? Infinity)) stop.abort();
    }
  }
  const senders = takers.map(({ url }) => new EventSender({ url, signal: never }));
  const progress: StreamProgress = { events: 0, requests: 0 };
  await streamFeed({ ...feed, batches }, { senders, speed: undefined, signal: stop.signal, progress });
  const perRegion = takers.map(({ received }) =>
    received.batches.flat().map(({ request, item }) => `${request} ${item}`),
  );
  return { perRegion, progress };
}

async function expectedPerRegion(): Promise<readonly string[][]> {
  const data = await openData(GLOBO);
  const replay = new Replay({ seed: 1, popularityMs: data.popularityMs, featuresOf: data.featuresOf });
  const regions: string[][] = [[], [], []];
  for await (const clicks of data.clicks()) {
    for (const event of clicks.flatMap((each) => replay.push(each))) {
      regions[regionOf(event.user, 3)]?.push(`${event.event.request} ${event.event.item}`);
    }
  }
  for (const event of replay.end()) {
    regions[regionOf(event.user, 3)]?.push(`${event.event.request} ${event.event.item}`);
  }
  return regions;
}

test("streamFeed() brings each event of a replay to its user's region, in order, and ends acknowledged", async () => {
  const { perRegion, progress } = await streamTo(replayFeed(await openData(GLOBO), { seed: 1, from: 0 }));
  const expected = await expectedPerRegion();
  expect(perRegion).toEqual(expected);
  expect(progress.events).toBe(expected.flat().length);
  expect(expected.every((events) => events.length > 0)).toBe(true);
});

test("a replay that goes on from where one stopped brings the rest, and both together bring everything", async () => {
  const first = await streamTo(replayFeed(await openData(GLOBO), { seed: 1, from: 0 }), { stopAfter: 40 });
  const rest = await streamTo(replayFeed(await openData(GLOBO), { seed: 1, from: first.progress.requests }));
  expect(first.progress.requests).toBe(40);
  const expected = await expectedPerRegion();
  const both = new Set([...first.perRegion.flat(), ...rest.perRegion.flat()]);
  expect(both).toEqual(new Set(expected.flat()));
});
