// A joiner that reads and writes streams of a real nats-server.
import { type JetStreamClient, jetstream, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { type JoinerConfig, type JoinerProtocol } from "../actors/joiner.ts";
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { type JoinerOptions } from "../protocols/learning/joiner-state.ts";
import { type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { decodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { declareStreams } from "../runtime/jetstream-declare.ts";
import { type LinkConfig } from "../runtime/link.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { startTestNats } from "./real-nats.ts";

export const REGION = "here";
export const STREAMS = ["EVENTS", "SAMPLES"].map((name) => ({ name, subjects: [name.toLowerCase()] }));
/** No window ends while this runs: all samples are of clicks. */
export const OPTIONS: JoinerOptions = {
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

export interface Streams {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
}

export interface RealJoiner extends AsyncDisposable {
  readonly system: ActorSystem;
  readonly streams: Streams;
  /** Waits for a sample. The role is told again and again, as a state manager does: what fails begins without one. */
  readonly joined: (what: string, id: string) => Promise<void>;
}

/** A joiner beside a nats-server of its own, whose streams are empty. */
export async function openJoiner(): Promise<RealJoiner> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startTestNats({ name: REGION }));
  const system = stack.use(await ActorSystem.start({ region: REGION, sink: () => undefined }));
  await startJoiner(system, nats.url);
  const joiner = system.ref<JoinerProtocol>({ region: REGION, kind: "joiner", id: "a" });
  const nc = await connect({ servers: nats.url });
  stack.defer(() => nc.close());
  const streams = { js: jetstream(nc), jsm: await jetstreamManager(nc, { checkAPI: false }) };
  await declareStreams(streams.jsm, STREAMS, []);
  const opened = stack.move();
  return {
    system,
    streams,
    joined: async (what, id) => {
      await eventually(what, async () => {
        joiner.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
        return (await samplesOf(streams)).includes(id) ? true : undefined;
      });
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
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

export async function publish({ js }: Streams, events: readonly FeedbackEvent[]): Promise<number> {
  return (await js.publish("events", JSON.stringify(events))).seq;
}

export async function batchesOf({ jsm }: Streams): Promise<readonly SampleBatch[]> {
  const { state } = await jsm.streams.info("SAMPLES");
  const seqs = Array.from({ length: state.last_seq }, (_, at) => at + 1);
  return Promise.all(
    seqs.map(async (seq) => {
      const message = await jsm.streams.getMessage("SAMPLES", { seq });
      return decodeSampleBatch(message?.data ?? new Uint8Array());
    }),
  );
}

export async function samplesOf(streams: Streams): Promise<readonly string[]> {
  return (await batchesOf(streams)).flatMap(({ samples }) => samples.map(({ id }) => id));
}

export function shown(request: string): FeedbackEvent {
  return { type: "impression", request, user: "7", item: "i", position: 0, time: 1_000, features: {}, dense: {} };
}

export function clicked(request: string): FeedbackEvent {
  return { type: "feedback", kind: "click", request, item: "i", time: 1_000 };
}
