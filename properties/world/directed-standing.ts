/*
 * Directed situations of pulls that stand: two replicas, driven by hand.
 */
import { SYNC_LIMITS } from "../../protocols/limits.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, type ReplicaEffect, stepReplica } from "../../protocols/sync/replica.ts";
import { type ReplicaEvent } from "../../protocols/sync/replica-state.ts";
import { createStanding } from "./directed-standing-polls.ts";
import { NOW, OURS, pullId, TABLES, THEIRS } from "./situation.ts";

/** A row is written where a pull stands: it is on its way with that, and makes its asker level again. */
export function oneCrossing(): string | undefined {
  const [a, b] = levelPair();
  const asked = step(a, { kind: "pull", peer: "b", pullId: pullId(2), stands: true });
  if (framesOf(deliver(b, asked)).length > 0) return "a pull of who has everything is answered at once";
  const written = write(b, 2n);
  const taken = deliver(a, written);
  if (a.store.rows(0) !== 2) return "a pull that stood was not answered with what changed";
  return taken.some((effect) => effect.kind === "pulled" && effect.outcome === "complete" && effect.isLevel)
    ? undefined
    : "the answer to a pull that stood does not make level";
}

/** Nothing changes, for however long: a pull stands, and neither end says anything or wakes up for it. */
export function standsInSilence(): string | undefined {
  const [a, b] = levelPair();
  const asked = step(a, { kind: "pull", peer: "b", pullId: pullId(2), stands: true });
  const held = deliver(b, asked);
  if (held.length > 0 || asked.some(({ kind }) => kind === "timer")) return "a pull that stands takes time";
  return createStanding().pulling.get("s/0")?.standing === "quiet" ? undefined : "a pull does not stand";
}

/** Its room is wanted: one message, and its peer keeps it no longer, nor a copy of it that comes later. */
export function givesWay(): string | undefined {
  const [a, b] = levelPair();
  const asked = step(a, { kind: "pull", peer: "b", pullId: pullId(2), stands: true });
  deliver(b, asked);
  deliver(b, step(a, { kind: "give-up", pullId: pullId(2) }));
  deliver(b, asked);
  return b.held.size > 0 || framesOf(write(b, 2n)).length > 0 ? "a pull that gave way stands on" : undefined;
}

/** It gives way after it was hurried, and its copy comes late: what is answered to the next pull must not have been given to it. */
export function hurriedGivesWay(): string | undefined {
  const [a, b] = levelPair();
  deliver(b, step(a, { kind: "pull", peer: "b", pullId: pullId(2), stands: true }));
  const hurried = step(a, { kind: "hurry", pullId: pullId(2) });
  deliver(b, step(a, { kind: "give-up", pullId: pullId(2) }));
  return framesOf(write(b, 2n)).length > 0 || framesOf(deliver(b, hurried)).length > 0
    ? "a pull that was hurried and gave way is answered"
    : undefined;
}

/** A pull that stood was asked for, as by a survey, and brought nothing: it stands again, or the next change would take three crossings. */
export function standsAgain(): string | undefined {
  const [a, b] = levelPair();
  deliver(b, step(a, { kind: "pull", peer: "b", pullId: pullId(2), stands: true }));
  const taken = deliver(a, deliver(b, step(a, { kind: "hurry", pullId: pullId(2) })));
  return taken.some((effect) => effect.kind === "pulled" && effect.outcome === "complete" && effect.isLevel)
    ? undefined
    : "a pull that was hurried stands no more";
}

/** Nothing has come of a pull that made both level: none is left standing, or there would be no end to it. */
export function onlyAfterNews(): string | undefined {
  const [a, b] = levelPair();
  const answered = deliver(b, step(a, { kind: "pull", peer: "b", pullId: pullId(2) }));
  const taken = deliver(a, answered);
  return taken.some((effect) => effect.kind === "pulled" && effect.outcome === "complete" && effect.isLevel)
    ? "a pull that brought nothing is followed by one that stands"
    : undefined;
}

/** We know what our peer does not: a pull would not stand there, but be answered with nothing at once. */
export function onlyWhenLevel(): string | undefined {
  const [a, b] = levelPair();
  write(a, 3n);
  write(b, 2n);
  const taken = deliver(a, deliver(b, step(a, { kind: "pull", peer: "b", pullId: pullId(2) })));
  return taken.some((effect) => effect.kind === "pulled" && effect.outcome === "complete" && effect.isLevel)
    ? "a pull is left standing with who knows less"
    : undefined;
}

/** A pull is hurried while its answer is on its way, and the copy arrives after all is over: it must not bring the rows again. */
export function lateCopy(): string | undefined {
  const [a, b] = levelPair();
  deliver(b, step(a, { kind: "pull", peer: "b", pullId: pullId(2), stands: true }));
  const answer = write(b, 2n);
  const hurried = step(a, { kind: "hurry", pullId: pullId(2) });
  deliver(b, deliver(a, answer));
  return framesOf(deliver(b, hurried)).length > 0 ? "a pull that is over is answered again" : undefined;
}

/** While an answer is on its way a row that it lists expires, and then a copy of its pull comes: it must not bring the other rows again. */
export function copyOfAClosedAnswer(): string | undefined {
  const [a, b] = levelPair();
  write(b, 2n);
  write(b, 3n, NOW + 2_000);
  const answer = deliver(b, step(a, { kind: "pull", peer: "b", pullId: pullId(2), stands: true }));
  if (framesOf(answer).length !== 1) return "a pull of who lacks something is to be answered at once";
  const hurried = step(a, { kind: "hurry", pullId: pullId(2) });
  step(b, { kind: "expire", table: 0, before: (NOW + 1_000) * 1_000 });
  const after = deliver(b, hurried);
  if (framesOf(after).length > 0) return "an answer that was closed on its way is given again";
  // Where it was lost.
  return deliver(a, after).some((effect) => effect.kind === "pulled" && effect.outcome === "failed")
    ? undefined
    : "who waits for an answer that was closed is not told";
}

/** A member is asked where it stands while a pull of its own stands: first nothing may be on its way to it any more. */
export function reportsAfterStanding(): string | undefined {
  const [a, b] = levelPair();
  deliver(b, step(a, { kind: "pull", peer: "b", pullId: pullId(2), stands: true }));
  const body = { asker: THEIRS, round: 1 };
  const during = step(a, { kind: "message", from: "b", message: "survey", body });
  if (during.some((effect) => effect.kind === "send" && effect.message === "report")) {
    return "a member reported while rows might be on their way to it";
  }
  const after = deliver(a, deliver(b, during));
  return after.some((effect) => effect.kind === "send" && effect.message === "report")
    ? undefined
    : "a member does not report while its pull stands";
}

/** a has all that b has, by a pull. */
function levelPair(): readonly [a: Replica, b: Replica] {
  const [a, b] = [OURS, THEIRS].map((writer) =>
    createReplica({ writer, limits: SYNC_LIMITS, store: createMapRowStore(TABLES, { state: true }) }),
  );
  if (a === undefined || b === undefined) throw new TypeError("Cannot begin: two replicas were to be made");
  write(b, 1n);
  const taken = deliver(a, deliver(b, step(a, { kind: "pull", peer: "b", pullId: pullId(1) })));
  deliver(b, taken);
  return [a, b];
}

/** Gives the messages among these effects to the other replica. */
function deliver(to: Replica, effects: readonly ReplicaEffect[]): readonly ReplicaEffect[] {
  const from = to.writer === OURS ? "b" : "a";
  return effects.flatMap((effect) =>
    effect.kind === "send" ? step(to, { kind: "message", from, message: effect.message, body: effect.body }) : [],
  );
}

function framesOf(effects: readonly ReplicaEffect[]): readonly ReplicaEffect[] {
  return effects.filter((effect) => effect.kind === "send" && effect.message === "frame");
}

function write(replica: Replica, key: bigint, nowMs = NOW): readonly ReplicaEffect[] {
  const writes = [
    { table: 0, keys: BigUint64Array.of(key), mutate: ({ floats }: { floats: Float32Array }) => void floats.fill(1) },
  ];
  return step(replica, { kind: "write", writes }, nowMs);
}

function step(replica: Replica, event: ReplicaEvent, nowMs = NOW): readonly ReplicaEffect[] {
  return stepReplica(replica, event, nowMs);
}
