/*
 * Directed situations of answers that come in parts, late, or to who is no more.
 */
import { SYNC_LIMITS, type SyncLimits } from "../../protocols/limits.ts";
import { encodeImage, loadImage } from "../../protocols/sync/image.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, type ReplicaEffect, stepReplica } from "../../protocols/sync/replica.ts";
import { coversVersion } from "../../protocols/sync/shard-version.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { NOW, pullId, TABLES } from "./situation.ts";

/** A repeated pull is answered anew by a peer that was restarted meanwhile; frames of both answers arrive, each index once. */
export function framesOfTwoAnswers(): string | undefined {
  const limits = { ...SYNC_LIMITS, frameBytes: 30 };
  const peer = start("0.sim.b.l1", { limits });
  write(peer, 1n);
  write(peer, 2n);
  const puller = start("0.sim.a.l1");
  const asked = stepReplica(puller, { kind: "pull", peer: "b", pullId: pullId(1) }, NOW);
  const [first] = framesOf(peer, asked);
  const restarted = start("0.sim.b.l2", { limits, image: encodeImage(peer) });
  write(restarted, 1n);
  const [, last] = framesOf(restarted, asked);
  if (first === undefined || last === undefined) return "both answers were to have two frames";
  for (const body of [first, last]) stepReplica(puller, { kind: "message", from: "b", message: "frame", body }, NOW);
  const held = puller.store.versionOf(0, 1n);
  const known = puller.knowledge.get(restarted.writer) ?? 0;
  return known > (held?.t ?? 0) ? "frames of two answers together moved knowledge over a hole" : undefined;
}

/** A puller restarts from an older image; the answer to its last life's pull arrives during its new life's pull of the same peer. */
export function foreignAnswer(): string | undefined {
  const peer = start("0.sim.b.l1");
  const puller = start("0.sim.a.l1");
  write(peer, 1n);
  const image = encodeImage(puller);
  pullWhole(puller, peer, 1);
  write(peer, 2n);
  const late = framesOf(peer, stepReplica(puller, { kind: "pull", peer: "b", pullId: pullId(2) }, NOW));

  const restarted = start("0.sim.a.l2", { image });
  stepReplica(restarted, { kind: "pull", peer: "b", pullId: pullId(3) }, NOW);
  for (const body of late) stepReplica(restarted, { kind: "message", from: "b", message: "frame", body }, NOW);
  if (restarted.knowledge.size > 0) return "an answer to a pull of an earlier life moved knowledge over a hole";
  return restarted.store.rows(0) > 0 ? "an answer to a pull of an earlier life changed rows" : undefined;
}

/** Two replicas of equal content and different shard versions pull each other at the same time. */
export function crossingAdoption(): string | undefined {
  const b = start("0.sim.b.l1");
  write(b, 1n);
  const a = start("0.sim.a.l1", { image: encodeImage(b) });
  for (let round = 1; round <= 2; round += 1) {
    const toA = framesOf(b, stepReplica(a, { kind: "pull", peer: "b", pullId: pullId(round) }, NOW));
    const toB = framesOf(a, stepReplica(b, { kind: "pull", peer: "a", pullId: pullId(round + 8) }, NOW));
    for (const body of toA) stepReplica(a, { kind: "message", from: "b", message: "frame", body }, NOW);
    for (const body of toB) stepReplica(b, { kind: "message", from: "a", message: "frame", body }, NOW);
  }
  const [ours, theirs] = [a.version, b.version].map(({ counter, generator }) => `${counter} of ${generator}`);
  return ours === theirs ? undefined : `equal contents kept the shard versions ${ours} and ${theirs}`;
}

/** Some frames of an answer came, then its sender was gone for ever: the rows that came must be found by others. */
export function rowsOfAFailedPull(): string | undefined {
  const limits = { ...SYNC_LIMITS, frameBytes: 30 };
  const peer = start("0.sim.b.l1", { limits });
  write(peer, 1n);
  write(peer, 2n);
  const puller = start("0.sim.a.l1");
  const { version } = puller;
  const [first, second] = framesOf(peer, stepReplica(puller, { kind: "pull", peer: "b", pullId: pullId(1) }, NOW));
  if (first === undefined || second === undefined) return "the answer was to have two frames";
  stepReplica(puller, { kind: "message", from: "b", message: "frame", body: first }, NOW);
  for (let tick = 0; tick < SYNC_LIMITS.retriesMax + 2; tick += 1) {
    stepReplica(puller, { kind: "timer", name: `pull ${pullId(1)}` }, NOW);
  }
  if (puller.pull !== undefined) return "a pull did not fail although nothing came any more";
  return coversVersion(version, puller.version)
    ? "rows of a failed pull are behind the same shard version as before"
    : undefined;
}

function start(
  writer: string,
  { image, limits = SYNC_LIMITS }: { readonly image?: Uint8Array; readonly limits?: SyncLimits } = {},
): Replica {
  const store = createMapRowStore(TABLES, { state: true });
  return createReplica({
    writer: parseWriterId(writer),
    limits,
    ...(image === undefined ? { store } : loadImage(image, store)),
  });
}

function write(replica: Replica, key: bigint): void {
  stepReplica(
    replica,
    {
      kind: "write",
      writes: [{ table: 0, keys: BigUint64Array.of(key), mutate: ({ floats }) => void floats.fill(1) }],
    },
    NOW,
  );
}

function pullWhole(puller: Replica, peer: Replica, id: number): void {
  for (const body of framesOf(peer, stepReplica(puller, { kind: "pull", peer: "b", pullId: pullId(id) }, NOW))) {
    stepReplica(puller, { kind: "message", from: "b", message: "frame", body }, NOW);
  }
}

/** The frames with which a replica answers the pull among these effects. */
function framesOf(replica: Replica, effects: readonly ReplicaEffect[]): Uint8Array[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== "send" || effect.message !== "pull") return [];
    const asker = effect.to === "b" ? "a" : "b";
    return stepReplica(replica, { kind: "message", from: asker, message: "pull", body: effect.body }, NOW).flatMap(
      (answer) => (answer.kind === "send" && answer.message === "frame" ? [answer.body] : []),
    );
  });
}
