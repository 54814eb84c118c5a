// Planted bugs in settling, expiry, the horizon and full copies.
import { type Mutant } from "./mutant.ts";

const SETTLING = "protocols/sync/settling.ts";
const LAYING = "protocols/sync/lay-horizon.ts";
const HORIZON = "protocols/sync/horizon.ts";
const PULL = "protocols/sync/own-pull.ts";

export const HORIZON_MUTANTS: readonly Mutant[] = [
  {
    name: "settles-without-waiting-for-members",
    file: SETTLING,
    edits: [["if (survey?.isOpen !== true || reports.length < survey.members.length)", "if (survey?.isOpen !== true)"]],
  },
  {
    name: "retire-by-age",
    file: SETTLING,
    edits: [["if (Math.max(...times) > all) settled = Math.min(settled, all);", ""]],
  },
  {
    name: "rounds-counted-anew",
    file: SETTLING,
    edits: [["replica.rounds += 1;", "replica.rounds = survey.round + 1;"]],
  },
  {
    name: "strangers-report",
    file: SETTLING,
    edits: [["if (!survey.members.includes(from)) {", 'if (from === "") {']],
  },
  {
    name: "settles-in-one-round",
    file: SETTLING,
    edits: [
      [
        "  if (horizon !== undefined) {",
        "  if (horizon !== undefined) return moveTo(replica, horizon);\n  if (horizon !== undefined) {",
      ],
    ],
  },
  {
    name: "settles-before-it-is-on-disk",
    file: SETTLING,
    edits: [['return [{ kind: "save" }, ...effects,', "return [...effects,"]],
  },
  {
    name: "reports-with-an-answer-half-taken",
    file: SETTLING,
    edits: [["  if (replica.unfinished.size > 0) upTo = Math.min(upTo, horizon.settled);\n", ""]],
  },
  {
    name: "answer-half-taken-is-kept-for-ever",
    file: SETTLING,
    edits: [["({ answer }) => (answer.toldIn ?? now) !== now", "() => false"]],
  },
  {
    name: "reports-forget-the-answer-half-taken",
    file: SETTLING,
    edits: [["({ answer }) => (answer.toldIn ?? now) !== now", "() => true"]],
  },
  {
    name: "entries-not-capped-at-the-primary",
    file: SETTLING,
    edits: [
      [
        "  const capped = primary === undefined ? knowledge : capAt(replica, primary);",
        "  const capped = primary === undefined ? capAt(replica, { ...horizon, knowledge }) : knowledge;",
      ],
    ],
  },
  {
    name: "settles-over-rows-the-primary-lost",
    file: SETTLING,
    edits: [["  upTo = Math.max(0, Math.min(upTo, strays.oldest - 1));", ""]],
  },
  {
    name: "primary-asks-only-to-settle",
    file: SETTLING,
    edits: [["replica.survey?.isClean === true ? 0 : -1", "0"]],
  },
  {
    name: "strays-never-reported",
    file: "protocols/sync/strays.ts",
    edits: [["  if (left.length === 0 || ", "  if (left.length >= 0 || "]],
  },
  {
    name: "settles-over-early-rows",
    file: SETTLING,
    edits: [["for (const slot of early) upTo = Math.min(upTo, store.versionAt(slot).t - 1);", "void early;"]],
  },
  {
    name: "reports-in-the-middle-of-a-pull",
    file: SETTLING,
    edits: [["  if (pull !== undefined) return asked !== undefined || isOver ? hurryPull(replica, pull) : [];\n", ""]],
  },
  {
    name: "second-round-looks-at-no-strangers",
    file: SETTLING,
    edits: [["writers.has(writer) ||", "writers.size > 0 || writers.has(writer) ||"]],
  },
  {
    name: "incremental-behind-the-graveyard",
    file: HORIZON,
    edits: [
      [
        "  if (known.epoch !== follows || known.settled !== horizon.before) return false;",
        "  if (known.settled >= 0) return true;",
      ],
    ],
  },
  {
    name: "graveyard-not-looked-at",
    file: HORIZON,
    edits: [
      [
        "if ((known.knowledge.get(writer) ?? 0) < t) return false;",
        "if (t < 0 && known.knowledge.has(writer)) return false;",
      ],
    ],
  },
  {
    name: "merge-instead-of-replace",
    file: PULL,
    edits: [
      [
        "  if (isCopy) effects.push(...dropCovered(replica, pull, end));",
        "  if (!isCopy && pull.staged.length > 0) effects.push(...dropCovered(replica, pull, end));",
      ],
    ],
  },
  {
    name: "copy-applied-as-it-comes",
    file: PULL,
    edits: [
      [
        "  if (frame.replaces) effects.push(...stage(replica, pull, { frame, body }));\n  else effects",
        "  if (frame.replaces) effects.push(...stage(replica, pull, { frame: { ...frame, sections: [] }, body }));\n  effects",
      ],
    ],
  },
  {
    name: "late-rows-stay",
    file: LAYING,
    edits: [["  return found;", "  return found && false;"]],
  },
  {
    name: "settled-tombstones-stay",
    file: LAYING,
    edits: [
      [
        "dropRows(replica, ({ t, writer }) => t <= (below[writer] ?? 0), { upTo: settled, deleted: true })",
        "dropRows(replica, () => below.length < 0, {})",
      ],
    ],
  },
  {
    name: "lost-disk-stays-lost",
    file: "protocols/sync/recovery.ts",
    edits: [["  survey.ahead.delete(peer);\n", "  if (peer !== '') return [];\n"]],
  },
  {
    name: "recovers-from-all-that-were-ahead",
    file: "protocols/sync/recovery.ts",
    edits: [["if (!hasMore(replica, survey, known) || ", "if ("]],
  },
  {
    name: "settled-rows-are-strays-of-a-lost-disk",
    file: "protocols/sync/strays.ts",
    edits: [["  if (!isWithinReach(horizon, primary, follows)) return [];\n", ""]],
  },
  {
    name: "stamps-below-the-horizon",
    file: LAYING,
    edits: [["  observe(replica.stamper, latestOf(joined));", "  void [observe, latestOf];"]],
  },
  {
    name: "follower-expires-by-its-own-clock",
    file: "protocols/sync/replica.ts",
    edits: [
      [
        '  switch (event.kind) {\n    case "write":',
        '  if (replica.horizon.expired.size > 0) expire(replica, { table: 0, before: Math.floor(nowMs * 1000) - 5_000_000 });\n  switch (event.kind) {\n    case "write":',
      ],
    ],
  },
  {
    name: "answers-outlive-the-rows-they-list",
    file: "protocols/sync/row-notes.ts",
    edits: [["    closeAnswer(replica, answer);\n", ""]],
  },
  {
    name: "answers-tell-of-older-ages",
    file: LAYING,
    edits: [["if (aged.length > 0) tellAges(replica);", "void tellAges;"]],
  },
  {
    name: "ended-answers-outlive-the-rows-they-list",
    file: "protocols/sync/row-notes.ts",
    edits: [["(isAge && !answer.isEnded) ||", "isAge ||"]],
  },
  {
    name: "expired-rows-come-back",
    file: LAYING,
    edits: [
      [
        "  return gone < 0 ? known : known.map((t, writer) => (isJudged(replica, writer) ? Math.max(t, gone) : t));",
        "  return gone < 0 ? known : known.slice();",
      ],
    ],
  },
  {
    name: "follower-evicts-by-itself",
    file: "protocols/sync/replica.ts",
    edits: [
      [
        '  switch (event.kind) {\n    case "write":',
        '  if (replica.primary?.kind === "peer") evict(replica, { table: 0, rowsMax: 8 });\n  switch (event.kind) {\n    case "write":',
      ],
    ],
  },
  {
    name: "evicts-the-newest",
    file: LAYING,
    edits: [["store.oldest(table, Math.min(atOnce, rows - kept))", "store.oldest(table, rows)"]],
  },
  { name: "evicts-one-too-few", file: LAYING, edits: [["rows - kept)) + 1 });", "rows - kept)) });"]] },

  {
    name: "dropped-rows-stay-urgent",
    file: "protocols/sync/row-notes.ts",
    edits: [["      urgent.places.delete(slot);\n", ""]],
  },
  {
    name: "shard-version-without-horizon",
    file: PULL,
    edits: [
      [
        "const changed = grew || pull.rows > 0 || replica.horizon !== horizon;",
        "const changed = grew || pull.rows > 0;",
      ],
    ],
  },
  {
    name: "knowledge-without-settled-time",
    file: "protocols/sync/row-notes.ts",
    edits: [
      ["Math.max(settledOf(known, writer), known.knowledge", "Math.max(0 * settledOf(known, writer), known.knowledge"],
    ],
  },
];
