// Planted bugs in the update cache and its floor.
import { type Mutant } from "./mutant.ts";

const CACHE = "protocols/sync/update-cache.ts";

export const CACHE_MUTANTS: readonly Mutant[] = [
  {
    name: "rows-leave-below-the-floor",
    file: CACHE,
    edits: [["if (t > (cache.floor[writer] ?? 0)) cache.floor[writer] = t;", ""]],
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
    edits: [["while (cachedCount(cache) > cache.rowsMax) makeRoom(cache, rows);", ""]],
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
    edits: [["    leave(cache, rows.store.versionsAt(cache.early.column()));\n", ""]],
  },
  {
    name: "rewritten-row-stays-in-its-slice",
    file: CACHE,
    edits: [["if (entered === left) continue;", "if (left !== undefined) continue;"]],
  },
  {
    name: "newest-slice-leaves-first",
    file: CACHE,
    edits: [
      [
        "    leave(cache, rowsOf(cache, 0, rows));\n    cache.closed.shift();\n  } else",
        "    leave(cache, rowsOf(cache, cache.closed.length - 1, rows));\n    cache.closed.pop();\n  } else",
      ],
    ],
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
    name: "bounded-within-a-change",
    file: "protocols/sync/row-notes.ts",
    edits: [
      [
        "  for (const rows of batches) fileRows(cache, rows, { known, early });\n  boundCache(cache, replica);",
        "  for (const rows of batches) {\n    fileRows(cache, rows, { known, early });\n    boundCache(cache, replica);\n  }",
      ],
    ],
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
    edits: [[" || (upTo !== undefined && t > (upTo[writer] ?? 0))", ""]],
  },
  {
    name: "floor-raised-by-early-rows",
    file: CACHE,
    edits: [["    if (early.size > 0 && early.has(slot)) continue;\n    kept", "    kept"]],
  },
  {
    name: "cached-below-the-floor",
    file: CACHE,
    edits: [["if (t <= (floor[writer] ?? 0)) return undefined;", ""]],
  },
];
