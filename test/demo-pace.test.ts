import { expect, test } from "vitest";
import { type DemoRegion, DEMO_REGIONS, DEMO_TRAINING_REGION } from "../regions/demo/demo-regions.ts";
import { DemoWatch } from "../regions/demo/demo-watch.ts";
import { Pace } from "../regions/demo/pace.ts";
import { servedStatus } from "./demo-status.ts";
import { startDemoServer } from "./demo-server.ts";

const never = new AbortController().signal;

async function settledSoon(promise: Promise<void>): Promise<boolean> {
  // Whatever may go at once goes within a turn of the loop.
  return Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
}

test("Pace lets nothing more go while learning is behind, and goes on when it has caught up", async () => {
  const pace = new Pace();
  pace.look({ behindMs: 5_000, samplesPerSecond: 1_000 });
  const waiting = pace.take(1, never);
  expect(await settledSoon(waiting)).toBe(false);
  pace.look({ behindMs: 0, samplesPerSecond: 1_000 });
  await waiting;
});

test("Pace allows a bounded number of events until the next look, however fast the feed is", async () => {
  const pace = new Pace();
  pace.look({ behindMs: 0, samplesPerSecond: 0 });
  const stop = new AbortController();
  let taken = 0;
  for (;;) {
    const one = pace.take(10, stop.signal);
    if (!(await settledSoon(one))) {
      stop.abort();
      await one; // a stop wakes what waits
      break;
    }
    taken += 10;
  }
  expect(taken).toBeGreaterThan(0);
  expect(taken).toBeLessThanOrEqual(1_000);
});

/** A training region whose backlog the test decides, and two that hold its rows. */
async function watchBacklog(stack: AsyncDisposableStack) {
  const now = { backlog: 0, pending: 0, digest: "same" };
  const regions: DemoRegion[] = [];
  for (const region of DEMO_REGIONS) {
    const training = region === DEMO_TRAINING_REGION;
    const server = stack.use(
      await startDemoServer(() => {
        const waiting = training ? { backlog: now.backlog, pending: now.pending } : {};
        const model = { digest: training ? "same" : now.digest, ...waiting };
        return { status: 200, body: servedStatus(region, { model }) };
      }),
    );
    regions.push({ region, configFile: "", logFile: "", url: server.url });
  }
  return { now, watch: new DemoWatch(regions) };
}

test("DemoWatch says how long ago what is learned now was sent", async () => {
  await using stack = new AsyncDisposableStack();
  const { now, watch } = await watchBacklog(stack);
  // Each look is made at some moment between two: the machine may do something else before and after it.
  const looks: { from: number; to: number }[] = [];
  async function look(messages: number): Promise<number> {
    const from = performance.now();
    await watch.look({ sent: { events: messages, messages }, signal: never });
    looks.push({ from, to: performance.now() });
    return watch.learning.behindMs;
  }
  function expectSince(behindMs: number, [earlier, later]: typeof looks): void {
    expect(behindMs).toBeGreaterThanOrEqual((later?.from ?? 0) - (earlier?.to ?? 0));
    expect(behindMs).toBeLessThanOrEqual((later?.to ?? 0) - (earlier?.from ?? 0));
  }
  expect(await look(10)).toBe(0);
  now.backlog = 12; // 8 of the 20 are learned: not all that the first look had sent
  expectSince(await look(20), looks.slice(0, 2));
  now.backlog = 5; // 25 of 30: all of the second look
  expectSince(await look(30), looks.slice(1, 3));
  now.backlog = 0;
  expect(await look(30)).toBe(0);
});

test("DemoWatch holds nothing for settled while messages or impressions wait, or a region's rows differ", async () => {
  await using stack = new AsyncDisposableStack();
  const { now, watch } = await watchBacklog(stack);
  async function settled(state: typeof now): Promise<boolean> {
    Object.assign(now, state);
    await watch.look({ sent: { events: 1, messages: 1 }, signal: never });
    return watch.settled;
  }
  expect(await settled({ backlog: 1, pending: 0, digest: "same" })).toBe(false);
  expect(await settled({ backlog: 0, pending: 1, digest: "same" })).toBe(false);
  expect(await settled({ backlog: 0, pending: 0, digest: "other" })).toBe(false);
  expect(await settled({ backlog: 0, pending: 0, digest: "same" })).toBe(true);
});
