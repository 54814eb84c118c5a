import { expect, test } from "vitest";
import { declareStreams } from "../runtime/jetstream-declare.ts";
import { batchesOf, clicked, openJoiner, publish, REGION, samplesOf, shown, STREAMS } from "./real-joiner.ts";

test("a stream of events that lost its disk and counts from 1 again is joined from there, and what was joined before stays known", async () => {
  await using open = await openJoiner();
  const { system, streams, joined } = open;

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
