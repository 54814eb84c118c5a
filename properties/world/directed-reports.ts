/*
 * Reports to a primary that are late, or of who is none to report. Each says what does not hold.
 */
import { NO_HORIZON } from "../../protocols/sync/horizon.ts";
import { type Replica, type ReplicaEffect, stepReplica } from "../../protocols/sync/replica.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { buildReport } from "../../protocols/wire/survey.ts";
import { Shard } from "./directed-horizon.ts";
import { NOW } from "./situation.ts";

const PULL = "f".repeat(32);

/** V9: one that is the primary a second time settles nothing by what members said the first time. */
function reportsOfTheFirstTime(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b"]) shard.start(name);
  const a = shard.at("a");
  shard.write("a", 1n, NOW);
  shard.pull("b", "a");
  const settle = { kind: "settle", members: ["b"], isAloof: true, pullId: PULL } as const;
  const late: unknown[] = [];
  for (let round = 0; round < 2; round += 1) {
    const [asked] = stepReplica(a, settle, NOW);
    const said = answer(shard.at("b"), asked);
    // Of the first round a copy came in time.
    if (round === 0) stepReplica(a, { kind: "message", from: "b", message: "report", body: said }, NOW);
    late.push(said);
  }
  // Training moves away and back; meanwhile the member lost its disk.
  a.survey = undefined;
  shard.start("b", 2);
  for (const body of late) {
    stepReplica(a, settle, NOW);
    stepReplica(a, { kind: "message", from: "b", message: "report", body }, NOW);
  }
  return a.horizon.settled === 0 ? undefined : "reports to a primary of before settled what a member does not hold";
}

/** X10: whoever is no member settles nothing, and is asked for no copy, however far it says that it is. */
function reportOfAStranger(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b"]) shard.start(name);
  const a = shard.at("a");
  shard.write("a", 1n, NOW);
  const settle = { kind: "settle", members: ["b"], isAloof: true, pullId: PULL } as const;
  stepReplica(a, settle, NOW);
  const said = { knowledge: new Map(), upTo: 0, strays: 0, writer: parseWriterId("0.sim.stranger.l1") };
  // The first is within reach, the second not.
  for (const before of [0, 8]) {
    const horizon = { ...NO_HORIZON, settled: 9, before };
    const body = buildReport({ asker: a.writer, round: 1 }, { ...said, horizon });
    const told = stepReplica(a, { kind: "message", from: "stranger", message: "report", body }, NOW);
    if (a.horizon.settled !== 0) return "a stranger settled something";
    const effects = [...told, ...stepReplica(a, settle, NOW)];
    if (effects.some((effect) => effect.kind === "send" && effect.to === "stranger")) {
      return "a stranger was asked for a copy that replaces all rows";
    }
  }
  return undefined;
}

/** P4: a primary that lost its disk takes one copy, and nothing of a second member that its trainers are to learn again. */
function oneCopyIsEnough(): string | undefined {
  const shard = new Shard();
  function settle(turns: number): void {
    for (let turn = 0; turn < turns; turn += 1) shard.settle("a", ["b", "c"], true);
  }
  for (const name of ["a", "b", "c"]) shard.start(name);
  const { writer } = shard.at("a");
  // Enough that the second member reports before the copy of the first is whole.
  for (let key = 10n; key < 40n; key += 1n) shard.write("a", key, NOW);
  for (const member of ["b", "c"]) shard.pull(member, "a");
  settle(2);
  for (const member of ["b", "c"]) shard.pull(member, "a");
  if (shard.at("b").horizon.settled === 0) return "what all members know was to be settled";
  shard.write("a", 8n, NOW + 1_000);
  shard.pull("c", "a");
  shard.start("a", 2);
  settle(3);
  const a = shard.at("a");
  if (a.horizon.settled !== shard.at("b").horizon.settled) return "a primary that lost its disk takes no copy";
  return a.store.versionOf(0, 8n)?.writer === writer
    ? "a primary pulls what its trainers learn again from a second member"
    : undefined;
}

function answer(member: Replica, asked: ReplicaEffect | undefined): unknown {
  const body = asked?.kind === "send" ? asked.body : undefined;
  const effects = stepReplica(member, { kind: "message", from: "a", message: "survey", body }, NOW);
  return effects.flatMap((effect) => (effect.kind === "send" && effect.message === "report" ? effect.body : []))[0];
}

export const REPORTS = [
  ["V9", reportsOfTheFirstTime],
  ["X10", reportOfAStranger],
  ["P4", oneCopyIsEnough],
] as const;
