// Planted bugs in keeping contents of rows on disk. cold-laws.ts finds them.
import { type Mutant } from "./mutant.ts";

const COLD = "runtime/compute/table/cold-rows.ts";
const LOG = "runtime/compute/table/row-log.ts";
const TABLE = "runtime/compute/table/kernel-table.ts";
const READER = "runtime/compute/table/table-reader.ts";

export const COLD_MUTANTS: readonly Mutant[] = [
  {
    name: "digest-skips-cold-rows",
    file: "runtime/compute/table/table-digest.ts",
    edits: [["copyCold(table, this.#from, size);", ""]],
  },
  { name: "pack-skips-cold-rows", file: TABLE, edits: [["this.cold?.copy(columns.rows, packed, to);", ""]] },
  {
    name: "merge-makes-no-room",
    file: TABLE,
    edits: [["const changed = this.#rowsToMerge(piece);", "const changed = 0 * this.#rowsToMerge(piece);"]],
  },
  {
    name: "steps-bring-nothing",
    file: "runtime/compute/table/learn-rows.ts",
    edits: [["table.cold?.bring(columns.rows, count, { more: missing, counted: !isFetched });", ""]],
  },
  {
    name: "use-is-ignored",
    file: COLD,
    edits: [["this.#used[frame] === 1 && looked < 2 * frames", "this.#used[frame] === 2 && looked < 2 * frames"]],
  },
  {
    name: "row-wanted-twice-is-two-hits",
    file: COLD,
    edits: [["hits += 1 - (this.#needed[frame - 1] ?? 0);", "hits += 1;"]],
  },
  {
    name: "fetched-rows-are-wanted-again",
    file: "runtime/compute/table/learn-rows.ts",
    edits: [["counted: !isFetched", "counted: true || isFetched"]],
  },
  { name: "hits-count-twice", file: COLD, edits: [["this.#hits += hits;", "this.#hits += 2 * hits;"]] },
  {
    name: "needed-rows-leave",
    file: COLD,
    edits: [["this.#owners[frame] === 0 || this.#needed[frame] === 1", "this.#owners[frame] === 0"]],
  },
  {
    name: "places-before-cleaning",
    file: COLD,
    edits: [["if (this.#log.counts.moved !== moved)", "if (this.#log.counts.moved < moved)"]],
  },
  { name: "goes-on-after-failure", file: COLD, edits: [["if (this.#broken !== undefined) throw this.#broken;", ""]] },
  { name: "copies-what-is-damaged", file: COLD, edits: [["if (isWhole === 0) throw new Damaged();", "void isWhole;"]] },
  {
    name: "record-place-not-published",
    file: LOG,
    edits: [["this.#filled += answer();", "this.#filled += Math.min(1, answer());"]],
  },
  {
    name: "region-reused-too-early",
    file: LOG,
    edits: [
      [
        "region < this.#end && this.#live[region] !== 0) region",
        "region < this.#end && (this.#live[region] ?? 0) > 1) region",
      ],
    ],
  },
  { name: "nothing-is-cleaned", file: LOG, edits: [["if (emptiest !== undefined) this.#clean(emptiest);", ""]] },
  { name: "moved-records-are-lost", file: LOG, edits: [["this.#filled += moved;", ""]] },
  {
    name: "waiting-records-are-read-from-the-file",
    file: LOG,
    edits: [["if (first >= waiting && first < waitingEnd) {", "if (first > waiting && first < waitingEnd) {"]],
  },
  {
    name: "full-region-is-left-unwritten",
    file: LOG,
    edits: [["this.#flush();\n    this.#region = this.#freeRegion();", "this.#region = this.#freeRegion();"]],
  },
  {
    name: "file-is-cut-too-short",
    file: LOG,
    edits: [["while (end - 1 > this.#region && this.#live[end - 1] === 0) end -= 1;", "end = this.#region + 1;"]],
  },
  {
    name: "cold-rows-read-as-missing",
    file: READER,
    edits: [
      [
        "if (statuses[at] === ON_DISK) this.counts.onDisk += 1;",
        "if (statuses[at] === ON_DISK) statuses[at] = MISSING;",
      ],
    ],
  },
];
