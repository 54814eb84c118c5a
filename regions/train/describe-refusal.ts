import { type RefusedBatch } from "../../protocols/learning/local-trainer.ts";
import { type ModelLayout } from "../../protocols/model-layout.ts";

const REASONS: Readonly<Record<RefusedBatch["reason"], string>> = {
  nan: "holds a NaN",
  infinity: "holds an infinity",
  norm: "is too large",
  loss: "",
};

/** A refused batch in words: what is wrong with which gradient, and where the sample stands whose it is. `place` says that of a sample by its number. */
export function describeRefusal(
  { tables, model }: ModelLayout,
  { refused, place }: { readonly refused: RefusedBatch; readonly place: (sample: number, column: string) => string },
): string {
  const { reason, table, sample, feature } = refused;
  if (table === undefined) return "a batch was not learned from: its loss is no finite number";
  const name = tables[table]?.name ?? String(table);
  const column = model.tables[table - 1]?.key ?? "";
  const of =
    sample === undefined
      ? ""
      : feature === undefined
        ? `, for ${place(sample, column)}`
        : `; the batch's largest number is ${place(sample, feature)}`;
  return `a batch was not learned from: the gradient of ${model.tables[table - 1] === undefined ? name : `a row of table ${name}`} ${REASONS[reason]}${of}`;
}
