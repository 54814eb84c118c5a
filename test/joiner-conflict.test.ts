import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { type JoinerConfig, type JoinerProtocol } from "../actors/joiner.ts";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { nextBatch, recall, resumeJoiner, takeMessage } from "../protocols/learning/joiner-resume.ts";
import { type JoinerOptions } from "../protocols/learning/joiner-state.ts";
import { type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { decodeSampleBatch, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { declareStreams } from "../runtime/jetstream-declare.ts";
import { type LinkConfig } from "../runtime/link.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { startTestNats } from "./real-nats.ts";

const REGION = "here";
const STREAMS = ["EVENTS", "SAMPLES"].map((name) => ({ name, subjects: [name.toLowerCase()] }));
/** No window ends while this runs: all samples are of clicks. */
const OPTIONS: JoinerOptions = {
  windowMs: 3_600_000,
  latenessMs: 0,
  idleAfterMs: 3_600_000,
  correctionMs: 0,
  futureMsMax: 60_000,
  memoryBytesMax: 1e9,
  heldMax: 100,
  scatterMsMax: 0,
  scatteredMax: 100,
};

test("a joiner that finds that another appended starts again from what the stream says: nothing is lost, and nothing published twice", async () => {
  await using nats = await startTestNats({ name: REGION });
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  await startJoiner(system, nats.url);
  const joiner = system.ref<JoinerProtocol>({ region: REGION, kind: "joiner", id: "a" });
  const nc = await connect({ servers: nats.url });
  await using _ = { [Symbol.asyncDispose]: () => nc.close() };
  const streams = { js: jetstream(nc), jsm: await jetstreamManager(nc, { checkAPI: false }) };

  /** Told again and again, as a state manager does: what fails begins without a role. */
  async function joined(what: string, id: string): Promise<void> {
    await eventually(what, async () => {
      joiner.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
      return (await samplesOf(streams)).includes(id) ? true : undefined;
    });
  }
  async function failures(): Promise<number> {
    const ofJoiners = 'freshet_actor_failures_total{kind="joiner"} ';
    const line = (await system.metricsText()).split("\n").find((each) => each.startsWith(ofJoiners));
    return Number(line?.slice(ofJoiners.length) ?? 0);
  }

  const first = [...["r1", "r2", "r3", "r4"].map(shown), clicked("r1")];
  const second = [clicked("r2")];
  await declareStreams(streams.jsm, STREAMS, []);
  await publish(streams, first);
  await joined("the first click is joined", "r1:i:1");

  // Another joiner has taken the second message before this one sees it, and published what it gives.
  await appendAsAnother(streams, (last, before) => {
    const other = resumeJoiner(OPTIONS, { sources: [REGION], last });
    for (const [at, batch] of before.entries()) recall(other, at + 1, batch);
    for (const [at, events] of [first, second].entries()) {
      takeMessage(other, { source: REGION, seq: at + 1, storedMs: 1_000, events }, 0);
    }
    return nextBatch(other);
  });
  await publish(streams, second);
  await eventually("it has noticed", async () => ((await failures()) === 1 ? true : undefined));
  await publish(streams, [clicked("r3")]);
  await joined("the third click is joined", "r3:i:1");

  // Another says only where it stands, which is no further than this one.
  await appendAsAnother(streams, (last) => ({ ...last, samples: [] }));
  await publish(streams, [clicked("r4")]);
  await joined("the fourth click is joined", "r4:i:1");
  expect((await samplesOf(streams)).toSorted()).toEqual(["r1:i:1", "r2:i:1", "r3:i:1", "r4:i:1"]);
  expect(await failures()).toBe(2);
}, 60_000);

interface Streams {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
}

async function startJoiner(system: ActorSystem, url: string): Promise<void> {
  const link: LinkConfig = { region: REGION, node: "a", own: { url }, peers: [], streams: STREAMS, buckets: [] };
  const gateway = { module: new URL("../runtime/link.ts", import.meta.url), export: "openLink", config: link };
  await system.worker({ name: "link", permissions: { net: true }, actors: [], gateway });
  const config: JoinerConfig = {
    region: REGION,
    stream: { region: REGION, kind: "stream", id: "a" },
    sources: [REGION],
    positive: ["click"],
    trainers: [],
    options: OPTIONS,
  };
  const module = new URL("../actors/joiner.ts", import.meta.url);
  const restart = { restartsMax: 10, withinMs: 60_000, delayMinMs: 10, delayMaxMs: 10 };
  await system.worker({ name: "control", actors: [{ module, export: "joiner", id: "a", config, restart }] });
}

async function publish({ js }: Streams, events: readonly FeedbackEvent[]): Promise<number> {
  return (await js.publish("events", JSON.stringify(events))).seq;
}

/** Appends what follows from all that is in the stream of samples, if nobody else does meanwhile. */
async function appendAsAnother(
  streams: Streams,
  make: (last: SampleBatch, all: readonly SampleBatch[]) => SampleBatch | undefined,
): Promise<void> {
  await eventually("another joiner appended", async () => {
    const all = await batchesOf(streams);
    const [last] = all.slice(-1);
    const batch = last && make(last, all);
    if (batch === undefined) return undefined;
    const ifLast = { expect: { lastSubjectSequence: all.length } };
    return streams.js.publish("samples", encodeSampleBatch(batch), ifLast).catch(() => undefined);
  });
}

async function batchesOf({ jsm }: Streams): Promise<readonly SampleBatch[]> {
  const { state } = await jsm.streams.info("SAMPLES");
  const seqs = Array.from({ length: state.last_seq }, (_, at) => at + 1);
  return Promise.all(
    seqs.map(async (seq) => {
      const message = await jsm.streams.getMessage("SAMPLES", { seq });
      return decodeSampleBatch(message?.data ?? new Uint8Array());
    }),
  );
}

async function samplesOf(streams: Streams): Promise<readonly string[]> {
  return (await batchesOf(streams)).flatMap(({ samples }) => samples.map(({ id }) => id));
}

function shown(request: string): FeedbackEvent {
  return { type: "impression", request, user: "7", item: "i", position: 0, time: 1_000, features: {}, dense: {} };
}

function clicked(request: string): FeedbackEvent {
  return { type: "feedback", kind: "click", request, item: "i", time: 1_000 };
}
