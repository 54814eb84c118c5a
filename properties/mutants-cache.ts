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
    edits: [["  fileRows(replica.cache, rows, known);", ""]],
  },
  {
    name: "early-rows-skip-the-cache",
    file: CACHE,
    edits: [["(isEarly ? cache.early : cache.open)", "(isEarly ? undefined : cache.open)"]],
  },
  {
    name: "answers-without-the-open-slice",
    file: CACHE,
    edits: [["slices.push(cache.open);", ""]],
  },
  {
    name: "cache-without-bound",
    file: CACHE,
    edits: [["while (cache.place.size > cache.rowsMax) makeRoom(cache, store);", ""]],
  },
  {
    name: "floor-zero-on-restart",
    file: CACHE,
    edits: [["floor: [...covered],", "floor: [],"]],
  },
  {
    name: "early-rows-age-like-others",
    file: CACHE,
    edits: [["(isEarly ? cache.early : cache.open)", "cache.open"]],
  },
  {
    name: "full-cache-drops-silently",
    file: CACHE,
    edits: [
      [
        "    leave(cache, store, cache.early);",
        "    for (const slot of cache.early.slots) cache.place.delete(slot);\n    cache.early.end = cache.early.size = 0;",
      ],
    ],
  },
  {
    name: "rewritten-row-stays-in-its-slice",
    file: CACHE,
    edits: [["if (before === after) return;", "if (before !== undefined && after !== undefined) return;"]],
  },
  {
    name: "newest-slice-leaves-first",
    file: CACHE,
    edits: [["const oldest = cache.closed.shift();", "const oldest = cache.closed.pop();"]],
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
        "    fileRows(cache, rows, known);\n  }\n  boundCache(cache, store);",
        "    fileRows(cache, rows, known);\n    boundCache(cache, store);\n  }",
      ],
    ],
  },
  {
    name: "slices-renumbered-over-each-other",
    file: CACHE,
    edits: [["    first += slice.end;\n", ""]],
  },
  {
    name: "cached-below-the-floor",
    file: CACHE,
    edits: [["const isNew = (t[at] ?? 0) > (cache.floor[writer] ?? 0);", "const isNew = true;"]],
  },
];
