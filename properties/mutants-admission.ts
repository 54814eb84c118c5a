// Planted bugs in who gets a row. The laws of admission find them.
import { type Mutant } from "./mutant.ts";

const SKETCH = "protocols/learning/count-sketch.ts";
const RULES = "protocols/learning/admission.ts";
const KEYS = "actors/admit-keys.ts";
const LOCAL = "protocols/learning/local-model.ts";

export const ADMISSION_MUTANTS: readonly Mutant[] = [
  { name: "counts-never-fade", file: SKETCH, edits: [["  if (sketch.left === 0) halve(sketch);\n", ""]] },
  { name: "one-line-of-counters", file: SKETCH, edits: [["const LINES = 4;", "const LINES = 1;"]] },
  {
    name: "counts-overwritten",
    file: SKETCH,
    edits: [["if ((counters[place] ?? 0) < count) counters[place]", "counters[place]"]],
  },
  {
    name: "greatest-counter-instead-of-least",
    file: SKETCH,
    edits: [
      ["let least = COUNT_MAX - 1;", "let least = 0;"],
      ["Math.min(least, counters[place] ?? 0)", "Math.max(least, counters[place] ?? 0)"],
    ],
  },
  { name: "admitted-too-early", file: RULES, edits: [[">= rule.count;", ">= rule.count - 1;"]] },
  { name: "chance-of-the-key", file: RULES, edits: [["step >>> 0);", "0);"]] },
  {
    name: "who-has-a-row-is-asked",
    file: KEYS,
    edits: [
      [
        "if (found[at] === 1) taken.push(at);\n        else if",
        "if (found.length < 0) taken.push(at);\n        else if",
      ],
    ],
  },
  {
    name: "gradients-of-another-key",
    file: KEYS,
    edits: [["all.subarray(from * dim, (from + 1) * dim)", "all.subarray(to * dim, (to + 1) * dim)"]],
  },
  {
    name: "files-make-rows-without-a-sighting",
    file: LOCAL,
    edits: [["if (sighting === undefined) return false;", ""]],
  },
  {
    name: "files-make-a-row-of-what-was-read",
    file: LOCAL,
    edits: [["      makeRow(row);\n      return true;", "      return true;"]],
  },
  {
    name: "files-read-first-values",
    file: LOCAL,
    edits: [["values.set(unknownValues(layout, table, key), row * dim)", "makeRow(row)"]],
  },
  {
    name: "files-know-no-zeros-without-a-rule",
    file: LOCAL,
    edits: [['if (rule === undefined && unknown !== "zero")', "if (rule === undefined)"]],
  },
];
