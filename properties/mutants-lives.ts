// Planted bugs between a shard and its node's poller, which start apart.
import { type Mutant } from "./mutant.ts";

export const LIFE_MUTANTS: readonly Mutant[] = [
  {
    name: "a-shard-that-starts-again-is-not-asked-for",
    file: "protocols/sync/poll.ts",
    edits: [
      ["if (!isNew && poller.lives.get(event.shard) === event.life) return answered;", "if (!isNew) return answered;"],
    ],
  },
  {
    name: "pulls-of-a-former-shard-go-on",
    file: "protocols/sync/poll.ts",
    edits: [["...loosePull(poller, event.shard), ...relist(poller)", "...relist(poller)"]],
  },
  {
    name: "any-end-of-a-pull-counts",
    file: "protocols/sync/poll-pulls.ts",
    edits: [
      ["return pulling?.pullId === pullId ? pulling : undefined;", "return pullId === '' ? undefined : pulling;"],
    ],
  },
  {
    name: "any-pull-is-given-up",
    file: "protocols/sync/own-pull.ts",
    edits: [
      [
        'return pull?.pullId === pullId ? fail(replica, pull, "given-up") : [];',
        'return pull !== undefined && pullId !== "" ? fail(replica, pull, "given-up") : [];',
      ],
    ],
  },
  {
    name: "any-pull-is-granted-frames",
    file: "protocols/sync/own-pull.ts",
    edits: [["if (pull?.pullId !== pullId) return [];", 'if (pull === undefined || pullId === "") return [];']],
  },
  {
    name: "any-standing-pull-is-hurried",
    file: "protocols/sync/pull-asks.ts",
    edits: [
      [
        "if (pull?.pullId !== pullId || !pull.isStanding) return [];",
        'if (pull?.isStanding !== true || pullId === "") return [];',
      ],
    ],
  },
  {
    name: "pulls-of-who-takes-over-go-on",
    file: "protocols/sync/poll-standing.ts",
    edits: [
      [
        "if (pulling.pending.peer !== peer) continue;",
        "if (pulling.pending.peer !== peer || pulling.standing === undefined) continue;",
      ],
    ],
  },
];
