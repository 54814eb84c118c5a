/*
 * Directed situations of pulls that stand, as a poller and its links see them.
 */
import { LINK_LIMITS, POLL_LIMITS } from "../../protocols/limits.ts";
import { framesAllowed } from "../../protocols/sync/link-window.ts";
import { createLink, openStanding } from "../../protocols/sync/links.ts";
import { createPoller, type PollEffect, type Poller, stepPoller } from "../../protocols/sync/poll.ts";
import { type ReplicaEffect } from "../../protocols/sync/replica.ts";
import { pullIds } from "./names.ts";
import { hasPull, OURS, running, THEIRS } from "./situation.ts";

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

/** A shard is listed just after a pull made it level: it waits for the end of the gap, and then for no pull that stands. */
export function keepsTheGap(): string | undefined {
  const { poller, effects } = createLevel();
  if (hasPull(list(poller, { peer: "b", counter: 9 }))) return "two answers come within one gap";
  const after = timersOf(effects).flatMap((name) => stepPoller(poller, { kind: "timer", name }));
  return after.some((effect) => effect.kind === "pull" && effect.stands !== true)
    ? undefined
    : "what was listed within a gap is not pulled after it";
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

interface Place {
  readonly shard: string;
  readonly nowMs: number;
}

/** A poller whose pull of a shard stands with peer b. */
export function createStanding(): Poller {
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

function timersOf(effects: readonly (PollEffect | ReplicaEffect)[]): readonly string[] {
  return effects.flatMap((effect) =>
    effect.kind === "timer" && /^(?:stand|hurry) /.test(effect.name) ? [effect.name] : [],
  );
}
