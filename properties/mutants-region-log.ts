// Planted bugs in how a state manager follows the region log and appends to it.
import { type Mutant } from "./mutant.ts";

const FOLLOWER = "protocols/model-state/log-follower.ts";
const MANAGER = "actors/state-manager.ts";

export const REGION_LOG_MUTANTS: readonly Mutant[] = [
  {
    name: "an-append-that-was-refused-is-never-over",
    file: FOLLOWER,
    edits: [["const settles = sent?.isAnswered === true;", "const settles = sent?.isRead === true;"]],
  },
  {
    name: "an-append-is-made-beside-another",
    file: FOLLOWER,
    edits: [["  if (follower.sent !== undefined) return { refused };\n", ""]],
  },
  {
    name: "whatever-waits-is-taken-for-what-was-read",
    file: FOLLOWER,
    edits: [["find(({ entry }) => sameBytes(encodeEntry(entry), body))", "find(() => sent !== undefined)"]],
  },
  {
    name: "what-was-copied-is-believed-unread",
    file: "actors/follow-log.ts",
    edits: [["deadline });\n    return undefined;", "deadline });\n    return part;"]],
  },
  {
    name: "own-stream-is-not-read-after-a-copy-failed",
    file: MANAGER,
    edits: [["if (ended !== undefined) noteTurn", 'if (ended?.outcome.kind === "done") noteTurn']],
  },
  {
    name: "an-appended-entry-needs-no-last-sequence",
    file: MANAGER,
    edits: [['{ stream: "LOG", ...append }', '{ stream: "LOG", body: append.body }']],
  },
  {
    name: "what-is-forced-waits-for-the-logs-home",
    file: FOLLOWER,
    edits: [["if (isForced(entry)) return true;", "if (isForced(entry)) return follower.caughtUp;"]],
  },
  {
    name: "an-epoch-begins-where-training-is",
    file: FOLLOWER,
    edits: [['isForced(entry) && duty === "trains"', 'isForced(entry) && duty === "hands-over"']],
  },
  {
    name: "what-the-log-has-overtaken-is-appended",
    file: FOLLOWER,
    edits: [
      ["wouldCount(follower.log, entry) ? undefined", "wouldCount(follower.log, entry) || isForced(entry) ? undefined"],
    ],
  },
  {
    name: "reads-go-on-beside-those-of-a-new-log",
    file: MANAGER,
    edits: [
      [
        "        replaceLog(follower, next);\n",
        '        replaceLog(follower, next);\n        context.after(0, "follow", {});\n',
      ],
    ],
  },
  {
    name: "a-log-half-taken-over-is-left",
    file: "actors/succession.ts",
    edits: [["if (adopting?.later === undefined) adopting = undefined;", "adopting = undefined;"]],
  },
  {
    name: "a-node-that-keeps-no-log-asks-other-regions-only",
    file: "actors/succession.ts",
    edits: [["region !== config.region || !config.mayTrain", "region !== config.region"]],
  },
  {
    name: "a-log-is-taken-over-whatever-its-epoch",
    file: "actors/succession.ts",
    edits: [
      ["!book.isTruer(found)", "!book.knowsOwn() || found.epoch === 0"],
      ["if (!book.isTruer(extentOf(later.log)))", "if (epochOfLog(later.log) === 0)"],
    ],
  },
  {
    name: "a-log-is-compared-with-what-was-known-when-others-were-asked",
    file: "actors/succession.ts",
    edits: [
      [
        "const found = findLatest(peers, ports);",
        "const asked = epochOfLog(book.log());\n          const found = findLatest(peers, ports).then((each) => each && { ...each, epoch: each.epoch > asked ? 9 : 0 });",
      ],
      ["if (!book.isTruer(extentOf(later.log)))", "if (epochOfLog(later.log) === 0)"],
    ],
  },
  {
    name: "a-part-of-a-copy-is-believed",
    file: FOLLOWER,
    edits: [
      ["return !knowsOwn && !reaches(extentOf(log), least);", "return !knowsOwn && log.applied < 0 && least.last < 0;"],
    ],
  },
  {
    name: "how-far-a-copy-is-to-come-is-not-said",
    file: "actors/later-epoch.ts",
    edits: [["  await writeLeast(stream, { log, deadline });\n", ""]],
  },
  {
    name: "how-far-a-copy-is-to-come-is-said-once-all-is-lost",
    file: "actors/later-epoch.ts",
    edits: [
      ["  await writeLeast(stream, { log, deadline });\n", ""],
      [
        '  const copy = { ...install, stream: "LOG"',
        '  await writeLeast(stream, { log, deadline });\n  const copy = { ...install, stream: "LOG"',
      ],
    ],
  },
  {
    name: "how-far-what-was-lost-is-to-come-is-not-said",
    file: "actors/follow-log.ts",
    edits: [["    if (config.mayTrain) await writeLeast(stream, { log, deadline });\n", ""]],
  },
  {
    name: "what-was-lost-is-taken-from-the-longest-log",
    file: "actors/follow-log.ts",
    edits: [
      [
        "if (reaches(extentOf(latest.log), extentOf(log))) continue;",
        "if (latest.log.applied >= log.applied) continue;",
      ],
    ],
  },
  {
    name: "a-log-that-was-lost-is-taken-for-one-that-was-begun-anew",
    file: "actors/follow-log.ts",
    edits: [
      [
        "if (part.messages.length > 0 || !wasWhole) return own;",
        "if (part.messages.length > 0 || least !== undefined) return own;",
      ],
    ],
  },
  {
    name: "what-was-lost-is-copied-and-not-said-to-be-whole",
    file: "actors/follow-log.ts",
    edits: [["    if (config.mayTrain) await writeLeast(stream, { log, isWhole: true, deadline });\n", ""]],
  },
  {
    name: "a-log-of-a-later-epoch-is-copied-and-not-said-to-be-whole",
    file: "actors/later-epoch.ts",
    edits: [["  await writeLeast(stream, { log, isWhole: true, deadline });\n", ""]],
  },
  {
    name: "any-log-takes-the-place-of-a-part",
    file: FOLLOWER,
    edits: [["isPart(follower) && reaches(found, follower.least)", "isPart(follower)"]],
  },
  {
    name: "only-a-later-epoch-takes-the-place-of-a-part",
    file: FOLLOWER,
    edits: [["isPart(follower) && reaches(found, follower.least)", "found.epoch > epochOfLog(follower.log)"]],
  },
  {
    name: "a-log-that-took-the-place-of-a-part-is-not-known",
    file: FOLLOWER,
    edits: [["  follower.knowsOwn = true;\n  follower.caughtUp = false;", "  follower.caughtUp = false;"]],
  },
];
