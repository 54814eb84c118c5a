// Planted bugs in the poll between nodes that show over several starts of its ends.
import { type Mutant } from "./mutant.ts";

const NEIGHBOURS = "protocols/sync/poll-neighbours.ts";

export const POLL_MUTANTS: readonly Mutant[] = [
  {
    name: "any-answer-counts",
    file: NEIGHBOURS,
    edits: [["!neighbour.asked || neighbour.pollId !== pollId) {", "!neighbour.asked || pollId < 0) {"]],
  },
  {
    name: "what-is-listed-during-a-pull-is-not-noted",
    file: NEIGHBOURS,
    edits: [
      [
        "if (!poller.changes.byShard.has(shard)) return;",
        "if (!poller.changes.byShard.has(shard) || poller.pulling.has(shard)) return;",
      ],
    ],
  },
  {
    name: "a-new-shard-is-not-asked-for",
    file: "protocols/sync/poll.ts",
    edits: [["...relist(poller), ...startPulls(poller, nowMs)];", "...startPulls(poller, nowMs)];"]],
  },
  {
    name: "the-rest-of-a-list-is-skipped",
    file: "protocols/sync/poll-answers.ts",
    edits: [
      ["cursor: { writer, change: upTo }", "cursor: { writer, change: changes.latest === 0 ? upTo : changes.latest }"],
    ],
  },
];
