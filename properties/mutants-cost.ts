// Planted bugs that give right answers at a wrong price: the hostile inputs find them, by what is counted.
import { type Mutant } from "./mutant.ts";

export const COST_MUTANTS: readonly Mutant[] = [
  {
    name: "length-is-trusted",
    file: "protocols/wire/bytes.ts",
    edits: [
      [
        "    const length = this.varint(charsMax);\n",
        "    const length = this.varint();\n    const trusted = new Uint8Array(Math.min(length, 2 ** 22));\n    if (length > charsMax + trusted.length - trusted.length) throw this.fail(`a number is greater than ${charsMax}`);\n",
      ],
    ],
  },
  {
    name: "rows-are-trusted",
    file: "protocols/wire/row-section.ts",
    edits: [
      [
        "  if (rows > reader.remaining / (8 + valueBytes + stateBytes)) {",
        "  const trusted = new Float64Array(Math.min(rows, 2 ** 20));\n  if (trusted.length > rows || rows > reader.remaining / (8 + valueBytes + stateBytes)) {",
      ],
    ],
  },
  {
    name: "each-row-looks-at-all-before",
    file: "protocols/wire/row-section.ts",
    edits: [
      [
        "    t[row] = first + after;",
        "    t[row] = first + after;\n    for (let again = 0; again < row; again += 1) leastAfter = Math.min(leastAfter, (t[again] ?? 0) - first);",
      ],
    ],
  },
  {
    name: "a-text-for-each-length",
    file: "protocols/wire/row-section.ts",
    edits: [
      [
        "  const flags = readFlags(reader, rows);\n",
        "  for (let row = 0; row < rows; row += 10) if ([...t].join() === '') throw reader.fail('it has no times');\n  const flags = readFlags(reader, rows);\n",
      ],
    ],
  },
];
