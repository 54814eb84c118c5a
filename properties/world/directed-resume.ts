/*
 * Pulls that go on with what an earlier one brought of an answer, built by hand. Each says what does not hold.
 */
import { LINK_LIMITS, SYNC_LIMITS, type SyncLimits } from "../../protocols/limits.ts";
import { createLink, notePullFrame, openPull, turnLink } from "../../protocols/sync/links.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { burstFrames, SWEEP_TIMER } from "../../protocols/sync/answers.ts";
import { timerName } from "../../protocols/sync/pull-asks.ts";
import {
  createReplica,
  type Replica,
  type ReplicaEffect,
  type ReplicaEvent,
  stepReplica,
} from "../../protocols/sync/replica.ts";
import { parseReport } from "../../protocols/wire/survey.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { NOW, pullId, TABLES } from "./situation.ts";

/** One row a frame, two frames in flight. */
const LIMITS: SyncLimits = { ...SYNC_LIMITS, frameBytes: 30, windowFrames: 2, answersMax: 2, entriesKept: 0 };
const ROWS = 40;
/** More than any pull here has. */
const TIMEOUTS_MAX = 1_000;

/** L2: a link over which only a few frames in a row get through carries any answer in the end, each frame once. */
function answerOverABadLink(): string | undefined {
  return overABadLink(() => undefined);
}

/** L2: and so it does where its asker is asked where it stands after each of its pulls, or while these run. */
function answerOverSurveys(): string | undefined {
  return overABadLink((puller, peer, round) => {
    const body = { asker: peer.writer, round };
    const effects = stepReplica(puller, { kind: "message", from: peer.writer, message: "survey", body }, NOW);
    for (const { message, body: said } of effects.filter((effect) => effect.kind === "send")) {
      stepReplica(peer, { kind: "message", from: puller.writer, message, body: said }, NOW);
    }
  });
}

function overABadLink(betweenPulls: (puller: Replica, peer: Replica, pull: number) => void): string | undefined {
  const peer = start("peer");
  for (let key = 0; key < ROWS; key += 1) write(peer, BigInt(key));
  const puller = start("puller");
  let applied = 0;
  for (let pulls = 1; pulls <= ROWS; pulls += 1) {
    const effects = pullThrough(puller, peer, { pull: pulls, frames: 3 });
    applied += effects.reduce((sum, effect) => sum + (effect.kind === "applied" ? effect.keys.length : 0), 0);
    if (puller.pull !== undefined) return "a pull did not fail although nothing came any more";
    betweenPulls(puller, peer, pulls);
    if (puller.knowledge.get(peer.writer) !== peer.stamper.last) continue;
    if (applied !== ROWS) return `${applied} rows were sent for ${ROWS}`;
    return puller.store.digest() === peer.store.digest() ? undefined : "knowledge was joined over a hole";
  }
  return "an answer never came whole over a link that always carries three frames";
}

/** L2: where the answer was closed meanwhile, the pull asks for a new one. */
function answerThatIsClosed(): string | undefined {
  const peer = start("peer");
  for (let key = 0; key < 6; key += 1) write(peer, BigInt(key));
  const puller = start("puller");
  pullThrough(puller, peer, { pull: 1, frames: 3 });
  write(peer, 0n);
  for (let sweeps = 0; sweeps < 2; sweeps += 1) stepReplica(peer, { kind: "timer", name: SWEEP_TIMER }, NOW);
  if (peer.answers.size > 0) return "an answer was to be closed that nobody asks for";
  pullThrough(puller, peer, { pull: 2, frames: Infinity });
  return puller.store.digest() === peer.store.digest() && puller.knowledge.get(peer.writer) === peer.stamper.last
    ? undefined
    : "a pull came to nothing because the answer that it was to go on with had been closed";
}

/** L2: of more askers than a peer has room for, each gets a long answer whole. */
function moreAskersThanRoom(): string | undefined {
  const peer = start("peer");
  for (let key = 0; key < ROWS; key += 1) write(peer, BigInt(key));
  const askers = ["a", "b", "c"].map((name) => ({ puller: start(name), outbox: noEffects() }));
  let pulls = 0;
  // One message of each in turn; who is refused pulls again.
  for (let turn = 0; turn < 4 * ROWS; turn += 1) {
    for (const { puller, outbox } of askers) {
      const isDone = puller.knowledge.get(peer.writer) === peer.stamper.last;
      if (!isDone && puller.pull === undefined) {
        pulls += 1;
        outbox.push(...stepReplica(puller, { kind: "pull", peer: peer.writer, pullId: pullId(pulls) }, NOW));
      }
      const said = outbox.shift();
      if (said?.kind !== "send") continue;
      const { message, body } = said;
      for (const answer of stepReplica(peer, { kind: "message", from: puller.writer, message, body }, NOW)) {
        if (answer.kind !== "send") continue;
        const reply = { kind: "message", from: peer.writer, message: answer.message, body: answer.body } as const;
        outbox.push(...stepReplica(puller, reply, NOW).filter(({ kind }) => kind === "send"));
      }
    }
  }
  return askers.every(({ puller }) => puller.store.digest() === peer.store.digest())
    ? undefined
    : "askers closed each other's answers, in turn";
}

/** L2: answers of one frame, which were sent whole, give way to each other and leave a long one open. */
function roomBesideALongAnswer(): string | undefined {
  const peer = start("peer");
  for (let key = 0; key < 6; key += 1) write(peer, BigInt(key));
  const { declaration, writer, stamper } = peer;
  function ask(from: string, id: number, known: number): void {
    const body = { pullId: pullId(id), declaration, wantsState: true, settled: 0, knowledge: [[writer, known]] };
    stepReplica(peer, { kind: "message", from, message: "pull", body }, NOW);
  }
  ask("before", 1, stamper.last - 1);
  ask("long", 2, 1);
  const answer = [...peer.answers.values()].find(({ to }) => to === "long")?.id;
  for (let id = 3; id < 9; id += 1) ask(`after ${id}`, id, stamper.last - 1);
  const body = { pullId: pullId(2), answer, frames: [5] };
  const [sent] = stepReplica(peer, { kind: "message", from: "long", message: "more", body }, NOW);
  return sent?.kind === "send" && sent.message === "frame" ? undefined : "a long answer was closed for short ones";
}

/** L2: an answer that is asked for again and again stays open, however many others came and went before it. */
function answerInUse(): string | undefined {
  const peer = start("peer");
  write(peer, 1n);
  write(peer, 2n);
  const sweeps: number[] = [];
  let nowMs = 0;
  function take(event: ReplicaEvent): ReplicaEffect[] {
    const effects = stepReplica(peer, event, NOW + nowMs);
    for (const effect of effects) if (effect.kind === "timer") sweeps.push(nowMs + effect.delayMs);
    return effects.filter(({ kind }) => kind === "send");
  }
  function passTo(ms: number): void {
    for (let due = sweeps[0]; due !== undefined && due <= ms; due = sweeps[0]) {
      nowMs = due;
      sweeps.shift();
      take({ kind: "timer", name: SWEEP_TIMER });
    }
    nowMs = ms;
  }
  function say(from: string, message: "pull" | "more" | "release", body: object): ReplicaEffect[] {
    return take({ kind: "message", from, message, body });
  }
  const { declaration } = peer;
  const asked = { declaration, wantsState: true, settled: 0, knowledge: [] };
  const second = LIMITS.answerIdleMs / 20;
  for (let pulls = 1; pulls < 10; pulls += 1) {
    say("other", "pull", { ...asked, pullId: pullId(pulls) });
    passTo(nowMs + second);
    say("other", "release", { pullId: pullId(pulls) });
  }
  const opened = say("slow", "pull", { ...asked, pullId: pullId(10) });
  const answer = peer.answers.values().next().value?.id;
  if (opened.length === 0 || answer === undefined) return "an answer was to be open";
  for (let asks = 0; asks < 40; asks += 1) {
    passTo(nowMs + LIMITS.answerIdleMs - second);
    const [sent] = say("slow", "more", { pullId: pullId(10), answer, frames: [asks % 2] });
    if (sent?.kind !== "send" || sent.message !== "frame") return "an answer was closed while its asker went on asking";
  }
  return sweeps.length > 1 ? `${sweeps.length} sweeps over the answers are due` : undefined;
}

/** X11: a pull that went on with an older answer is complete when it knows what its peer had when it began. */
function olderAnswer(): string | undefined {
  const peer = start("peer");
  for (let key = 0; key < 6; key += 1) write(peer, BigInt(key));
  const puller = start("puller");
  pullThrough(puller, peer, { pull: 1, frames: 3 });
  write(peer, 100n);
  pullThrough(puller, peer, { pull: 2, frames: Infinity });
  return puller.store.digest() === peer.store.digest()
    ? undefined
    : "a pull was complete with an answer from before it began";
}

/** V9: who has said that nothing of before comes any more takes no frame that it had asked for before; and says so in the second round. */
function nothingHalfTaken(): string | undefined {
  const dead = start("dead");
  write(dead, 1n);
  write(dead, 2n);
  const member = start("member");
  const held: Uint8Array[] = [];
  pullThrough(member, dead, { pull: 1, frames: 1, held });
  const [late] = held;
  if (late === undefined) return "a frame was to be under way";
  // Its row is superseded, so nothing is early any more; then the member says where it stands.
  const primary = start("primary");
  write(primary, 1n, NOW + 1_000);
  pullThrough(member, primary, { pull: 2, frames: Infinity });
  function upToIn(round: number): number {
    const body = { asker: primary.writer, round };
    for (const effect of stepReplica(member, { kind: "message", from: "primary", message: "survey", body }, NOW)) {
      if (effect.kind === "send" && effect.message === "report") return parseReport(effect.body).upTo;
    }
    return NaN;
  }
  if (upToIn(1) !== 0 || upToIn(1) !== 0) return "a member that may get more of an answer said that it has all";
  if (!(upToIn(2) > 0)) return "a part of an answer to which nothing was added keeps a member from its report";
  stepReplica(member, { kind: "pull", peer: dead.writer, pullId: pullId(3) }, NOW);
  const effects = stepReplica(member, { kind: "message", from: dead.writer, message: "frame", body: late }, NOW);
  return effects.some(({ kind }) => kind === "applied")
    ? "a frame asked for before a report was taken after it"
    : undefined;
}

/** W1: what a link allowed of the rest of an answer is not allowed of the one that is asked for anew after it. */
function restAndAnew(): string | undefined {
  const peer = start("peer");
  for (let key = 0; key < ROWS; key += 1) write(peer, BigInt(key));
  const puller = start("puller");
  pullThrough(puller, peer, { pull: 1, frames: 3 });
  for (let key = 0; key < ROWS; key += 1) write(peer, BigInt(key));
  const { frameBytes } = LIMITS;
  const limits = { ...LINK_LIMITS, frameBytes, openingBytes: frameBytes, framesAtFirst: 1, framesMax: 1 };
  const link = createLink("peer", { limits, nowMs: 0 });
  const burst = openPull(link, { shard: "s", isLong: false, nowMs: 0 });
  if (burst === undefined) return "a link was to take a pull";
  const from = peer.writer;
  const frames: Uint8Array[] = [];
  function take(effects: readonly ReplicaEffect[], nowMs: number): void {
    for (const effect of effects) {
      if (effect.kind === "frame") {
        notePullFrame(link, { ...effect, shard: "s", nowMs });
        for (const turned of turnLink(link, nowMs)) {
          if (turned.kind === "grant") take(stepReplica(puller, { ...turned, pullId: pullId(2) }, NOW), nowMs);
        }
      }
      if (effect.kind !== "send") continue;
      const { message, body } = effect;
      for (const answer of stepReplica(peer, { kind: "message", from: puller.writer, message, body }, NOW)) {
        if (answer.kind === "send" && answer.message === "frame") frames.push(answer.body);
      }
    }
  }
  take(stepReplica(puller, { kind: "pull", peer: from, pullId: pullId(2), burst }, NOW), 0);
  let most = 0;
  let nowMs = 0;
  for (let body = frames.shift(); body !== undefined; body = frames.shift()) {
    nowMs += 100;
    take(stepReplica(puller, { kind: "message", from, message: "frame", body }, NOW), nowMs);
    most = Math.max(most, frames.length);
  }
  if (puller.store.digest() !== peer.store.digest()) return "a pull that was allowed all its frames did not end";
  const allowed = limits.framesMax + burstFrames(LIMITS, burst);
  return most > allowed ? `${most} frames are on their way, and ${allowed} may be` : undefined;
}

/** Pulls while so many frames get through and no more, until the pull ends; those that do not go to `held`. */
function pullThrough(
  puller: Replica,
  peer: Replica,
  { pull, frames, held = [] }: { readonly pull: number; readonly frames: number; readonly held?: Uint8Array[] },
): ReplicaEffect[] {
  const all: ReplicaEffect[] = [];
  const from = peer.writer;
  const inbox = stepReplica(puller, { kind: "pull", peer: from, pullId: pullId(pull) }, NOW);
  let left = frames;
  // A planted bug may have it ask for ever: then the pull stays open, which whoever called sees.
  for (let timeouts = 0; puller.pull !== undefined && timeouts < TIMEOUTS_MAX; timeouts += 1) {
    for (let effect = inbox.shift(); effect !== undefined; effect = inbox.shift()) {
      all.push(effect);
      if (effect.kind !== "send") continue;
      const { message, body } = effect;
      for (const answer of stepReplica(peer, { kind: "message", from: puller.writer, message, body }, NOW)) {
        if (answer.kind !== "send") continue;
        if (answer.message === "frame") left -= 1;
        if (answer.message === "frame" && left < 0) held.push(answer.body);
        else {
          const { message: name, body: reply } = answer;
          inbox.push(...stepReplica(puller, { kind: "message", from, message: name, body: reply }, NOW));
        }
      }
    }
    if (puller.pull === undefined) break;
    inbox.push(...stepReplica(puller, { kind: "timer", name: timerName(puller.pull) }, NOW));
  }
  return all.concat(inbox);
}

function start(name: string): Replica {
  const store = createMapRowStore(TABLES, { state: true });
  return createReplica({ writer: parseWriterId(`0.sim.${name}.l1`), limits: LIMITS, store });
}

function write(replica: Replica, key: bigint, nowMs = NOW): void {
  const writes = [{ table: 0, keys: BigUint64Array.of(key), mutate: () => undefined }];
  stepReplica(replica, { kind: "write", writes }, nowMs);
}

function noEffects(): ReplicaEffect[] {
  return [];
}

export const RESUMPTIONS = [
  ["L2", answerOverABadLink],
  ["L2", answerThatIsClosed],
  ["L2", answerInUse],
  ["L2", moreAskersThanRoom],
  ["L2", roomBesideALongAnswer],
  ["L2", answerOverSurveys],
  ["X11", olderAnswer],
  ["V9", nothingHalfTaken],
  ["W1", restAndAnew],
] as const;
