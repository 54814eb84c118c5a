/*
 * The update cache where it is full of what random schedules rarely have there: early rows beside an open slice, and entries of rows that went to later slices.
 */
import { SYNC_LIMITS } from "../../protocols/limits.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, stepReplica } from "../../protocols/sync/replica.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { CACHED_TABLES, checkFloor } from "./directed-cache.ts";
import { NOW } from "./situation.ts";

const PULL = "0".repeat(32);

/** X1: rows of the open slice leave for early ones, of which one was among them and became early. */
export function floorBelowEarlyRows(): string | undefined {
  const [asker, peer] = [start("a", 64), start("b", 64)];
  // Fewer than what closes a slice early.
  write(asker, [0n, 100n, 101n], NOW);
  for (let key = 0n; key < 80n; key += 1n) write(peer, [key], NOW + 1);
  const inbox = stepReplica(asker, { kind: "pull", peer: "b", pullId: PULL }, NOW + 2);
  for (let effect = inbox.shift(); effect !== undefined && asker.early.size < 70; effect = inbox.shift()) {
    if (effect.kind !== "send") continue;
    const { message, body } = effect;
    const [to, from] = message === "frame" ? [asker, "b"] : [peer, "a"];
    inbox.push(...stepReplica(to, { kind: "message", from, message, body }, NOW + 2));
    const problem = checkFloor(asker);
    if (problem !== undefined) return problem.message;
  }
  return asker.early.size < 70 ? `only ${asker.early.size} rows became early` : undefined;
}

/** S20: rows that are written again and again are left behind in many slices, each of which has one that stays. */
export function entriesBounded(): string | undefined {
  const replica = start("a", 32);
  for (let turn = 0; turn < 24; turn += 1) {
    write(replica, [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, BigInt(8 + turn)], NOW + turn);
    const problem = checkFloor(replica);
    if (problem !== undefined) return problem.message;
  }
  return undefined;
}

function start(name: string, cacheRowsMax: number): Replica {
  return createReplica({
    writer: parseWriterId(`0.sim.${name}.l`),
    limits: { ...SYNC_LIMITS, frameBytes: 90, cacheRowsMax },
    store: createMapRowStore(CACHED_TABLES, { state: true }),
  });
}

function write(replica: Replica, keys: readonly bigint[], nowMs: number): void {
  const writes = [{ table: 0, keys: BigUint64Array.from(keys), mutate: () => undefined }];
  stepReplica(replica, { kind: "write", writes }, nowMs);
}
