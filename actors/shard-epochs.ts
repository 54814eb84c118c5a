/*
 * Of which epoch the rows of a shard are, for who reads them in its memory without asking. Two things are told, and kept up to date so that they are never late:
 * the epoch of the horizon that the shard holds, and of each writer its epoch (runtime/compute/table/writer-epochs.ts). A row is of epoch e, as one of the
 * rows that this epoch is, if its writer is of e, or if its writer is of an earlier one and the horizon of e is held: who lays that horizon has dropped what e left out
 * (protocols/sync/lay-horizon.ts), and takes no more of it. Under a later horizon only what e itself wrote is surely of e.
 */
import { type Replica, type ReplicaEffect, type ReplicaEvent, stepReplica } from "../protocols/sync/replica.ts";
import { framesOf } from "../protocols/sync/pull-asks.ts";
import { FLAG_LAST, FLAG_REPLACES, FLAGS_AT } from "../protocols/wire/frame.ts";
import { sharedEpochs } from "../runtime/compute/table/beyond-row-store.ts";
import { latestEpoch } from "../runtime/compute/table/writer-epochs.ts";

/** What other threads see. */
export interface SharedEpochs {
  /** One number: the epoch e of the horizon that is held; or, while a full copy takes the place of what is held, -1 - e, as rows may be of what comes. */
  readonly held: Int32Array;
  /** The latest epoch of any writer, and then that of each. */
  readonly writers: Int32Array;
}

/** What was seen there. */
export interface EpochLook {
  /** Below 0 where it is not known of which horizon rows are. */
  readonly held: number;
  /** No row is of a later epoch. */
  readonly latest: number;
}

/** In a column of epochs, of a key that has no row. */
export const NO_EPOCH = -1;

export interface ShardEpochs {
  readonly shared: SharedEpochs;
  /** A step of the replica. What is told of its epoch is true at every moment of it. */
  step(event: ReplicaEvent, nowMs: number): ReplicaEffect[];
}

export function createShardEpochs(replica: Replica): ShardEpochs {
  const held = new Int32Array(new SharedArrayBuffer(4));
  const shared = { held, writers: sharedEpochs(replica.store) };
  held[0] = replica.horizon.epoch;
  return {
    shared,
    step(event, nowMs) {
      if (mayReplace(replica, event)) Atomics.store(held, 0, movingFrom(replica.horizon.epoch));
      const effects = stepReplica(replica, event, nowMs);
      // Not before: until then there may be rows that this epoch left out.
      if (Atomics.load(held, 0) !== replica.horizon.epoch) Atomics.store(held, 0, replica.horizon.epoch);
      return effects;
    },
  };
}

export function lookAt({ held, writers }: SharedEpochs): EpochLook {
  return { held: Atomics.load(held, 0), latest: latestEpoch(writers) };
}

/** What holds of all that was read while these were seen. */
export function joinLooks(a: EpochLook, b: EpochLook): EpochLook {
  const held = a.held === b.held ? a.held : movingFrom(epochAt(a));
  return { held, latest: Math.max(a.latest, b.latest) };
}

/** The epoch that a shard holds, or goes from. */
export function epochAt({ held }: EpochLook): number {
  return held < 0 ? movingFrom(held) : held;
}

/** Undoes itself. */
function movingFrom(epoch: number): number {
  return -1 - epoch;
}

/** Whether all that was read under this is of the epoch. */
export function isOf(epoch: number, look: EpochLook | undefined): boolean {
  return look?.held === epoch && look.latest <= epoch;
}

/** Whether a row is of the epoch, by the epoch of who wrote it. What is not there is of any. */
export function isRowOf(epoch: number, look: EpochLook, written = NO_EPOCH): boolean {
  return written === NO_EPOCH || written === epoch || (written < epoch && look.held === epoch);
}

/** Whether with this the last frame of a full copy may come. Only copies bring rows of writers of epochs before the horizon that is held. */
function mayReplace({ pull }: Replica, event: ReplicaEvent): boolean {
  if (event.kind !== "message" || event.message !== "frame" || !(event.body instanceof Uint8Array)) return false;
  const flags = event.body[FLAGS_AT] ?? 0;
  if ((flags & FLAG_REPLACES) === 0) return false;
  const answer = pull?.answer;
  return answer === undefined ? (flags & FLAG_LAST) !== 0 : answer.receivedCount + 1 >= framesOf(answer);
}
