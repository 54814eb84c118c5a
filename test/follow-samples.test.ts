import { jetstream, jetstreamManager, type JetStreamClient } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, test, vi } from "vitest";
import { createSampleFollower } from "../actors/follow-samples.ts";
import { encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { type ActorRef, type Logger } from "../runtime/actor.ts";
import { declareStreams } from "../runtime/jetstream-declare.ts";
import { linkAddress, type LinkConfig } from "../runtime/link.ts";
import { type LinkProtocol } from "../runtime/link-protocol.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { ActorSystem } from "../runtime/system.ts";
import { startTestNats } from "./real-nats.ts";

const link = new URL("../runtime/link.ts", import.meta.url);
const SAMPLES = { name: "SAMPLES", subjects: ["samples"] };

test("a copy of another region's samples that is to end takes nothing of an answer that comes later, and looks at what it holds anew", async () => {
  await using own = await startTestNats({ name: "here" });
  await using other = await startTestNats({ name: "there" });
  await using person = await connect({ servers: other.url });
  await declareStreams(await jetstreamManager(person, { checkAPI: false }), [SAMPLES], []);
  const there = jetstream(person);
  await using system = await ActorSystem.start({ region: "here", sink: () => undefined });
  const config: LinkConfig = {
    region: "here",
    node: "a",
    own: { url: own.url },
    peers: [{ region: "there", url: other.url }],
    streams: [SAMPLES],
    buckets: [],
  };
  const gateway = { module: link, export: "openLink", config };
  await system.worker({ name: "link", permissions: { net: true }, actors: [], gateway });
  await vi.waitFor(async () => {
    const links = await system.ref<LinkProtocol>(linkAddress("here", "a")).ask("links", undefined, { signal: soon() });
    expect(links.filter(({ state }) => state === "connected")).toHaveLength(2);
  }, 10_000);
  const stream = system.ref<StreamProtocol>({ region: "here", kind: "stream", id: "a" });
  const warnings: string[] = [];
  const follower = createSampleFollower(
    { region: "here", holdings: [] },
    {
      stream,
      log: logTo(warnings),
      deadline: (ms) => AbortSignal.timeout(ms),
      shard: () => {
        throw new RangeError("There is no shard here");
      },
    },
  );

  for (let seq = 1; seq <= 3; seq += 1) await publish(there, seq);
  while ((await held(stream)) < 3) await follower.follow("there");

  // Its turn waits for the fourth message, which comes after it was told to end.
  const turn = follower.follow("there");
  turn.catch(() => undefined); // looked at below
  expect(follower.stop()).toBe(false);
  await publish(there, 4);
  await expect(turn).rejects.toThrow("without an answer");
  expect(follower.stop()).toBe(true);
  expect(await held(stream)).toBe(3);

  // It was not taken over after all, and later it was: between two turns, none of which says so.
  while ((await held(stream)) < 4) await follower.follow("there");
  expect(follower.stop()).toBe(true);
  await stream.ask("append", { stream: "SAMPLES", body: message(9), expectedLastSequence: 4 }, { signal: soon() });
  await publish(there, 5);
  while (warnings.length === 0) await follower.follow("there");
  while ((await held(stream)) < 5) await follower.follow("there");
  expect(warnings).toEqual(["The copy of the samples begins anew"]);
  const { message: last } = await stream.ask("last", { region: "here", stream: "SAMPLES" }, { signal: soon() });
  expect(last).toMatchObject({ seq: 5, body: message(5) });
}, 60_000);

function message(seq: number): Uint8Array {
  return encodeSampleBatch({ keepFrom: seq, positions: [], samples: [] });
}

async function publish(there: JetStreamClient, seq: number): Promise<void> {
  expect(await there.publish("samples", message(seq))).toMatchObject({ seq });
}

async function held(stream: ActorRef<StreamProtocol>): Promise<number> {
  const { message: last } = await stream.ask("last", { region: "here", stream: "SAMPLES" }, { signal: soon() });
  return last?.seq ?? 0;
}

function logTo(warnings: string[]): Logger {
  function nothing(): void {}
  return { debug: nothing, info: nothing, error: nothing, warn: (text) => void warnings.push(text) };
}

function soon(): AbortSignal {
  return AbortSignal.timeout(10_000);
}
