// Planted bugs in telling of which epoch a shard's rows are, and in keeping one request to one epoch. one-epoch-laws.ts finds them.
import { type Mutant } from "./mutant.ts";

const TOLD = "actors/shard-epochs.ts";
const READ = "actors/epoch-rows.ts";

export const ONE_EPOCH_MUTANTS: readonly Mutant[] = [
  {
    name: "per-row-epoch-check-missing",
    file: TOLD,
    edits: [
      ["return written === NO_EPOCH || written === epoch || (written < epoch && look.held === epoch);", "return true;"],
    ],
  },
  {
    name: "earlier-rows-are-of-any-later-epoch",
    file: TOLD,
    edits: [["(written < epoch && look.held === epoch)", "written < epoch"]],
  },
  {
    name: "later-rows-are-not-looked-for",
    file: TOLD,
    edits: [["return look?.held === epoch && look.latest <= epoch;", "return look?.held === epoch;"]],
  },
  {
    name: "copy-is-not-announced",
    file: TOLD,
    edits: [["if (mayReplace(replica, event)) Atomics.store(held, 0, movingFrom(replica.horizon.epoch));", ""]],
  },
  {
    name: "shard-in-the-middle-holds-nothing",
    file: READ,
    edits: [["const epoch = look && epochAt(look);", "const epoch = look && look.held >= 0 ? look.held : undefined;"]],
  },
  {
    name: "last-frame-of-a-copy-is-not-announced",
    file: TOLD,
    edits: [["answer.receivedCount + 1 >= framesOf(answer)", "answer.receivedCount >= framesOf(answer)"]],
  },
  {
    name: "epoch-is-held-with-its-first-row",
    file: TOLD,
    edits: [
      [
        "Atomics.store(held, 0, replica.horizon.epoch);\n      return",
        "Atomics.store(held, 0, latestEpoch(shared.writers));\n      return",
      ],
      ["if (Atomics.load(held, 0) !== replica.horizon.epoch)", ""],
    ],
  },
  {
    name: "second-look-is-the-first",
    file: "actors/read-lists.ts",
    edits: [["const after = lookAt(memory.epochs);", "const after = before;"]],
  },
  {
    name: "writer-is-noted-without-its-epoch",
    file: "runtime/compute/table/writer-epochs.ts",
    edits: [["const epoch = Math.min(epochOf(id), EPOCH_SHOWN_MAX);", "const epoch = 0 * epochOf(id);"]],
  },
  {
    name: "each-gather-has-an-epoch-of-its-own",
    file: READ,
    edits: [["gatherOf(reading, lists, ending)", "gatherOf({ ...reading, epoch: currentEpoch() }, lists, ending)"]],
  },
  {
    name: "groups-of-any-epoch-stand-in",
    file: READ,
    edits: [["if (kept?.epoch !== reading.epoch) throw", "if (kept === undefined) throw"]],
  },
  {
    name: "one-group-stands-in",
    file: READ,
    edits: [["lacksGroup ||= !isGroupOf", "lacksGroup = !isGroupOf"]],
  },
  {
    name: "group-that-is-not-there-has-first-values",
    file: READ,
    edits: [["return written === NO_EPOCH ? look.held === epoch : isRowOf", "return isRowOf"]],
  },
  {
    name: "never-tries-again",
    file: READ,
    edits: [["if (left > 0 && withheld.size > 0 && !isSettled(reading)) continue;", ""]],
  },
  {
    name: "withheld-row-keeps-its-values",
    file: READ,
    edits: [["writeUnknown(layout, { table, seed: keySeed(key) }, { into: column, at: row * dim });", ""]],
  },
];
