// Planted bugs in pulls that stand.
import { type Mutant } from "./mutant.ts";

const HELD = "protocols/sync/held-pulls.ts";
const STANDING = "protocols/sync/poll-standing.ts";
const LINKS = "protocols/sync/links.ts";

export const STANDING_MUTANTS: readonly Mutant[] = [
  {
    name: "what-stands-is-not-answered",
    file: "protocols/sync/answers.ts",
    edits: [["return takeDue(replica).flatMap(", "return takeDue(replica).slice(1).flatMap("]],
  },
  {
    name: "what-stood-is-no-pull-of-its-link",
    file: LINKS,
    edits: [
      [
        "  wakeStanding(link, shard);\n  const pull = link.pulls.get(shard);",
        "  const pull = link.pulls.get(shard);\n  wakeStanding(link, shard);",
      ],
    ],
  },
  {
    name: "stands-for-ever",
    file: "protocols/sync/answers.ts",
    edits: [["  if (replica.held.get(from)?.pullId === pullId) replica.held.delete(from);\n", ""]],
  },
  {
    name: "held-without-bound",
    file: HELD,
    edits: [["if (held.size >= limits.heldMax && oldest", "if (held.size >= 1_000 * limits.heldMax && oldest"]],
  },
  {
    name: "stands-after-nothing",
    file: "protocols/sync/own-pull.ts",
    edits: [["const isLevel = (changed || pull.stood) && sameVersion(", "const isLevel = sameVersion("]],
  },
  {
    name: "stands-with-who-knows-less",
    file: "protocols/sync/own-pull.ts",
    edits: [["(changed || pull.stood) && sameVersion(replica.version, end.version);", "changed || pull.stood;"]],
  },
  {
    name: "stands-once",
    file: "protocols/sync/own-pull.ts",
    edits: [["const isLevel = (changed || pull.stood) && sameVersion(", "const isLevel = changed && sameVersion("]],
  },
  {
    name: "listed-within-a-gap",
    file: "protocols/sync/poll-pulls.ts",
    edits: [["if (poller.resting.has(shard)) {", "if (poller.resting.has('')) {"]],
  },
  {
    name: "rests-for-ever",
    file: STANDING,
    edits: [["    if (poller.blocked.has(shard)) unblock(poller, shard);\n", ""]],
  },
  {
    name: "silent-pulls-keep-their-room",
    file: LINKS,
    edits: [["if (!isTooMuch() || nowMs - stood.sinceMs < standMs) break;", "if (standMs > 0) break;"]],
  },
  {
    name: "any-pull-gives-way",
    file: LINKS,
    edits: [["if (!isTooMuch() || nowMs - stood.sinceMs < standMs) break;", "if (!isTooMuch()) break;"]],
  },
  {
    name: "gives-way-and-goes-on",
    file: STANDING,
    edits: [["opened.giveWay.flatMap((other) => forgetStanding(poller, other))", "forgetStanding(poller, '')"]],
  },
  {
    name: "what-stands-hides-what-is-listed",
    file: STANDING,
    edits: [
      ['return what === "hurry" ? hurry(poller, pulling) : [];', "return what === '' ? hurry(poller, pulling) : [];"],
    ],
  },
  {
    name: "hurried-pull-still-stands",
    file: "protocols/sync/pull-asks.ts",
    edits: [
      [
        "  pull.retries = Math.max(0, limits.retriesMax - 1);\n  return [ask(replica, pull),",
        "  pull.retries = Math.max(0, limits.retriesMax - 1);\n  return [ask(replica, { ...pull, isStanding: true }),",
      ],
    ],
  },
  {
    name: "reports-while-a-pull-stands",
    file: "protocols/sync/settling.ts",
    edits: [["  if (pull !== undefined) return asked", "  if (pull !== undefined && !pull.isStanding) return asked"]],
  },
  {
    name: "waits-for-what-stands-to-report",
    file: "protocols/sync/settling.ts",
    edits: [["return asked !== undefined || isOver ? hurryPull(replica, pull) : [];", "return [];"]],
  },
  {
    name: "over-and-answered-again",
    file: "protocols/sync/answers.ts",
    edits: [
      [
        "  if (isOver(replica, { asker: from, pullId })) return",
        '  if (isOver(replica, { asker: from, pullId: "" })) return',
      ],
    ],
  },
  {
    name: "closed-and-answered-again",
    file: "protocols/sync/over-pulls.ts",
    edits: [["  noteOver(replica, { asker, pullId });\n", ""]],
  },
  {
    name: "hurried-and-over-untold",
    file: "protocols/sync/own-pull.ts",
    edits: [
      [
        'else if (reason !== "gone") effects.push(letGo(pull));',
        'else if (reason !== "gone" && (pull.answer !== undefined || pull.isStanding || !pull.stood)) effects.push(letGo(pull));',
      ],
    ],
  },
  {
    name: "stands-where-there-is-no-room",
    file: LINKS,
    edits: [["(left > 0 && frames > room)", "(left > 0 && frames > 9 * room)"]],
  },
  {
    name: "stands-beyond-the-budget",
    file: LINKS,
    edits: [["bytes > (budget?.bytesMax ?? Infinity)", "bytes > Infinity * (budget?.bytesMax ?? 1)"]],
  },
];
