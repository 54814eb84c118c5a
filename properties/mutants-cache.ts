// Planted bugs in the update cache and its floor.
import { type Mutant } from "./mutant.ts";

const CACHE = "protocols/sync/update-cache.ts";

export const CACHE_MUTANTS: readonly Mutant[] = [
  {
    name: "rows-leave-below-the-floor",
    file: CACHE,
    edits: [["  if (t > (floor[writer] ?? 0)) floor[writer] = t;\n", ""]],
  },
  {
    name: "cache-answers-below-its-floor",
    file: CACHE,
    edits: [["if (!reaches(known, cache.floor)) {", "if (false) {"]],
  },
  {
    name: "restart-caches-no-early-rows",
    file: "protocols/sync/replica.ts",
    edits: [
      [
        "  fileRows(replica.cache, { ...rows, before }, { known, early: replica.early });",
        "  for (const slot of early.slots) replica.early.add(slot);",
      ],
    ],
  },
  {
    name: "early-rows-skip-the-cache",
    file: CACHE,
    edits: [
      ["if (time > (cache.floor[writer] ?? 0)) cache.early.add(slot);\n      else cache.early.delete(slot);", ""],
    ],
  },
  {
    name: "answers-without-the-open-slice",
    file: CACHE,
    edits: [["slices.push(cache.open);", ""]],
  },
  {
    name: "cache-without-bound",
    file: CACHE,
    edits: [["while (cachedCount(cache) > cache.rowsMax) makeRoom(cache, rows.store, known);", ""]],
  },
  {
    name: "floor-zero-on-restart",
    file: CACHE,
    edits: [["floor: [...covered],", "floor: [],"]],
  },
  {
    name: "early-rows-age-like-others",
    file: CACHE,
    edits: [
      [
        "if (time > (cache.floor[writer] ?? 0)) cache.early.add(slot);\n      else cache.early.delete(slot);",
        "if (time > (cache.floor[writer] ?? 0)) append(cache.open, slot);",
      ],
    ],
  },
  {
    name: "full-cache-drops-silently",
    file: CACHE,
    edits: [["    for (let at = 0; at < t.length; at += 1) raiseFloor(cache, writers[at] ?? 0, t[at] ?? 0);\n", ""]],
  },
  {
    name: "rewritten-row-stays-in-its-slice",
    file: CACHE,
    edits: [["if (entered === left) continue;", "if (left !== undefined) continue;"]],
  },
  {
    name: "newest-slice-leaves-first",
    file: CACHE,
    edits: [["  cache.closed.shift();\n", "  cache.closed.pop();\n"]],
  },
  {
    name: "slices-passed-over-by-one-writer",
    file: CACHE,
    edits: [
      ["reaches(known, slice.upTo)) break;", "slice.upTo.some((t, writer) => t <= (known[writer] ?? 0))) break;"],
    ],
  },
  {
    name: "last-frame-in-no-cache",
    file: "protocols/sync/own-pull.ts",
    edits: [["if (!isCopy) noteRows(replica, ...fresh);", ""]],
  },
  {
    name: "slot-twice-in-an-answer",
    file: CACHE,
    edits: [["  slice.size -= 1;\n  slice.repeats = true;", "  slice.size -= 1;"]],
  },
  {
    name: "dropped-rows-stay-counted",
    file: CACHE,
    edits: [["    if (left !== undefined) takeOut(left);\n  }\n}", "  }\n}"]],
  },
  {
    name: "entries-that-mean-nothing-stay",
    file: CACHE,
    edits: [["<= ENTRIES * cache.rowsMax) return;", ">= 0) return;"]],
  },
  {
    name: "floor-raised-by-what-stays",
    file: CACHE,
    edits: [
      [
        "if (oldest !== undefined) leave(cache, oldest);",
        "if (oldest !== undefined) leave(cache, { ...oldest, upTo: known });",
      ],
    ],
  },
  {
    name: "open-slice-leaves-in-silence",
    file: CACHE,
    edits: [
      [
        "    for (let writer = 0; writer < known.length; writer += 1) raiseFloor(cache, writer, known[writer] ?? 0);\n",
        "",
      ],
    ],
  },
  {
    name: "rows-of-later-slices-listed-twice",
    file: CACHE,
    edits: [[" || (upTo !== undefined && t > (upTo[writer] ?? 0))", ""]],
  },
  {
    name: "cached-below-the-floor",
    file: CACHE,
    edits: [["if (t <= (floor[writer] ?? 0)) return undefined;", ""]],
  },
];
