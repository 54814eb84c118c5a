// Planted bugs in answering, pulling, the store of rows and the image.
import { type Mutant } from "./mutant.ts";

export const EXCHANGE_MUTANTS: readonly Mutant[] = [
  {
    name: "asker-known-one-too-far",
    file: "protocols/sync/answers.ts",
    edits: [["const known = knownTimes(store, theirs);", "const known = knownTimes(store, theirs).map((t) => t + 1);"]],
  },
  {
    name: "whole-shard-in-each-answer",
    file: "protocols/sync/answers.ts",
    edits: [["store.collect(known, lackingSlots(", "store.collect(new Float64Array(), lackingSlots("]],
  },
  {
    name: "responder-learns-from-asker",
    file: "protocols/sync/answers.ts",
    edits: [
      [
        "  makeRoom(replica);\n  const isAsked",
        "  for (const [writer, t] of pull.knowledge) if (t > (replica.knowledge.get(writer) ?? 0)) replica.knowledge.set(writer, t);\n  makeRoom(replica);\n  const isAsked",
      ],
    ],
  },
  {
    name: "answers-kept-for-ever",
    file: "protocols/sync/answers.ts",
    edits: [["if (open.length < replica.limits.answersMax) return;", "return;"]],
  },
  {
    name: "oldest-answer-gives-way",
    file: "protocols/sync/answers.ts",
    edits: [["?? open.at(-1);", "?? open[0];"]],
  },
  {
    name: "short-answers-keep-their-room",
    file: "protocols/sync/answers.ts",
    edits: [["const last = open.find(({ cuts }) => cuts.length === 2) ??", "const last ="]],
  },
  {
    name: "each-answer-has-its-own-sweeps",
    file: "protocols/sync/answers.ts",
    edits: [["  if (replica.isSweeping) return [];", ""]],
  },
  {
    name: "resend-forgets-first",
    file: "protocols/sync/answers.ts",
    edits: [
      [
        "return sendFrames(replica, answer, { indexes: frames,",
        "return sendFrames(replica, answer, { indexes: frames.slice(1),",
      ],
    ],
  },
  {
    name: "serving-replica-answers-full",
    file: "protocols/sync/answers.ts",
    edits: [['if (pull.wantsState && !replica.store.hasState) return [refuse(from, pullId, "serving")];', ""]],
  },
  {
    name: "state-left-behind",
    file: "protocols/sync/map-row-store.ts",
    edits: [["? batch.state.slice(index * stateBytes, (index + 1) * stateBytes)", "? new Uint8Array(stateBytes)"]],
  },
  {
    name: "rounded-again-at-each-relay",
    file: "protocols/sync/map-row-store.ts",
    edits: [
      [
        "values: new Uint8Array(values),",
        "values: new Uint8Array(values).map((byte, at) => (at > 0 ? byte : byte & 0xf0)),",
      ],
    ],
  },
  {
    name: "rounded-towards-zero",
    file: "protocols/sync/precision.ts",
    edits: [
      [
        "new Uint8Array(Float16Array.from(exact).buffer)",
        "new Uint8Array(Float16Array.from(exact, (x) => Math.abs(Math.f16round(x)) > Math.abs(x) ? x * (1 - 2 ** -11) : x).buffer)",
      ],
    ],
  },
  {
    name: "small-steps-are-lost",
    file: "protocols/sync/precision.ts",
    edits: [["return Math.f16round(number) === value ? number : value;", "return number === value ? number : value;"]],
  },
  {
    name: "exact-numbers-of-another-row",
    file: "protocols/sync/precision.ts",
    edits: [
      [
        "return Math.f16round(number) === value ? number : value;",
        "return value === 0 && number === 0 ? value : number;",
      ],
    ],
  },
  {
    name: "bytes-rounded-down",
    file: "protocols/sync/precision.ts",
    edits: [["(exact[at] ?? 0) / scale + TO_WHOLE - TO_WHOLE", "Math.floor((exact[at] ?? 0) / scale)"]],
  },
  {
    name: "scale-of-the-first-row",
    file: "protocols/sync/precision.ts",
    edits: [
      [
        "const scale = view.getFloat32(from, true);\n    for (let at = 0; at < dim",
        "const scale = view.getFloat32(0, true);\n    for (let at = 0; at < dim",
      ],
    ],
  },
  {
    name: "small-steps-are-lost-in-bytes",
    file: "protocols/sync/precision.ts",
    edits: [
      [
        "every((byte, at) => byte === values[at]) ? whole : held;",
        "every((byte, at) => byte === values[at]) ? held : held;",
      ],
    ],
  },
  {
    name: "bytes-of-lost-state",
    file: "protocols/sync/precision.ts",
    edits: [
      [
        "every((byte, at) => byte === values[at]) ? whole : held;",
        "every((byte, at) => byte === values[at]) ? whole : whole;",
      ],
    ],
  },
  {
    name: "deletion-arrives-as-row",
    file: "protocols/sync/map-row-store.ts",
    edits: [["flags: batch.flags[index] ?? 0,", "flags: 0,"]],
  },
  {
    name: "deletions-not-listed",
    file: "protocols/sync/map-row-store.ts",
    edits: [
      [
        "if (row !== undefined && row.t > (known[row.writer] ?? 0)) byTable",
        "if (row !== undefined && !(row.flags & TOMBSTONE) && row.t > (known[row.writer] ?? 0)) byTable",
      ],
    ],
  },
  {
    name: "writers-of-the-frame",
    file: "protocols/sync/apply-rows.ts",
    edits: [["writers: reindexed(section.writers, indexes)", "writers: section.writers"]],
  },
  {
    name: "early-set-cleared",
    file: "protocols/sync/row-notes.ts",
    edits: [["  noteRows(replica, { ...rows, before: rows });", "  early.clear();"]],
  },
  {
    name: "early-row-advances-knowledge",
    file: "protocols/sync/row-notes.ts",
    edits: [
      [
        "  const known = knownTimes(store, knownOf(replica));\n  for (const rows of batches)",
        "  for (const { t, writers } of batches) for (const [at, time] of t.entries()) { const by = store.writers[writers[at] ?? 0] ?? replica.writer; replica.knowledge.set(by, Math.max(time, replica.knowledge.get(by) ?? 0)); }\n  const known = knownTimes(store, knownOf(replica));\n  for (const rows of batches)",
      ],
    ],
  },
  {
    name: "no-write-during-a-pull",
    file: "protocols/sync/replica.ts",
    edits: [
      [
        "  const rowsMax = writes.reduce(",
        '  if (replica.pull !== undefined) return [{ kind: "written", rows: 0, refused: 0, duplicate: false }];\n  const rowsMax = writes.reduce(',
      ],
    ],
  },
  {
    name: "relay-is-silent",
    file: "protocols/sync/own-pull.ts",
    edits: [
      [
        "if (!sameVersion(replica.version, before)) effects.push",
        "if (sameVersion(replica.version, { ...before, counter: 0 })) effects.push",
      ],
    ],
  },
  {
    name: "pull-waits-for-ever",
    file: "protocols/sync/own-pull.ts",
    edits: [
      [
        'if (pull.retries > replica.limits.retriesMax * patience) return fail(replica, pull, "no-answer");',
        "if (pull.retries > replica.limits.retriesMax * patience) return [];",
      ],
    ],
  },
  {
    name: "retry-by-chance",
    twice: true,
    file: "protocols/sync/pull-asks.ts",
    edits: [["delayMs: replica.limits.retryMs };", "delayMs: replica.limits.retryMs * (1 + Math.random() / 10) };"]],
  },
  {
    name: "image-one-row-short",
    file: "protocols/sync/image.ts",
    edits: [["to: list.slots.length }", "to: Math.max(0, list.slots.length - 1) }"]],
  },
  {
    name: "image-checksum-off",
    file: "protocols/sync/image.ts",
    edits: [["if (crc32c(bytes, 0, end) !== checksum)", "if (crc32c(bytes, 0, end) === -1)"]],
  },
  {
    name: "merge-order-by-writer",
    file: "protocols/sync/writer-dictionary.ts",
    edits: [["if (a.t !== b.t) return a.t > b.t;", ""]],
  },
];
