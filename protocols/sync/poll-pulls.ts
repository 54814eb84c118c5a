/*
 * Which pulls begin, and of whom: link by link what waits, in the order of coming, as the link takes it (links.ts). Of several peers that
 * have more of a shard, the freshest is asked, and of equally fresh ones that with the best link; whoever was passed over for that
 * `passesMax` times is next, so that no peer, however often it claims to have news, keeps the others from being asked.
 */
import { mixUint32 } from "../random.ts";
import {
  closePull,
  expectedMs,
  type LinkEffect,
  notePullFrame,
  noteStall,
  openPull,
  turnLink,
  wakeLink,
} from "./links.ts";
import { makeReady, unready } from "./lanes.ts";
import { leave, type PullRole, roleIn } from "./poll-leaders.ts";
import { type Pending } from "./poll-neighbours.ts";
import { type PollEffect, type Poller, type PollEvent } from "./poll.ts";
import { expectAnswer, type Pulling, pullTimer } from "./pulling.ts";
import { coversVersion } from "./shard-version.ts";

/** Begins what may begin, and gives out what may be asked for. Shards that we know as much of as their neighbour are pending no more. */
export function startPulls(poller: Poller, nowMs: number): PollEffect[] {
  const effects: PollEffect[] = [];
  for (const { link, short, long } of poller.lanes.values()) {
    if (short.size > 0) startWaiting(poller, { waiting: short, effects, nowMs });
    if (long.size > 0) startWaiting(poller, { waiting: long, effects, nowMs });
    const turned = turnLink(link, nowMs);
    if (turned.length > 0) effects.push(...perform(poller, turned));
  }
  return effects;
}

function startWaiting(
  poller: Poller,
  { waiting, effects, nowMs }: { waiting: ReadonlySet<Pending>; effects: PollEffect[]; nowMs: number },
): void {
  for (const pending of waiting) {
    const begun = startPull(poller, pending, nowMs);
    if (begun === undefined) return;
    effects.push(...begun);
  }
}

/** The pull that is told of, unless it is another than the one that runs: of an earlier start of the poller or of the shard, or one that was given up. */
export function runningPull(
  poller: Poller,
  { shard, pullId }: { readonly shard: string; readonly pullId: string },
): Pulling | undefined {
  const pulling = poller.pulling.get(shard);
  return pulling?.pullId === pullId ? pulling : undefined;
}

/** A pull has ended. Only a complete one, of a shard not listed again meanwhile, takes the shard off the neighbour's pending ones. */
export function settlePull(poller: Poller, pulling: Pulling, outcome: "complete" | "failed"): PollEffect[] {
  const { pending, ending } = pulling;
  const { shard } = pending;
  poller.pulling.delete(shard);
  closePull(pending.lane.link, shard);
  unblock(poller, shard);
  const neighbour = poller.neighbours.get(pending.peer);
  if (neighbour?.pending.get(shard) !== pending) return [];
  if (outcome === "complete") {
    pending.failures = 0;
    pending.abandons = 0;
    pending.isOverdue = false;
    pending.isLong = false;
    if (pending.again) makeReady(poller, pending);
    else neighbour.pending.delete(shard);
    return [];
  }
  if (ending === "postponed") {
    pending.isLong = true;
    makeReady(poller, pending);
    return [];
  }
  if (ending === "abandoned") pending.abandons += 1;
  pending.failures += 1;
  return [
    { kind: "timer", name: `retry ${pending.failures} ${shard} ${pending.peer}`, delayMs: retryMs(poller, pending) },
  ];
}

/** Whoever should tell the end of a shard's pull is gone, or hears now that it is over. */
export function loosePull(poller: Poller, shard: string): PollEffect[] {
  const pulling = poller.pulling.get(shard);
  return pulling === undefined ? [] : [giveUp(pulling), ...settlePull(poller, pulling, "failed")];
}

/** Tells the shard of a pull that it is over. */
export function giveUp({ pending: { shard }, pullId }: Pulling): PollEffect {
  return { kind: "give-up", shard, pullId };
}

/** A frame of a shard's pull was applied. */
export function noteFrame(poller: Poller, frame: PollEvent & { readonly kind: "frame" }, nowMs: number): PollEffect[] {
  const pulling = runningPull(poller, frame);
  if (pulling === undefined) return [];
  pulling.isAlive = true;
  const began: readonly PollEffect[] = pulling.standing === undefined ? [] : [pullTimer(poller, pulling)];
  pulling.standing = undefined;
  const { shard, bytes, frames } = frame;
  return [...began, ...perform(poller, notePullFrame(pulling.pending.lane.link, { shard, bytes, frames, nowMs }))];
}

/** A shard's pull waits for frames that do not come. */
export function noteStalled(poller: Poller, stalled: PollEvent & { readonly kind: "stalled" }): void {
  const pulling = runningPull(poller, stalled);
  if (pulling !== undefined) noteStall(pulling.pending.lane.link, stalled.shard);
}

/** Timers of links and of pulls that run. */
export function timePulls(
  poller: Poller,
  { what, turn, rest }: { readonly what: string; readonly turn: number; readonly rest: string },
  nowMs: number,
): PollEffect[] {
  if (what === "wake") {
    const lane = poller.lanes.get(rest);
    return lane === undefined ? [] : perform(poller, wakeLink(lane.link, nowMs));
  }
  if (what !== "pull") return [];
  const pulling = poller.pulling.get(rest);
  if (pulling?.number !== turn) return [];
  if (!pulling.isAlive) return loosePull(poller, rest);
  pulling.isAlive = false;
  pulling.periods += 1;
  const timer = pullTimer(poller, pulling);
  const isTooLong = pulling.periods >= 2 ** pulling.pending.abandons && poller.blocked.has(rest);
  if (!isTooLong || pulling.ending !== undefined) return [timer];
  pulling.ending = "abandoned";
  return [giveUp(pulling), timer];
}

/** Takes one out of what waits and begins it, or a better peer's; undefined when its link takes no more now. */
function startPull(poller: Poller, pending: Pending, nowMs: number): PollEffect[] | undefined {
  const { peer, shard } = pending;
  const ours = poller.changes.byShard.get(shard)?.version;
  if (ours === undefined || coversVersion(ours, pending.version)) {
    unready(pending);
    poller.neighbours.get(peer)?.pending.delete(shard);
    return [];
  }
  const role = roleIn(poller, pending);
  if (role === undefined) {
    unready(pending);
    return leave(poller, pending);
  }
  const running = poller.pulling.get(shard);
  if (running !== undefined) {
    block(poller, pending);
    return expectAnswer(poller, running);
  }
  if (poller.resting.has(shard)) {
    block(poller, pending);
    return [];
  }
  const candidates = candidatesFor(poller, { pending, role }, ours);
  for (const candidate of candidates) {
    const { lane, isLong } = candidate.pending;
    const burst = openPull(lane.link, { shard, isLong, nowMs });
    if (burst === undefined) continue;
    for (const other of candidates) other.pending.passes += 1;
    candidate.pending.passes = 0;
    candidate.pending.again = false;
    unready(candidate.pending);
    poller.pullNumber += 1;
    const pulling: Pulling = {
      pending: candidate.pending,
      pullId: poller.drawPullId(),
      number: poller.pullNumber,
      isAlive: false,
      periods: 0,
      ending: undefined,
      standing: undefined,
    };
    poller.pulling.set(shard, pulling);
    if (candidate.pending !== pending) block(poller, pending);
    const { pending: asked, pullId } = pulling;
    const pull: PollEffect = { kind: "pull", pullId, peer: asked.peer, shard, role: candidate.role, burst };
    return [pull, pullTimer(poller, pulling)];
  }
  return undefined;
}

interface Candidate {
  readonly pending: Pending;
  readonly role: PullRole;
}

/** Who may be asked for a shard now, the best first. */
function candidatesFor(poller: Poller, candidate: Candidate, ours: Pending["version"]): readonly Candidate[] {
  const { shard } = candidate.pending;
  const all = [candidate];
  for (const neighbour of poller.neighbours.values()) {
    const pending = neighbour.pending.get(shard);
    if (pending === undefined || pending === candidate.pending || coversVersion(ours, pending.version)) continue;
    if (!pending.lane.short.has(pending) && !pending.lane.long.has(pending)) continue;
    const role = roleIn(poller, pending);
    if (role !== undefined) all.push({ pending, role });
  }
  return all.length === 1 ? all : all.toSorted((a, b) => compare(poller, a.pending, b.pending));
}

function compare({ limits }: Poller, a: Pending, b: Pending): number {
  const owedA = Math.max(a.passes - limits.passesMax + 1, 0);
  const owedB = Math.max(b.passes - limits.passesMax + 1, 0);
  if (owedA !== owedB) return owedB - owedA;
  const isA = coversVersion(a.version, b.version);
  const isB = coversVersion(b.version, a.version);
  if (isA !== isB) return isA ? -1 : 1;
  return expectedMs(a.lane.link) - expectedMs(b.lane.link);
}

function block(poller: Poller, pending: Pending): void {
  unready(pending);
  const blocked = poller.blocked.get(pending.shard) ?? new Set();
  poller.blocked.set(pending.shard, blocked.add(pending));
}

/** What waited for a shard's pull or rest to end has its turn. */
export function unblock(poller: Poller, shard: string): void {
  const blocked = poller.blocked.get(shard);
  poller.blocked.delete(shard);
  for (const waiting of blocked ?? []) makeReady(poller, waiting);
}

function perform(poller: Poller, effects: readonly LinkEffect[]): PollEffect[] {
  return effects.flatMap((effect) => effectsOf(poller, effect));
}

function effectsOf(poller: Poller, effect: LinkEffect): PollEffect[] {
  switch (effect.kind) {
    case "grant": {
      const pulling = poller.pulling.get(effect.shard);
      return pulling === undefined ? [] : [{ ...effect, pullId: pulling.pullId }];
    }
    case "wake":
      return [{ kind: "timer", name: `wake 0 ${effect.link}`, delayMs: effect.delayMs }];
    case "postpone": {
      const pulling = poller.pulling.get(effect.shard);
      if (pulling === undefined || pulling.ending !== undefined) return [];
      pulling.ending = "postponed";
      return [giveUp(pulling)];
    }
  }
}

/** Doubles with each failure, and differs by node, peer and shard: those that failed together do not all come back at once. */
function retryMs({ limits, writer }: Poller, { failures, shard, peer }: Pending): number {
  let mixed = failures;
  for (const character of `${writer} ${peer} ${shard}`) mixed = mixUint32(mixed, character.codePointAt(0) ?? 0);
  const delayMs = Math.min(limits.backoffMs * 2 ** (failures - 1), limits.backoffMsMax);
  return Math.round(delayMs * (0.75 + mixed / 2 ** 33));
}
