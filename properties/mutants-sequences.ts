// Planted bugs in tables over lists. The laws of lists find them.
import { type Mutant } from "./mutant.ts";

const POOLING = "protocols/compute/pooling.ts";
const KERNELS = "runtime/compute/kernel-pooling.ts";
const BATCH = "protocols/learning/training-batch.ts";

export const SEQUENCE_MUTANTS: readonly Mutant[] = [
  { name: "mean-is-not-divided", file: POOLING, edits: [['if (list?.pooling !== "mean") return;', "return;"]] },
  {
    name: "gradient-of-a-mean-is-not-divided",
    file: POOLING,
    edits: [['list?.pooling === "mean" ? Math.fround(by / (to - from)) : by', "by"]],
  },
  {
    name: "an-empty-list-keeps-what-was-there",
    file: POOLING,
    edits: [["    out.fill(0, 0, dim);\n    return;", "    return;"]],
  },
  {
    name: "gradient-of-the-largest-goes-to-the-first",
    file: POOLING,
    edits: [["if (at < 0 || isAbove(", "if (at < 0 && isAbove("]],
  },
  { name: "kernels-take-a-mean-for-a-sum", file: KERNELS, edits: [["mean: 1", "mean: 0"]] },
  {
    name: "kernels-sum-into-another-table",
    file: KERNELS,
    edits: [["layout.deltas(EMBEDDINGS).address + 4 * table * dim", "layout.deltas(EMBEDDINGS).address"]],
  },
  {
    name: "kernels-say-that-gradients-are-nothing",
    file: KERNELS,
    edits: [["places.sums, rows.length), squares }", "places.sums, rows.length), squares: 0 }"]],
  },
  { name: "room-is-not-looked-at", file: KERNELS, edits: [["|| entries > places.entriesMax", ""]] },
  {
    name: "first-entries-in-place-of-the-last",
    file: BATCH,
    edits: [
      [
        "entry = Math.max(0, begins.length - last); entry < begins.length;",
        "entry = 0; entry < Math.min(last, begins.length);",
      ],
    ],
  },
  {
    name: "an-empty-list-has-an-empty-entry",
    file: BATCH,
    edits: [["length === 0 ? [] : [0]", "[0]"]],
  },
  {
    name: "rows-stay-where-they-were-met",
    file: BATCH,
    edits: [["rowOf[at] = placeOf[rowOf[at] ?? 0] ?? 0;", "rowOf[at] = rowOf[at] ?? 0;"]],
  },
];
