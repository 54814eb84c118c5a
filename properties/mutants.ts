/*
 * Planted bugs. Each is an edit of a source text, made while the module is loaded in a test's own thread: the code that ships
 * has no switch for it. A text that no longer stands exactly once in its file fails the run, so the list cannot go stale.
 */

import { type Mutant } from "./mutant.ts";
import { CACHE_MUTANTS } from "./mutants-cache.ts";
import { EPOCH_MUTANTS } from "./mutants-epochs.ts";
import { EXCHANGE_MUTANTS } from "./mutants-exchange.ts";
import { LEADER_MUTANTS } from "./mutants-leaders.ts";
import { HORIZON_MUTANTS } from "./mutants-horizon.ts";
import { LIFE_MUTANTS } from "./mutants-lives.ts";
import { LINK_MUTANTS } from "./mutants-links.ts";
import { RULE_MUTANTS } from "./mutants-rules.ts";
import { STANDING_MUTANTS } from "./mutants-standing.ts";
import { URGENT_MUTANTS } from "./mutants-urgent.ts";

export const MUTANTS: readonly Mutant[] = [
  {
    name: "join-on-last-frame",
    file: "protocols/sync/own-pull.ts",
    edits: [
      ["if (answer.receivedCount === framesOf(answer) && answer.end !== undefined)", "if (answer.end !== undefined)"],
    ],
  },
  {
    name: "count-repeated-frames",
    file: "protocols/sync/own-pull.ts",
    edits: [["if (pull.answer?.received[frame.index] === 1)", "if (false)"]],
  },
  {
    name: "mix-answers",
    file: "protocols/sync/own-pull.ts",
    edits: [
      ["if (pull.answer !== undefined && !sameAnswer(pull.answer.id, frame.answer))", "if (false)"],
      [
        "if (pull.answer !== undefined && pull.answer.received.length !== frame.frames)",
        "if (frame.index >= (pull.answer?.received.length ?? Infinity))",
      ],
    ],
  },
  {
    name: "accept-foreign-pull",
    file: "protocols/sync/own-pull.ts",
    edits: [
      [
        "if (pull === undefined || pull.asksAs !== frame.pullId || pull.peer !== from)",
        "if (pull === undefined || pull.peer !== from)",
      ],
    ],
  },
  {
    name: "knowledge-after-list",
    file: "protocols/sync/answers.ts",
    edits: [["knowledge: new Map(replica.knowledge),", "knowledge: replica.knowledge,"]],
  },
  {
    name: "list-cut-short",
    file: "protocols/sync/answers.ts",
    edits: [["return [...cuts, list.slots.length];", "return cuts.length > 1 ? cuts : [...cuts, list.slots.length];"]],
  },
  {
    name: "no-tie-break",
    file: "protocols/sync/writer-dictionary.ts",
    edits: [['return (this.ids[a.writer] ?? "") > (this.ids[b.writer] ?? "");', "return false;"]],
  },
  {
    name: "arrival-order-wins",
    file: "protocols/sync/map-row-store.ts",
    edits: [["if (old !== undefined && !this.#writers.isNewer({ t, writer }, old)) continue;", ""]],
  },
  {
    name: "values-of-another-row",
    file: "protocols/sync/map-row-store.ts",
    edits: [["batch.values.slice(index * valueBytes, (index + 1) * valueBytes)", "batch.values.slice(0, valueBytes)"]],
  },
  {
    name: "early-rows-forgotten-on-restart",
    file: "protocols/sync/replica.ts",
    edits: [
      [
        "  fileRows(replica.cache, { ...rows, before }, { known, early: replica.early });",
        "  for (const [at, t] of rows.t.entries()) join(replica.knowledge, new Map([[store.writers[rows.writers[at] ?? 0] ?? writer, t]]));",
      ],
    ],
  },
  {
    name: "knowledge-overwritten",
    file: "protocols/sync/knowledge.ts",
    edits: [["if (t > (into.get(writer) ?? 0))", "if (t !== (into.get(writer) ?? 0))"]],
  },
  {
    name: "wall-clock-stamps",
    file: "protocols/sync/stamper.ts",
    edits: [
      ["Math.max(Math.floor(nowMs * 1000), stamper.last + 1, stamper.greatestSeen + 1)", "Math.floor(nowMs * 1000)"],
    ],
  },
  {
    name: "stamps-ignore-what-was-seen",
    file: "protocols/sync/stamper.ts",
    edits: [["stamper.last + 1, stamper.greatestSeen + 1)", "stamper.last + 1)"]],
  },
  {
    name: "reuse-writer-id",
    file: "properties/world/shard-restarts.ts",
    edits: [["nonce: `l${life}${start}`", "nonce: `l1`"]],
  },
  {
    name: "shard-counter-goes-back",
    file: "protocols/sync/row-notes.ts",
    edits: [["  replica.counter += 1;", "  replica.counter = replica.version.counter + 1;"]],
  },
  {
    name: "adopt-without-equality",
    file: "protocols/sync/own-pull.ts",
    edits: [["    equalKnowledge(knowledge, end.knowledge);", "    equalKnowledge(knowledge, end.knowledge) || true;"]],
  },
  {
    name: "failed-pull-keeps-shard-version",
    file: "protocols/sync/own-pull.ts",
    edits: [["if (pull.rows > 0) effects.push", "if (false) effects.push"]],
  },
  {
    name: "cursor-moves-when-sent",
    file: "protocols/sync/poll-answers.ts",
    edits: [
      ["/** Someone who polls us. */", "const sent = new WeakMap<Asker, number>();\n/** Someone who polls us. */"],
      [
        "changesAfter(changes, { change: after,",
        "changesAfter(changes, { change: Math.max(after, sent.get(asker) ?? 0),",
      ],
      ["  asker.resting = true;", "  sent.set(asker, upTo); asker.resting = true;"],
    ],
  },
  {
    name: "failed-pull-forgets-its-frames",
    file: "protocols/sync/own-pull.ts",
    edits: [['if (pull.answer !== undefined && reason === "no-answer") keep', "if (false) keep"]],
  },
  {
    name: "older-answer-completes-a-pull",
    file: "protocols/sync/own-pull.ts",
    edits: [
      ["  if (pull.asksAs !== pull.pullId) {\n    replica.pull = pull;", "  if (false) {\n    replica.pull = pull;"],
    ],
  },
  {
    name: "goes-on-with-a-closed-answer",
    file: "protocols/sync/own-pull.ts",
    edits: [['if (reason !== "gone" || pull.asksAs === pull.pullId)', 'if (reason === "gone")']],
  },
  {
    name: "failed-pull-forgets-shard",
    file: "protocols/sync/poll-pulls.ts",
    edits: [["  pending.failures += 1;", "  neighbour.pending.delete(shard); pending.failures += 1;"]],
  },
  {
    name: "older-pull-settles-newer-change",
    file: "protocols/sync/poll-pulls.ts",
    edits: [["if (pending.again) makeReady(poller, pending);\n    else neighbour", "neighbour"]],
  },
  {
    name: "checksum-off",
    file: "protocols/wire/frame-codec.ts",
    edits: [["if (crc32c(bytes, 0, end) !== checksum)", "if (crc32c(bytes, 0, end) === -1)"]],
  },
  {
    name: "swap-shard-versions",
    file: "protocols/sync/shard-version.ts",
    edits: [["return merge.changed ? merge.peers : greaterVersion(merge.ours, merge.peers);", "return merge.peers;"]],
  },
  ...CACHE_MUTANTS,
  ...EPOCH_MUTANTS,
  ...EXCHANGE_MUTANTS,
  ...RULE_MUTANTS,
  ...LEADER_MUTANTS,
  ...LIFE_MUTANTS,
  ...LINK_MUTANTS,
  ...HORIZON_MUTANTS,
  ...STANDING_MUTANTS,
  ...URGENT_MUTANTS,
];
