import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, test, vi } from "vitest";
import { type LinkConfig } from "../runtime/link.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { ActorSystem } from "../runtime/system.ts";
import { startTestNats } from "./real-nats.ts";

const link = new URL("../runtime/link.ts", import.meta.url);

function soon(): AbortSignal {
  return AbortSignal.timeout(5000);
}

test("a stream whose writes nothing answers is named, until one is stored or nobody tries any more", async () => {
  await using eu = await startTestNats({ name: "eu" });
  await using here = await ActorSystem.start({ region: "eu", sink: () => undefined });
  const config: LinkConfig = {
    region: "eu",
    node: "a",
    own: { url: eu.url },
    peers: [],
    streams: [{ name: "EVENTS", subjects: ["events"] }],
    buckets: [],
  };
  const gateway = { module: link, export: "openLink", config };
  await here.worker({ name: "link", permissions: { net: true }, actors: [], gateway });
  const streams = here.ref<StreamProtocol>({ region: "eu", kind: "stream", id: "a" });
  async function append(expectedLastSequence: number): Promise<string> {
    return streams
      .ask("append", { stream: "EVENTS", body: Uint8Array.of(1), expectedLastSequence }, { signal: soon() })
      .then(({ kind }) => kind, String);
  }
  async function unanswered(): Promise<readonly string[]> {
    return (await streams.ask("unanswered", {}, { signal: soon() })).streams;
  }
  await vi.waitFor(async () => expect(await append(0)).toBe("appended"), 10_000);
  await using person = await connect({ servers: eu.url });
  const jsm = await jetstreamManager(person);
  // Nobody listens to its subject any more; the stream itself, as after a full disk, answers all else.
  await jsm.streams.update("EVENTS", { subjects: ["elsewhere"] });
  expect(await append(1)).toContain("Cannot ask");
  expect(await unanswered()).toEqual([]);
  expect(await append(1)).toContain("Cannot ask");
  expect(await unanswered()).toEqual(["EVENTS"]);
  await jsm.streams.update("EVENTS", { subjects: ["events"] });
  // A conflict is no sign that anything can be stored.
  expect(await append(0)).toBe("conflict");
  expect(await unanswered()).toEqual(["EVENTS"]);
  expect(await append(1)).toBe("appended");
  expect(await unanswered()).toEqual([]);
  await jsm.streams.update("EVENTS", { subjects: ["elsewhere"] });
  await append(2);
  await append(2);
  expect(await unanswered()).toEqual(["EVENTS"]);
  // Whoever wrote has given up, as a node that another has taken the leases from: no write will ever tell that all is well.
  await vi.waitFor(async () => expect(await unanswered()).toEqual([]), 40_000);
}, 120_000);
