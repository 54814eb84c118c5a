// Planted bugs in samples in columns. The laws of columns find them.
import { type Mutant } from "./mutant.ts";

const HEAD = "protocols/columns/column-head.ts";
const TEXTS = "protocols/columns/text-column.ts";
const NUMBERS = "protocols/columns/number-column.ts";
const KEYS = "protocols/columns/key-column.ts";
const HASHES = "protocols/keys.ts";
const BATCH = "protocols/learning/training-batch.ts";
const SET = "protocols/learning/key-set.ts";
const FRAME = "protocols/learning/sample-frame.ts";
const COMPILED = "runtime/compute/kernel-keys.ts";
const MESSAGES = "actors/sample-messages.ts";

export const COLUMN_MUTANTS: readonly Mutant[] = [
  { name: "a-gap-has-the-value-before", file: HEAD, edits: [["places[at] = values;", "places[at] = place;"]] },
  {
    name: "a-run-ends-one-early",
    file: HEAD,
    edits: [["runs ??= firstBits(size, held)", "runs ??= firstBits(size, held + 1)"]],
  },
  { name: "bits-behind-the-last-may-be-set", file: HEAD, edits: [["if (behind !== 0 && (", "if (behind < 0 && ("]] },
  { name: "runs-that-are-none", file: HEAD, edits: [["(values === held || !hasBit(runs, 0))", "!hasBit(runs, 0)"]] },
  { name: "gaps-that-are-none", file: HEAD, edits: [["(held === 0 || held === size)", "held === 0"]] },
  {
    name: "wide-units-lose-their-upper-byte",
    file: TEXTS,
    edits: [["if (text.charCodeAt(at) > 0xff)", "if (text.charCodeAt(at) > 0xffff)"]],
  },
  {
    name: "narrow-texts-may-be-wide",
    file: TEXTS,
    edits: [["at % 2 === 0 || byte === 0", "at % 2 === 0 && byte < 0"]],
  },
  { name: "a-text-may-repeat", file: TEXTS, edits: [["if (hasRepeated(column))", "if (false)"]] },
  {
    name: "lengths-may-be-longer-than-needed",
    file: TEXTS,
    edits: [["if (bits > 0 && longest", "if (bits > 2 && longest"]],
  },
  { name: "minus-zero-is-whole", file: NUMBERS, edits: [["|| Object.is(number, -0)) break", ") break"]] },
  { name: "numbers-may-be-in-any-form", file: NUMBERS, edits: [["wanted.form !== form ||", "wanted.form < -form ||"]] },
  {
    name: "a-number-may-repeat",
    file: NUMBERS,
    edits: [["value > 0 && Object.is(number,", "value < 0 && Object.is(number,"]],
  },
  {
    name: "numbers-need-not-be-finite",
    file: NUMBERS,
    edits: [["if (!Number.isFinite(number)) throw", "if (number === base + 0.5) throw"]],
  },
  { name: "a-feature-sees-those-after-it", file: KEYS, edits: [["derived.slice(0, at)", "derived.slice(at + 1)"]] },
  { name: "a-crossed-gap-is-nothing", file: KEYS, edits: [['texts.ascii("0:", isWide);', ""]] },
  { name: "crossed-texts-have-no-lengths", file: KEYS, edits: [["texts.ascii(`${length}:`, isWide);", ""]] },
  { name: "a-bound-is-of-the-range-below", file: KEYS, edits: [["number < bound", "number <= bound"]] },
  {
    name: "a-padded-integer-is-its-own-key",
    file: HASHES,
    edits: [["length > 1 && units[at] === 0x30", "length < 0"]],
  },
  {
    name: "a-long-integer-carries-nothing",
    file: HASHES,
    edits: [["const SHORT_DIGITS_MAX = 9;", "const SHORT_DIGITS_MAX = 11;"]],
  },
  { name: "an-integer-beyond-63-bits-is-its-own-key", file: HASHES, edits: [["|| high >= 0x8000_0000", ""]] },
  {
    name: "the-last-unit-of-a-wide-text-is-cut",
    file: HASHES,
    edits: [["block |= (units[from + 3] ?? 0) << 24", "block |= 0"]],
  },
  {
    name: "numbers-lie-where-the-next-key-is-made",
    file: BATCH,
    edits: [["const words = room.take(1, 2);", "const words = room.take(0, 2);"]],
  },
  {
    name: "a-missing-feature-has-a-key-of-its-own",
    file: BATCH,
    edits: [
      [
        "if (gaps !== undefined) numbers[values] = set.numberOf(EMPTY_LOW, EMPTY_HIGH)",
        "if (gaps !== undefined) numbers[values] = set.numberOf(1, EMPTY_HIGH)",
      ],
    ],
  },
  {
    name: "the-empty-text-is-always-there",
    file: BATCH,
    edits: [["if (gaps !== undefined) numbers[values]", "numbers[values]"]],
  },
  {
    name: "a-list-ends-with-its-column",
    file: BATCH,
    edits: [["(begins[entry + 1] ?? length + 1) - 1", "begins[entry + 1] ?? length"]],
  },
  {
    name: "a-missing-number-keeps-what-was-there",
    file: BATCH,
    edits: [["else for (let sample = 0; sample < part.size;", "else for (let sample = 1; sample < part.size;"]],
  },
  {
    name: "compiled-keys-are-of-the-table-before-too",
    file: COMPILED,
    edits: [["code.clearSet(room.slots, room.shift);", ""]],
  },
  { name: "compiled-gaps-are-overlooked", file: COMPILED, edits: [["gaps === undefined ? 0 : place(gaps)", "0"]] },
  { name: "compiled-runs-are-overlooked", file: COMPILED, edits: [["runs === undefined ? 0 : place(runs)", "0"]] },
  {
    name: "compiled-rows-of-the-last-part-for-all",
    file: COMPILED,
    edits: [["rowOf: rowOf.at + 4 * entries", "rowOf: rowOf.at + 4 * from"]],
  },
  {
    name: "compiled-room-is-thought-to-do",
    file: COMPILED,
    edits: [["bytes <= room.bytes &&", "bytes > 0 &&"]],
  },
  {
    name: "half-a-key-is-enough",
    file: SET,
    edits: [["words[2 * held - 2] === low && words[2 * held - 1] === high", "words[2 * held - 2] === low"]],
  },
  { name: "a-cleared-set-remembers", file: SET, edits: [["this.#slots.fill(0);", ""]] },
  {
    name: "a-set-that-grows-forgets",
    file: SET,
    edits: [["number < this.#size; number += 1", "number < this.#size - 1; number += 1"]],
  },
  {
    name: "a-label-may-be-anything",
    file: FRAME,
    edits: [["if (number < from || number > to) throw", "if (number < from) throw"]],
  },
  {
    name: "a-sample-may-lack-its-user",
    file: "protocols/columns/example-columns.ts",
    edits: [["if (column.gaps !== undefined) throw", "if (column.gaps?.length === 0) throw"]],
  },
  {
    name: "names-need-not-rise",
    file: "protocols/columns/example-columns.ts",
    edits: [["names.length !== count ||", "names.length !== count &&"]],
  },
  { name: "names-are-not-counted", file: FRAME, edits: [["bytes += NUMBER_BYTES + 2 * name.length", "bytes += 2"]] },
  { name: "kinds-need-not-rise", file: FRAME, edits: [["at > 0 && kind <=", "at < 0 && kind <="]] },
  { name: "the-checksum-is-not-looked-at", file: FRAME, edits: [["if (crc32c(bytes, 0, end) !==", "if (-1 ==="]] },
  {
    name: "labels-of-the-first-message-for-all",
    file: MESSAGES,
    edits: [["fillNumbers(part.labels, 0, { into: labels, at,", "fillNumbers(part.labels, 0, { into: labels, at: 0,"]],
  },
  {
    name: "an-item-was-seen-first-and-not-last",
    file: MESSAGES,
    edits: [["Math.max(times[item] ?? 0, shown[at] ?? 0)", "shown[at] ?? 0"]],
  },
];
