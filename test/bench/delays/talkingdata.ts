import { join } from "node:path";
import { type FeedbackEvent } from "../../../protocols/feedback.ts";
import { createJoiner, type JoinerCounts } from "../../../protocols/learning/joiner-state.ts";
import { step, tick } from "../../../protocols/learning/joiner.ts";
import { labelWeight } from "../../../protocols/learning/label-weights.ts";
import { emptyReport } from "../../../regions/data/data-report.ts";
import { readCsv } from "../../../regions/data/read-csv.ts";

/** A click on an advertisement, and the install that followed. Milliseconds. */
export interface AdClick {
  readonly clickMs: number;
  readonly installMs: number | undefined;
}

/** The clicks of `train_sample.csv.gz` in a folder, in time order. */
export async function readTalkingData(folder: string): Promise<readonly AdClick[]> {
  const clicks: AdClick[] = [];
  const columns = ["click_time", "attributed_time", "is_attributed"];
  const file = join(folder, "train_sample.csv.gz");
  for await (const rows of readCsv(file, { columns, report: emptyReport() })) {
    for (const { fields } of rows) {
      const [clicked = "", attributed = "", is = ""] = fields;
      const clickMs = Date.parse(`${clicked.replace(" ", "T")}Z`);
      const installMs = is === "1" ? Date.parse(`${attributed.replace(" ", "T")}Z`) : undefined;
      if (Number.isFinite(clickMs)) clicks.push({ clickMs, installMs });
    }
  }
  return clicks.sort((a, b) => a.clickMs - b.clickMs);
}

/** The seconds from click to install. */
export function delaysOf(clicks: readonly AdClick[]): number[] {
  return clicks.flatMap(({ clickMs, installMs }) => (installMs === undefined ? [] : [(installMs - clickMs) / 1000]));
}

/** The clicks through the joiner: what it counted, and the rate of installs by its samples, weighed and not. */
export function joinClicks(
  clicks: readonly AdClick[],
  emit: { readonly windowMs: number; readonly emitAfterShare?: number },
): { readonly counts: JoinerCounts; readonly weighed: number; readonly plain: number } {
  const { windowMs } = emit;
  const joiner = createJoiner({
    ...emit,
    latenessMs: 0,
    idleAfterMs: 1000,
    correctionMs: 86_400_000 - windowMs,
    futureMsMax: 1e12,
    memoryBytesMax: 1e9,
    heldMax: 1000,
    scatterMsMax: 0,
    scatteredMax: 0,
  });
  const events = clicks.flatMap(({ clickMs, installMs }, at): FeedbackEvent[] => {
    const request = String(at);
    const shown = { request, user: "7", item: "1", position: 0, time: clickMs, features: {}, dense: {} };
    const impression = { type: "impression", ...shown } as const;
    if (installMs === undefined) return [impression];
    return [impression, { type: "feedback", kind: "install", request, item: "1", time: installMs }];
  });
  events.sort((a, b) => a.time - b.time);
  const samples = events.flatMap((event, at) =>
    step(joiner, { source: "talkingdata", sequence: at + 1, event }, event.time),
  );
  samples.push(...tick(joiner, 1e15));
  const positives = samples.filter(({ label }) => label === 1).length;
  // The rate that weighs itself: each negative by the rate found so far.
  let weighed = positives / samples.length;
  for (let round = 0; round < 20; round += 1) {
    let weight = 0;
    for (const { label, late } of samples) weight += labelWeight(weighed, { label, late, kept: 1 });
    weighed = positives / weight;
  }
  return { counts: joiner.counts, weighed, plain: positives / samples.length };
}
