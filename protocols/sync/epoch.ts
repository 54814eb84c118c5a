/*
 * Going on as the primary. Where another hands over, the rows stand still and the epoch stays. Where it is cut off or lost, a new epoch begins,
 * decided in the region log: at its first moment the new primary lays a horizon of that epoch, and what it holds then is all that earlier epochs will
 * ever have been. The old primary may write on behind its cut, for as long as it does not know; what it stamps is late like anything else that a
 * horizon leaves out: refused by all who hold the horizon, replaced by a full copy where it is held.
 */
import { type Horizon } from "./horizon.ts";
import { layHorizon } from "./lay-horizon.ts";
import { describeRows, writeAnew } from "./orphans.ts";
import { type Replica, type ReplicaEffect } from "./replica-state.ts";
import { newVersion } from "./row-notes.ts";
import { epochOf, type WriterId } from "./version.ts";

/**
 * Takes on a writer of the epoch, and begins it where it is new here. Rows ahead of the knowledge are written anew, as they are: what lay below them
 * is not here any more. On disk before anybody hears of it, so that no start of this primary begins the epoch a second time, with other rows.
 */
export function lead(
  replica: Replica,
  { epoch, writer }: { readonly epoch: number; readonly writer: WriterId },
  nowMs: number,
): ReplicaEffect[] {
  const { store, stamper, knowledge, early, horizon } = replica;
  if (epochOf(writer) !== epoch) throw new RangeError(`Cannot lead in epoch ${epoch} as ${writer}, who is of another`);
  if (epoch < horizon.epoch) {
    return [{ kind: "refused", reason: "epoch", from: undefined, detail: `epoch ${horizon.epoch} has begun` }];
  }
  replica.survey = undefined;
  if (epochOf(replica.writer) < epoch) {
    replica.writer = writer;
    replica.self = store.writerIndex(writer);
  }
  if (epoch === horizon.epoch) return [];
  const next: Horizon = {
    epoch,
    settled: Math.max(1, horizon.settled + 1, stamper.last, stamper.greatestSeen),
    before: horizon.settled,
    graveyard: new Map(knowledge),
    expired: horizon.expired,
  };
  const rows = writeAnew(replica, describeRows(store, early.column()), { nowMs, isBounded: false });
  const dropped = layHorizon(replica, next);
  return [{ kind: "save" }, ...rows, ...dropped, { kind: "changed", version: newVersion(replica) }];
}
