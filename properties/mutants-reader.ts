// Planted bugs in reading what another thread writes, and in taking it over. reader-laws.ts finds them.
import { type Mutant } from "./mutant.ts";

const READER = "runtime/compute/table/table-reader.ts";

export const READER_MUTANTS: readonly Mutant[] = [
  {
    name: "torn-copy-is-given",
    file: READER,
    edits: [
      [
        "if (statuses[at] === FOUND) continue;",
        "if (statuses[at] === GAVE_UP) statuses[at] = FOUND;\n      if (statuses[at] === FOUND) continue;",
      ],
    ],
  },
  {
    name: "torn-copy-beside-its-status",
    file: READER,
    edits: [["if (statuses[at] === FOUND) continue;", "if (statuses[at] !== MISSING) continue;"]],
  },
  {
    name: "gives-up-in-silence",
    file: READER,
    edits: [["if (statuses[at] === GAVE_UP) this.counts.gaveUp += 1;", ""]],
  },
  {
    name: "torn-rows-are-taken-over",
    file: "runtime/compute/table/kernel-table.ts",
    edits: [["const torn = this.code.repairRows(keys.at, rowsMax);", "const torn = keys.at > 0 ? 0 : rowsMax;"]],
  },
];
