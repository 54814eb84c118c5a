import { expect, test } from "vitest";
import { nextBatch, recall, resumeJoiner, takeMessage } from "../protocols/learning/joiner-resume.ts";
import { type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { eventually } from "./e2e-support.ts";
import {
  batchesOf,
  clicked,
  openJoiner,
  OPTIONS,
  publish,
  REGION,
  samplesOf,
  shown,
  type Streams,
} from "./real-joiner.ts";

test("a joiner that finds that another appended starts again from what the stream says: nothing is lost, and nothing published twice", async () => {
  await using open = await openJoiner();
  const { system, streams, joined } = open;

  async function failures(): Promise<number> {
    const ofJoiners = 'freshet_actor_failures_total{kind="joiner"} ';
    const line = (await system.metricsText()).split("\n").find((each) => each.startsWith(ofJoiners));
    return Number(line?.slice(ofJoiners.length) ?? 0);
  }

  const first = [...["r1", "r2", "r3", "r4"].map(shown), clicked("r1")];
  const second = [clicked("r2")];
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
