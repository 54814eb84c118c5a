import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { type JoinerProtocol } from "../actors/joiner.ts";
import { declareStreams } from "../runtime/jetstream-declare.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { batchesOf, clicked, publish, REGION, samplesOf, shown, startJoiner, STREAMS } from "./real-joiner.ts";
import { startTestNats } from "./real-nats.ts";

test("a stream of events that lost its disk and counts from 1 again is joined from there, and what was joined before stays known", async () => {
  await using nats = await startTestNats({ name: REGION });
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  await startJoiner(system, nats.url);
  const joiner = system.ref<JoinerProtocol>({ region: REGION, kind: "joiner", id: "a" });
  const nc = await connect({ servers: nats.url });
  await using _ = { [Symbol.asyncDispose]: () => nc.close() };
  const streams = { js: jetstream(nc), jsm: await jetstreamManager(nc, { checkAPI: false }) };
  async function joined(what: string, id: string): Promise<void> {
    await eventually(what, async () => {
      joiner.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
      return (await samplesOf(streams)).includes(id) ? true : undefined;
    });
  }

  await declareStreams(streams.jsm, STREAMS, []);
  for (const request of ["r1", "r2", "r3"]) await publish(streams, [shown(request), clicked(request)]);
  await joined("what came before is joined", "r3:i:1");
  await streams.jsm.streams.delete("EVENTS");
  await declareStreams(streams.jsm, STREAMS, []);
  await publish(streams, [shown("r4"), clicked("r4"), shown("r2"), clicked("r2")]);
  await joined("what came after is joined", "r4:i:1");
  expect(await samplesOf(streams)).toEqual(["r1:i:1", "r2:i:1", "r3:i:1", "r4:i:1"]);
  const last = (await batchesOf(streams)).at(-1);
  expect(last?.positions).toMatchObject([{ source: REGION, applied: 1, needed: 2 }]);
  expect(await system.metricsText()).toContain(`freshet_events_anew_total{source="${REGION}"} 1`);
}, 60_000);
