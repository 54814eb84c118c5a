// Planted bugs in leases, and in what is left to a leader.
import { type Mutant } from "./mutant.ts";

export const LEADER_MUTANTS: readonly Mutant[] = [
  {
    name: "lease-by-wall-clock",
    file: "properties/world/leases.ts",
    edits: [["return this.#world.nowMs * (this.#speeds[node] ?? 1);", "return this.#world.clock(node);"]],
  },
  {
    name: "left-for-ever",
    file: "protocols/sync/poll-leaders.ts",
    edits: [["pending.isOverdue = ours !== undefined && !coversVersion(ours, left);", "void [ours, coversVersion];"]],
  },
  {
    name: "successor-waits-too-long",
    file: "protocols/leadership/lease.ts",
    edits: [
      [
        "seen.holder === state.self ? ageMs >= state.durationMs * RENEW_SHARE : ageMs >= state.durationMs;",
        "seen.holder === state.self ? ageMs >= state.durationMs * RENEW_SHARE : ageMs >= state.durationMs * 4;",
      ],
    ],
  },
  {
    name: "renewed-when-it-is-over",
    file: "protocols/leadership/lease.ts",
    edits: [["const RENEW_SHARE = 1 / 3;", "const RENEW_SHARE = 1.2;"]],
  },
  {
    name: "leader-does-not-look",
    file: "protocols/leadership/lease.ts",
    edits: [["  return nowMs < state.heldUntilMs;", "  return nowMs < Infinity && state.heldUntilMs > 0;"]],
  },
  {
    name: "holder-stops-late",
    file: "protocols/leadership/lease.ts",
    edits: [["const HOLDER_SHARE = 0.8;", "const HOLDER_SHARE = 1.6;"]],
  },
  {
    name: "leader-change-forgets-pulls",
    file: "protocols/sync/poll-leaders.ts",
    edits: [
      ["  const didFollow = follows(poller);", "  const didFollow = follows(poller);\n  poller.pulling.delete(shard);"],
    ],
  },
  {
    name: "left-although-nobody-leads",
    file: "protocols/sync/poll-leaders.ts",
    edits: [['if (leader === undefined) return "itself";', "if (leader === undefined) return undefined;"]],
  },
];
