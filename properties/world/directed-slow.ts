/*
 * A pull over a link on which one frame takes ten times as long as is usually waited, built by hand: a replica, its link's scheduler and a peer.
 * Each says what does not hold.
 */
import { popHeap, pushHeap } from "../../protocols/binary-heap.ts";
import { LINK_LIMITS, SYNC_LIMITS, type SyncLimits } from "../../protocols/limits.ts";
import { closePull, createLink, notePullFrame, noteStall, openPull, turnLink } from "../../protocols/sync/links.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import {
  createReplica,
  type Replica,
  type ReplicaEffect,
  type ReplicaEvent,
  stepReplica,
} from "../../protocols/sync/replica.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { NOW, TABLES } from "./situation.ts";

const LIMITS: SyncLimits = { ...SYNC_LIMITS, frameBytes: 4_000, answersMax: 4 };
const LINK = { ...LINK_LIMITS, frameBytes: LIMITS.frameBytes, openingBytes: 160 };
/** What comes unasked over a link of which nothing is known: little, and as much of a frame as in a node. */
const OPENINGS = [160, 640];
const ROWS = 1_000;

/** L2: a long answer comes whole over a slow link, and is sent twice at most; over one that is twice as slow it comes. */
export function slowLink(): string | undefined {
  for (const unknownBytes of OPENINGS) {
    const quick = pullOver({ unknownBytes, bytesPerSecond: 1e6, forMs: 10_000 });
    const slow = pullOver({ unknownBytes, bytesPerSecond: 400, forMs: 100_000 });
    if (slow.bytesSent > 2 * quick.bytesSent) return `${slow.bytesSent} bytes were sent for ${quick.bytesSent}`;
    const slower = pullOver({ unknownBytes, bytesPerSecond: 200, forMs: 300_000 });
    const isThere = [quick, slow, slower].every(({ puller, peer }) => puller.store.digest() === peer.store.digest());
    if (!isThere) return "an answer did not come whole over a slow link";
  }
  return undefined;
}

/** S20: what pulls over a link that carries nothing in time leave open at their peer is closed. */
export function closedAfterEachPull(): string | undefined {
  const { puller, peer } = pullOver({ unknownBytes: LINK.openingBytes, bytesPerSecond: 1, forMs: 60_000 });
  if (puller.pull === undefined) return "a pull was to run";
  return peer.answers.size > 1 ? `${peer.answers.size} answers are open for one asker` : undefined;
}

/** Pulls again and again, until one is complete, while the peer's messages go over the link byte by byte. */
function pullOver({
  unknownBytes,
  bytesPerSecond,
  forMs,
}: {
  readonly unknownBytes: number;
  readonly bytesPerSecond: number;
  readonly forMs: number;
}): {
  readonly puller: Replica;
  readonly peer: Replica;
  readonly bytesSent: number;
} {
  const [puller, peer] = [start("puller"), start("peer")];
  const keys = BigUint64Array.from({ length: ROWS }, (_, key) => BigInt(key));
  stepReplica(peer, { kind: "write", writes: [{ table: 0, keys, mutate: () => undefined }] }, NOW);
  const link = createLink("peer", { limits: { ...LINK, unknownBytes }, nowMs: 0 });
  const due: { readonly at: number; readonly run: () => void }[] = [];
  let [nowMs, freeAt, bytesSent, pulls] = [0, 0, 0, 0];
  function after(delayMs: number, run: () => void): void {
    pushHeap(due, { at: nowMs + delayMs, run }, isEarlier);
  }
  function begin(): void {
    const burst = openPull(link, { shard: "s", isLong: true, nowMs });
    pulls += 1;
    if (burst !== undefined) tell({ kind: "pull", peer: "peer", pullId: pullId(), burst });
  }
  function pullId(): string {
    return pulls.toString(16).padStart(32, "0");
  }
  function tell(event: ReplicaEvent): void {
    for (const effect of stepReplica(puller, event, NOW + nowMs)) perform(effect);
    for (const turned of turnLink(link, nowMs)) if (turned.kind === "grant") tell({ ...turned, pullId: pullId() });
  }
  function perform(effect: ReplicaEffect): void {
    if (effect.kind === "timer") after(effect.delayMs, () => tell({ kind: "timer", name: effect.name }));
    if (effect.kind === "frame") notePullFrame(link, { ...effect, shard: "s", nowMs });
    if (effect.kind === "stalled") noteStall(link, "s");
    if (effect.kind === "pulled") closePull(link, "s");
    if (effect.kind === "pulled" && effect.outcome === "failed") after(250, begin);
    if (effect.kind === "send") after(10, () => ask(effect.message, effect.body));
  }
  function ask(message: (ReplicaEvent & { kind: "message" })["message"], body: unknown): void {
    for (const answer of stepReplica(peer, { kind: "message", from: "puller", message, body }, NOW + nowMs)) {
      if (answer.kind !== "send") continue;
      const bytes = answer.message === "frame" ? answer.body.length : 0;
      bytesSent += bytes;
      freeAt = Math.max(freeAt, nowMs) + (bytes * 1_000) / bytesPerSecond;
      const { message: name, body: said } = answer;
      after(freeAt - nowMs + 10, () => tell({ kind: "message", from: "peer", message: name, body: said }));
    }
  }
  begin();
  for (let next = popHeap(due, isEarlier); next !== undefined && next.at <= forMs; next = popHeap(due, isEarlier)) {
    nowMs = next.at;
    next.run();
  }
  return { puller, peer, bytesSent };
}

function isEarlier(a: { readonly at: number }, b: { readonly at: number }): boolean {
  return a.at < b.at;
}

function start(name: string): Replica {
  const store = createMapRowStore(TABLES, { state: true });
  return createReplica({ writer: parseWriterId(`0.sim.${name}.l1`), limits: LIMITS, store });
}
