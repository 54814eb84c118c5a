import { keyOf } from "../protocols/keys.ts";
import { firstBroken, GRADIENT_NORM_MAX, isSurelyBelow, type Refusal } from "../protocols/learning/guard.ts";
import { type learn } from "../protocols/learning/learner.ts";
import { type SampleColumns, samplesOf } from "../protocols/learning/sample-frame.ts";
import { keyTexts } from "../protocols/learning/training-batch.ts";
import { firstDenseTable, type ModelLayout } from "../protocols/model-layout.ts";

/** A shard does not stand where the trainer left it: one of them restarted. */
export class ShardElsewhere extends Error {
  override readonly name = "ShardElsewhere";

  constructor(shard: number, applied: number) {
    super(`Cannot push to shard ${shard}: it stands at ${applied}, so it or this trainer restarted`);
  }
}

/** A gradient that must not enter the model, and where it comes from. */
export interface BrokenGradient {
  readonly reason: Refusal;
  readonly table: number;
  readonly key: bigint;
}

/** The first of a batch's gradients that must not enter the model, or undefined. `rowSquares` is as `learn` gives it: where it is small nothing is wrong with any row of a table. */
export function brokenGradient(
  layout: ModelLayout,
  { gradients, rowSquares }: Pick<ReturnType<typeof learn>, "gradients" | "rowSquares">,
): BrokenGradient | undefined {
  const first = isSurelyBelow(rowSquares, GRADIENT_NORM_MAX) ? firstDenseTable(layout) : 0;
  for (const list of gradients) {
    for (const part of list) {
      if (part.table < first) continue;
      // Row by row, as the shards do: a row that one of them refuses must reach none.
      const broken = firstBroken(part.gradients, { rows: part.keys.length, normMax: GRADIENT_NORM_MAX });
      if (broken !== undefined) {
        return { reason: broken.reason, table: part.table, key: part.keys[broken.row] ?? 0n };
      }
    }
  }
  return undefined;
}

/** A broken gradient's origin in words: its table, its key as applications call it, and the samples that it was computed from. */
export function originOf(
  { table, key }: BrokenGradient,
  { layout, parts }: { readonly layout: ModelLayout; readonly parts: readonly SampleColumns[] },
): Readonly<Record<string, string>> {
  const declared = layout.model.tables[table - 1];
  const name = layout.tables[table]?.name ?? String(table);
  const texts = declared === undefined ? [] : parts.flatMap((part) => keyTexts(layout.model, declared, part));
  const samples = parts.flatMap(samplesOf);
  // A dense group is computed from all samples: no one of them is to blame before the others.
  const of =
    declared === undefined ? samples : samples.filter((_, at) => texts[at]?.some((text) => keyOf(text) === key));
  const ids = of.slice(0, SAMPLES_NAMED).map(({ id, source }) => `${id} of ${source}`);
  const text = texts.flat().find((each) => keyOf(each) === key) ?? "";
  return { table: name, key: text, samplesOfIt: `${of.length}: ${ids.join(", ")}` };
}

const SAMPLES_NAMED = 3;
