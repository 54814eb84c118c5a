// Planted bugs in promotions: in epochs, and in the positions that a new primary goes on from.
import { type Mutant } from "./mutant.ts";

const EPOCH = "protocols/sync/epoch.ts";
const HORIZON = "protocols/sync/horizon.ts";

export const EPOCH_MUTANTS: readonly Mutant[] = [
  {
    name: "old-epoch-not-refused",
    file: HORIZON,
    edits: [["return own < epoch ? T_MAX : 0;", "return own < epoch ? Math.min(settled, T_MAX) : 0;"]],
  },
  {
    name: "later-settled-time-beats-epoch",
    file: HORIZON,
    edits: [
      ["return a.epoch === b.epoch ? a.settled > b.settled : a.epoch > b.epoch;", "return a.settled > b.settled;"],
    ],
  },
  {
    name: "expiry-of-an-earlier-epoch-counts",
    file: HORIZON,
    edits: [["  if (a.epoch !== b.epoch) return later;\n", ""]],
  },
  {
    name: "epoch-judges-later-ones",
    file: "protocols/sync/lay-horizon.ts",
    edits: [
      [
        "return id !== undefined && epochOf(id) <= horizon.epoch;",
        "return epochOf(id ?? '') <= horizon.epoch || true;",
      ],
    ],
  },
  {
    name: "copy-asked-of-whoever-is-next",
    file: "protocols/sync/own-pull.ts",
    edits: [["  replica.copyFrom.delete(pull.peer);\n", "  replica.copyFrom.clear();\n"]],
  },
  {
    name: "time-alone-names-a-horizon",
    file: HORIZON,
    edits: [["known.epoch !== follows || ", ""]],
  },
  {
    name: "answers-go-on-into-the-next-epoch",
    file: "protocols/sync/lay-horizon.ts",
    edits: [["    closeAnswers(replica);\n", ""]],
  },
  {
    name: "epoch-begins-before-it-is-on-disk",
    file: EPOCH,
    edits: [['return [{ kind: "save" }, ...rows,', "return [...rows,"]],
  },
  {
    name: "epoch-begins-with-nothing",
    file: EPOCH,
    edits: [["graveyard: new Map(knowledge),", "graveyard: new Map(knowledge.size < 0 ? knowledge : []),"]],
  },
  {
    name: "new-primary-keeps-its-old-name",
    file: EPOCH,
    edits: [["if (epochOf(replica.writer) < epoch) {", "if (epochOf(replica.writer) > epoch) {"]],
  },
  {
    name: "early-rows-left-in-the-old-epoch",
    file: EPOCH,
    edits: [
      [
        "const rows = writeAnew(replica, describeRows(store, early.column()), { nowMs, isBounded: false });",
        "const rows = writeAnew(replica, describeRows(store, early.column().slice(0, 0)), { nowMs, isBounded: false });",
      ],
    ],
  },
  {
    name: "superseded-primary-goes-on",
    file: "protocols/sync/row-notes.ts",
    edits: [["return epochOf(writer) < horizon.epoch;", "return epochOf(writer) < horizon.epoch && false;"]],
  },
  {
    name: "old-primary-takes-an-epoch-from-a-report",
    file: "protocols/sync/settling.ts",
    edits: [
      ["if (report.horizon.epoch > replica.horizon.epoch) {", "if (report.horizon.epoch > Infinity) {"],
      [
        "isWithinReach(report.horizon, knownOf(replica)) ?",
        "isWithinReach(report.horizon, knownOf(replica), replica.horizon.epoch) ?",
      ],
    ],
  },
  {
    name: "lost-epoch-is-not-asked-for",
    file: "protocols/sync/settling.ts",
    edits: [
      [
        "const lacksEpoch = begins !== undefined && horizon.epoch < begins.epoch;",
        "const lacksEpoch = begins !== undefined && false;",
      ],
    ],
  },
  {
    name: "lost-epoch-comes-with-the-next-survey",
    file: "protocols/sync/replica.ts",
    edits: [
      [
        "return [...takeReport(replica, { from, body, nowMs }), ...recover(replica)];",
        "return takeReport(replica, { from, body, nowMs });",
      ],
    ],
  },
  {
    name: "lost-epoch-begins-with-nothing",
    file: "protocols/sync/settling.ts",
    edits: [["return lacksEpoch && [...known.knowledge]", "return !lacksEpoch && [...known.knowledge]"]],
  },
  {
    name: "lost-epoch-begins-unasked",
    file: "protocols/sync/settling.ts",
    edits: [["const ROUNDS_LEVEL = 2;", "const ROUNDS_LEVEL = 0;"]],
  },
  {
    name: "copy-not-asked-for",
    file: "protocols/sync/answers.ts",
    edits: [
      [
        "const isAsked = pull.wantsCopy === true && isLater(replica.horizon, pull);",
        "const isAsked = isLater(pull, pull);",
      ],
    ],
  },
  {
    name: "position-not-carried",
    file: "protocols/sync/own-pull.ts",
    edits: [["  takePositions(replica, end, { isCopy });\n", "  void takePositions;\n"]],
  },
  {
    name: "positions-never-go-back",
    file: "protocols/sync/positions.ts",
    edits: [["  if (isCopy || order > 0) ours.clear();\n", "  if (isCopy) ours.clear();\n"]],
  },
  {
    name: "copy-leaves-positions-of-lost-rows",
    file: "protocols/sync/positions.ts",
    edits: [["if (isCopy || order > 0) ours.clear();", "if (order > 0) ours.clear();"]],
  },
  {
    name: "copy-leaves-later-positions-of-lost-rows",
    file: "protocols/sync/positions.ts",
    edits: [["ours.set(trainer, Math.min(batch, theirs))", "ours.set(trainer, batch)"]],
  },
  {
    name: "copy-brings-positions-that-newer-rows-lack",
    file: "protocols/sync/positions.ts",
    edits: [["ours.set(trainer, Math.min(batch, theirs))", "ours.set(trainer, theirs)"]],
  },
  {
    name: "rows-handed-over-ahead-of-knowledge",
    file: "protocols/sync/replica.ts",
    edits: [
      ["if (early.size > 0 || contentOf(replica) !== event.content) {", "if (contentOf(replica) !== event.content) {"],
    ],
  },
];
