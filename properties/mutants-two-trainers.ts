// Planted bugs by which one trainer's step is lost to another's. two-trainers-laws.ts finds them.
import { type Mutant } from "./mutant.ts";

export const TWO_TRAINERS_MUTANTS: readonly Mutant[] = [
  {
    name: "reference-steps-the-row-as-it-was-read",
    file: "protocols/sync/gradient-steps.ts",
    edits: [
      [
        "before.set(floats);",
        "if (delay !== undefined && !isNew) floats.set(delay.valuesRead.subarray(index * dim, (index + 1) * dim));\n    before.set(floats);",
      ],
    ],
  },
  {
    name: "table-steps-the-row-as-it-was-read",
    file: "runtime/compute/table/learn-rows.ts",
    edits: [
      [
        "let missing = 0;",
        "for (let at = 0; at < count; at += 1) {\n" +
          "    const row = columns.rows.view[at] ?? NO_ROW;\n" +
          "    if (row !== NO_ROW) code.storeRow(row, firstT - 0.5, writer, 0, columns.read.at + 4 * dim * at, 0);\n" +
          "  }\n  let missing = 0;",
      ],
    ],
  },
  {
    name: "second-gradient-of-a-row-is-left-out",
    file: "runtime/compute/table/learn-rows.ts",
    edits: [
      [
        "const piece = learnPiece(table, request, { from, count, firstT: firstT + stamped, optimizer, isFetched });",
        "const seen = new Set<bigint>();\n" +
          "      for (let at = from; at < to; at += 1) {\n" +
          "        if (seen.has(keys[at] ?? 0n)) steps.gradients.fill(0, at * table.spec.dim, (at + 1) * table.spec.dim);\n" +
          "        seen.add(keys[at] ?? 0n);\n      }\n" +
          "      const piece = learnPiece(table, request, { from, count, firstT: firstT + stamped, optimizer, isFetched });",
      ],
    ],
  },
];
