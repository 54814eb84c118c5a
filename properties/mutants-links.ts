// Planted bugs in what goes over links, and in whom a poller asks.
import { type Mutant } from "./mutant.ts";

export const LINK_MUTANTS: readonly Mutant[] = [
  {
    name: "each-pull-its-own-window",
    file: "protocols/sync/links.ts",
    edits: [["let room = framesAllowed(window) - framesInFlight(link);", "let room = framesAllowed(window);"]],
  },
  {
    name: "frames-allowed-of-the-rest-hold-anew",
    file: "protocols/sync/pull-asks.ts",
    edits: [["answer.receivedCount + window : upTo - before);", "answer.receivedCount + window : upTo);"]],
  },
  {
    name: "waits-for-what-came-unasked",
    file: "protocols/sync/links.ts",
    edits: [["  pull.upTo = Math.max(pull.upTo, pull.received);\n", ""]],
  },
  {
    name: "asks-a-slow-link-again-and-again",
    file: "protocols/sync/own-pull.ts",
    edits: [["  else if (isSlow) effects.push(probe(replica, pull, answer));\n", ""]],
  },
  {
    name: "time-outs-never-grow",
    file: "protocols/sync/own-pull.ts",
    edits: [["if ((pull.retries & (pull.retries - 1)) !== 0) return", "if (false) return"]],
  },
  {
    name: "opens-an-unknown-link-with-all",
    file: "protocols/sync/links.ts",
    edits: [["    quickBytes: limits.unknownBytes,", "    quickBytes: Infinity,"]],
  },
  {
    name: "slow-link-is-not-waited-for",
    file: "protocols/sync/kept-answers.ts",
    edits: [["const PATIENCE_MAX = 4;", "const PATIENCE_MAX = 1;"]],
  },
  {
    name: "fruitless-pull-is-over-untold",
    file: "protocols/sync/own-pull.ts",
    edits: [
      [
        'else if (reason !== "gone") effects.push(letGo(pull));',
        'else if (reason !== "gone" && (pull.answer !== undefined || pull.stood)) effects.push(letGo(pull));',
      ],
    ],
  },
  {
    name: "window-never-shrinks",
    file: "protocols/sync/link-window.ts",
    edits: [["Math.min(2, Math.max(0.5, factor))", "Math.min(2, Math.max(1.05, factor))"]],
  },
  {
    name: "window-never-grows",
    file: "protocols/sync/link-window.ts",
    edits: [["Math.min(2, Math.max(0.5, factor))", "Math.min(1, Math.max(0.5, factor))"]],
  },
  {
    name: "long-ones-open-no-place",
    file: "protocols/sync/links.ts",
    edits: [
      ["  link.pulls.delete(shard);\n}", "  if (link.pulls.get(shard)?.isLong !== true) link.pulls.delete(shard);\n}"],
    ],
  },
  {
    name: "what-is-small-waits-for-catch-ups",
    file: "protocols/sync/links.ts",
    edits: [
      [
        "  const burst = burstOf(link);",
        "  if (!isLong && long > 0) return undefined;\n  const burst = burstOf(link);",
      ],
    ],
  },
  {
    name: "budget-forgets-its-debt",
    file: "protocols/sync/byte-budget.ts",
    edits: [
      [
        "budget.bytes = Math.min(budget.bytesMax, budget.bytes - bytes);",
        "budget.bytes = Math.max(0, Math.min(budget.bytesMax, budget.bytes - bytes));",
      ],
    ],
  },
  {
    name: "always-the-best-peer",
    file: "protocols/sync/poll-pulls.ts",
    edits: [["  if (owedA !== owedB) return owedB - owedA;\n", "  void [owedA, owedB];\n"]],
  },
];
