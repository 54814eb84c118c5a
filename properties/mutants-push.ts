// Planted bugs in what goes from a trainer's thread to a shard's. The laws of pushes find them.
import { type Mutant } from "./mutant.ts";

const PACKED = "actors/packed-push.ts";
const ROOM = "actors/push-room.ts";

export const PUSH_MUTANTS: readonly Mutant[] = [
  { name: "keys-of-the-first-table-for-all", file: PACKED, edits: [["row += rows[at] ?? 0;", ""]] },
  {
    name: "gradients-lag-a-table-behind",
    file: PACKED,
    edits: [["gradients.subarray(from, float)", "gradients.subarray(0, float - from)"]],
  },
  {
    name: "parts-apart-are-taken-for-one-piece",
    file: PACKED,
    edits: [["view.buffer === first?.buffer && view.byteOffset === end", "true"]],
  },
  {
    name: "one-piece-begins-at-its-buffer",
    file: PACKED,
    edits: [["new kind(first.buffer, first.byteOffset, length)", "new kind(first.buffer, 0, length)"]],
  },
  {
    name: "all-parts-are-copied",
    file: PACKED,
    edits: [["if (first !== undefined && isInOrder) return", "if (first !== undefined && views.length === 1) return"]],
  },
  {
    name: "some-values-that-were-read-are-all",
    file: PACKED,
    edits: [["read.length === parts.length && {", "read.length > 0 && {"]],
  },
  {
    name: "more-floats-than-tables-say",
    file: PACKED,
    edits: [["sumOf(floats) === gradients.length", "sumOf(floats) <= gradients.length"]],
  },
  {
    name: "fewer-keys-than-tables-say",
    file: PACKED,
    edits: [["sumOf(rows) === keys.length", "sumOf(rows) >= keys.length"]],
  },
  {
    name: "items-without-clicks",
    file: PACKED,
    edits: [["[sightings.keys, clicks, times].every", "[sightings.keys, times].every"]],
  },
  { name: "a-push-that-failed-is-written-over", file: ROOM, edits: [["        held = [];\n", ""]] },
  {
    name: "shards-share-their-room",
    file: ROOM,
    edits: [
      ["let room = held[shard];", "let room = held[0];"],
      ["held[shard] = room;", "held[0] = room;"],
    ],
  },
];
