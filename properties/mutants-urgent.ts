// Planted bugs in urgent rows, and in what becomes of rows left early.
import { type Mutant } from "./mutant.ts";

const PULL = "protocols/sync/urgent-pull.ts";
const ROWS = "protocols/sync/apply-rows.ts";
const LIST = "protocols/sync/urgent-rows.ts";
const REPLICA = "protocols/sync/replica.ts";
const ORPHANS = "protocols/sync/orphans.ts";

export const URGENT_MUTANTS: readonly Mutant[] = [
  {
    name: "urgent-advances-knowledge",
    file: PULL,
    edits: [
      [
        "  // It was packed for a cursor",
        "  for (const { t, writers } of frame.sections) t.forEach((time, at) => { const by = frame.writers[writers[at] ?? 0]; if (by !== undefined) replica.knowledge.set(by, Math.max(time, replica.knowledge.get(by) ?? 0)); });\n  // It was packed for a cursor",
      ],
    ],
  },
  {
    name: "urgent-skips-cache",
    file: ROWS,
    edits: [
      [
        "    if (fresh === undefined) noteRows(replica, merged);",
        '    if (origin === "urgent") for (const slot of slots) replica.early.add(slot);\n    else if (fresh === undefined) noteRows(replica, merged);',
      ],
    ],
  },
  {
    name: "urgent-frame-completes-its-answer",
    file: PULL,
    edits: [
      [
        "  if (frame.sections.length === 0)",
        "  if (pull.answer !== undefined && pull.answer.asked < pull.answer.received.length) { pull.answer.received[pull.answer.asked] = 1; pull.answer.receivedCount += 1; pull.answer.asked += 1; }\n  if (frame.sections.length === 0)",
      ],
    ],
  },
  {
    name: "urgent-cursor-overwritten-instead-of-max",
    file: LIST,
    edits: [["held.number >= given.number ? held : given", "held.number === given.number ? held : given"]],
  },
  {
    name: "urgent-cursor-skips-what-did-not-fit",
    file: LIST,
    edits: [
      [
        "return { slots: Float64Array.from(slots), upTo };",
        "return { slots: Float64Array.from(slots), upTo: list.latest };",
      ],
    ],
  },
  {
    name: "urgent-cursor-of-another-life",
    file: "protocols/sync/answers.ts",
    edits: [["cursor?.writer === replica.writer ? Math.min(cursor.number, urgent.latest) : 0", "cursor?.number ?? 0"]],
  },
  {
    name: "urgent-list-without-bound",
    file: LIST,
    edits: [["if (places.size <= list.rowsMax) return;", "if (places.size <= 2 ** 20) return;"]],
  },
  {
    name: "urgent-rows-are-not-relayed",
    file: ROWS,
    edits: [['if (origin === "urgent") noteUrgent(', "if (slots.length > 2 ** 20) noteUrgent("]],
  },
  {
    name: "urged-rows-are-not-listed",
    file: REPLICA,
    edits: [["  noteUrgent(urgent, { slots, bytes", "  if (slots.length > 2 ** 20) noteUrgent(urgent, { slots, bytes"]],
  },
  {
    name: "urged-rows-need-not-be-there",
    file: REPLICA,
    edits: [["store.slotOf(table, key) ?? []", "store.slotOf(table, key) ?? [0]"]],
  },
  {
    name: "urged-rows-are-taken-for-known",
    file: REPLICA,
    edits: [
      ["function urge({ store, urgent }: Replica,", "function urge({ store, urgent, early }: Replica,"],
      [
        "  noteUrgent(urgent, { slots, bytes",
        "  for (const slot of slots) early.delete(slot);\n  noteUrgent(urgent, { slots, bytes",
      ],
    ],
  },
  {
    name: "strict-priority-without-ageing",
    file: "protocols/sync/own-pull.ts",
    edits: [["if (pull !== undefined && holdName(pull) === name) {", 'if (pull !== undefined && name === "never") {']],
  },
  {
    name: "orphan-never-reported",
    file: ORPHANS,
    edits: [
      [
        "if (left.length === 0 || primary === undefined) return [];",
        'if (left.length === 0 || primary?.kind !== "self") return [];',
      ],
    ],
  },
  {
    name: "orphan-of-a-row-not-held-is-left",
    file: ORPHANS,
    edits: [['(isNew ? "delete" : undefined)', '(isNew ? "skip" : undefined)']],
  },
  {
    name: "orphan-written-below-its-version",
    file: ORPHANS,
    edits: [["    observe(stamper, t);\n", ""]],
  },
  {
    name: "reports-write-without-bound",
    file: ORPHANS,
    edits: [["isBounded && replica.orphans.settled >= limits.orphansMax", "isBounded && limits.orphansMax < 0"]],
  },
  {
    name: "urgent-frames-unchecked",
    file: PULL,
    edits: [["if (problem !== undefined) return", 'if (problem?.reason === "full") return']],
  },
  {
    name: "orphan-reported-once",
    file: ORPHANS,
    edits: [["  orphans.isWatching = false;\n", ""]],
  },
];
