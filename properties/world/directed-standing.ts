/*
 * Directed situations of pulls that stand: two replicas and one poller, driven by hand.
 */
import { LINK_LIMITS, POLL_LIMITS, SYNC_LIMITS } from "../../protocols/limits.ts";
import { createLink, openStanding } from "../../protocols/sync/links.ts";
import { framesAllowed } from "../../protocols/sync/link-window.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createPoller, type PollEffect, type Poller, stepPoller } from "../../protocols/sync/poll.ts";
import { createReplica, type Replica, type ReplicaEffect, stepReplica } from "../../protocols/sync/replica.ts";
import { type ReplicaEvent } from "../../protocols/sync/replica-state.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { pullIds } from "./names.ts";

const NOW = 1_760_000_000_000;
const OURS = parseWriterId("0.sim.a.l1");
const THEIRS = parseWriterId("0.sim.b.l1");
const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "test" },
];

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

/** Much has changed where a pull stands: what did not come unasked is asked for. */
export function longAnswer(): string | undefined {
  const poller = createStanding();
  const effects = stepPoller(
    poller,
    { kind: "frame", shard: "s/0", pullId: running(poller), bytes: 9_000, frames: 5 },
    1,
  );
  return effects.some((effect) => effect.kind === "grant" && effect.upTo > 1)
    ? undefined
    : "the rest of an answer to a pull that stood is never asked for";
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

/** A shard is listed just after a pull made it level: it waits for the end of the gap, and then for no pull that stands. */
export function keepsTheGap(): string | undefined {
  const { poller, effects } = createLevel();
  if (hasPull(list(poller, { peer: "b", counter: 9 }))) return "two answers come within one gap";
  const after = timersOf(effects).flatMap((name) => stepPoller(poller, { kind: "timer", name }));
  return after.some((effect) => effect.kind === "pull" && effect.stands !== true)
    ? undefined
    : "what was listed within a gap is not pulled after it";
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

/** The peer lists the shard, or another does, and nothing comes of the pull that stands: it is asked for, and then the other. */
export function standingExpected(): string | undefined {
  const poller = createStanding();
  stepPoller(poller, { kind: "neighbour", peer: "c" });
  const listed = list(poller, { peer: "c", counter: 9 });
  if (hasPull(listed)) return "a shard is pulled twice at once";
  const hurried = timersOf(listed).flatMap((name) => stepPoller(poller, { kind: "timer", name }));
  if (!hurried.some(({ kind }) => kind === "hurry")) return "a pull that stands hides what is listed";
  const after = stepPoller(poller, {
    kind: "pulled",
    shard: "s/0",
    pullId: running(poller),
    outcome: "complete",
    isLevel: false,
  });
  return after.some((effect) => effect.kind === "pull" && effect.peer === "c")
    ? undefined
    : "who listed a shard while a pull stood is not asked";
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

/** Thousands of shards have changed once: what has stood for long gives way to what changes now, and nothing else does. */
export function silentGiveWay(): string | undefined {
  const link = createLink("x", { limits: LINK_LIMITS, nowMs: 1 });
  fill(link);
  const stood = [...link.standing.keys()];
  const early = openStanding(link, { shard: "new", nowMs: LINK_LIMITS.standMs });
  if (early !== undefined) return "a pull gives way that may have an answer on its way";
  const opened = openStanding(link, { shard: "new", nowMs: 1 + LINK_LIMITS.standMs });
  if (opened === undefined) return "pulls of silent shards keep the room from those that change";
  const kept = stood.slice(opened.giveWay.length);
  const isRight = opened.giveWay.length === 1 && [...link.standing.keys()].join() === [...kept, "new"].join();
  if (!isRight) return "others give way than the one that has stood longest";

  const poller = createPoller(OURS, pullIds(), { ...POLL_LIMITS, standingMax: 1 });
  stepPoller(poller, { kind: "neighbour", peer: "b" });
  standAfter(poller, makeLevel(poller));
  const later = { shard: "s/1", nowMs: POLL_LIMITS.standMs };
  const effects = standAfter(poller, makeLevel(poller, later), later.nowMs);
  return effects.some((effect) => effect.kind === "give-up" && effect.shard === "s/0")
    ? undefined
    : "a pull that gives way is not let go";
}

/** Hundreds of shards change over one link. */
export function standingBounded(): string | undefined {
  const link = createLink("x", { limits: LINK_LIMITS, nowMs: 1 });
  fill(link);
  let frames = 0;
  for (const { weight } of link.standing.values()) frames += weight;
  const { pullsMax, openingBytes, frameBytes, standingMax } = LINK_LIMITS;
  const room = Math.max(framesAllowed(link.window), (pullsMax * openingBytes) / frameBytes);
  if (frames > room) return `pulls that stand may bring ${frames} frames at once, and there is room for ${room}`;
  link.standing.clear();
  link.expectedBytes = 1;
  fill(link);
  return link.standing.size > standingMax ? `${link.standing.size} pulls stand on one link` : undefined;
}

/** A link with a budget: what may come unasked is no more than it saves up. */
export function standingWithinBudget(): string | undefined {
  const link = createLink("x", { limits: LINK_LIMITS, nowMs: 1, bytesPerSecond: 2_000_000 });
  link.expectedBytes = 1;
  fill(link);
  let bytes = 0;
  for (const { burst } of link.standing.values()) bytes += burst;
  const most = link.budget?.bytesMax ?? 0;
  return bytes > most ? `pulls that stand may bring ${bytes} bytes at once of a budget that holds ${most}` : undefined;
}

function fill(link: ReturnType<typeof createLink>): void {
  for (let shard = 0; shard < 2_000; shard += 1) openStanding(link, { shard: `s/${shard}`, nowMs: 1 });
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

/** A poller that a pull of a shard has just made level with peer b, and what it does about that. */
function createLevel(): { readonly poller: Poller; readonly effects: readonly PollEffect[] } {
  const poller = createPoller(OURS, pullIds());
  stepPoller(poller, { kind: "neighbour", peer: "b" });
  return { poller, effects: makeLevel(poller) };
}

function makeLevel(poller: Poller, { shard, nowMs }: Place = { shard: "s/0", nowMs: 0 }): readonly PollEffect[] {
  stepPoller(poller, { kind: "changed", shard, version: { counter: 1, generator: OURS } }, nowMs);
  list(poller, { peer: "b", counter: 1, shard });
  stepPoller(poller, { kind: "changed", shard, version: { counter: 1, generator: THEIRS } }, nowMs);
  return stepPoller(
    poller,
    { kind: "pulled", shard, pullId: running(poller, shard), outcome: "complete", isLevel: true },
    nowMs,
  );
}

/** The id of the shard's pull. */
function running(poller: Poller, shard = "s/0"): string {
  return poller.pulling.get(shard)?.pullId ?? "";
}

interface Place {
  readonly shard: string;
  readonly nowMs: number;
}

/** A poller whose pull of a shard stands with peer b. */
function createStanding(): Poller {
  const { poller, effects } = createLevel();
  standAfter(poller, effects);
  return poller;
}

function standAfter(poller: Poller, effects: readonly PollEffect[], nowMs = 0): readonly PollEffect[] {
  const stood = timersOf(effects).flatMap((name) => stepPoller(poller, { kind: "timer", name }, nowMs));
  const isStanding = stood.some((effect) => effect.kind === "pull" && effect.stands === true);
  if (!isStanding) throw new Error("No pull is left standing after one that made both level");
  return stood;
}

function list(
  poller: Poller,
  { peer, counter, shard = "s/0" }: { peer: string; counter: number; shard?: string },
): PollEffect[] {
  const body = {
    pollId: poller.neighbours.get(peer)?.pollId,
    cursor: { writer: THEIRS, change: counter },
    more: false,
    shards: [{ shard, counter, generator: THEIRS }],
  };
  return stepPoller(poller, { kind: "message", from: peer, message: "changes", body });
}

function hasPull(effects: readonly PollEffect[]): boolean {
  return effects.some((effect) => effect.kind === "pull");
}

function timersOf(effects: readonly (PollEffect | ReplicaEffect)[]): readonly string[] {
  return effects.flatMap((effect) =>
    effect.kind === "timer" && /^(?:stand|hurry) /.test(effect.name) ? [effect.name] : [],
  );
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

function pullId(id: number): string {
  return id.toString(16).padStart(32, "0");
}
