// Planted bugs in reading what another thread writes, in writing it, and in taking it over. reader-laws.ts finds them.
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
    name: "given-up-rows-are-served-as-zeros",
    file: "actors/read-lists.ts",
    edits: [["status === GAVE_UP || status === ON_DISK", "status === ON_DISK"]],
  },
  {
    // In the compiled code, where a write ends: (number | 1) + 1, whose last step becomes a subtraction.
    name: "number-as-before-the-write",
    file: "runtime/compute/load.ts",
    edits: [
      [
        'return readFileSync(join(import.meta.dirname, "built", `${nameOf(subject, build)}.wasm`));',
        'const code = readFileSync(join(import.meta.dirname, "built", `${nameOf(subject, build)}.wasm`));\n' +
          '    const end = Buffer.from("410172" + "41016a" + "fe170210", "hex");\n' +
          '    if (!code.includes(end)) throw new RangeError("no write ends in the compiled code");\n' +
          "    for (let at = code.indexOf(end); at >= 0; at = code.indexOf(end, at)) code[at + 5] = 0x6b;\n" +
          "    return code;",
      ],
    ],
  },
  {
    name: "torn-rows-are-taken-over",
    file: "runtime/compute/table/kernel-table.ts",
    edits: [["const torn = this.#code.repairRows(keys.at, rowsMax);", "const torn = keys.at > 0 ? 0 : rowsMax;"]],
  },
];
