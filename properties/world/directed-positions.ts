/*
 * Positions that come with a copy, built by hand. `a` is the primary: it loses two batches with a crash, which `c`, who is no member meanwhile, holds. Each says
 * what does not hold.
 */
import { encodeImage } from "../../protocols/sync/image.ts";
import { type Replica, stepReplica } from "../../protocols/sync/replica.ts";
import { observe } from "../../protocols/sync/stamper.ts";
import { Shard } from "./directed-horizon.ts";
import { NOW } from "./situation.ts";

/** Batch 1 wrote row 1, and 2 and 3 wrote rows 1 and 2 at the times lost. `a` starts again with the first, and settles up to a time that `b` has seen. */
function lost(seenBy: (lost: readonly [number, number]) => number): Shard {
  const shard = new Shard();
  for (const name of ["a", "b", "c"]) shard.start(name);
  learn(shard.at("a"), 1, 1n);
  for (const name of ["b", "c"]) shard.pull(name, "a");
  const image = encodeImage(shard.at("a"));
  const times = [learn(shard.at("a"), 2, 1n), learn(shard.at("a"), 3, 2n)] as const;
  shard.pull("c", "a");
  observe(shard.start("a", 2, image).stamper, times[1]);
  observe(shard.at("b").stamper, seenBy(times));
  for (let turn = 0; turn < 4; turn += 1) shard.settle("a", ["b"], true);
  return shard;
}

function learn(replica: Replica, id: number, key: bigint): number {
  const writes = [{ table: 0, keys: BigUint64Array.of(key), mutate: () => undefined }];
  stepReplica(replica, { kind: "write", writes, batch: { trainer: "t", id } }, NOW);
  return replica.stamper.last;
}

/** Pulls until `c` has what `a` has settled; tells of positions that are not those of its rows. */
function copied(shard: Shard): string | undefined {
  const [a, c] = [shard.at("a"), shard.at("c")];
  for (let pull = 0; pull < 2; pull += 1) shard.pull("c", "a");
  if (a.horizon.settled === 0 || c.horizon.settled !== a.horizon.settled) return "a lost time was to be settled";
  if (c.store.versionOf(0, 1n)?.t !== a.store.versionOf(0, 1n)?.t) return "the row of a lost batch was to go";
  return c.applied.get("t") === 1 ? undefined : "a copy took the rows of a batch away, and left the position of it";
}

/** P3: all that was lost is settled, up to the very time that `c` knows. */
function copyOfTheSameTime(): string | undefined {
  return copied(lost(([, last]) => last));
}

/** P3: the second lost row lies beyond what is settled, so `c` keeps it, and knows more than it copies. */
function copyOfAnEarlierTime(): string | undefined {
  return copied(lost(([first]) => first));
}

/** P3: a primary that lost its disk learns batch 1 anew, and then copies what a member had of both. Its own row lacks the second. */
function copyBelowOwnRows(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b"]) shard.start(name);
  for (const id of [1, 2]) learn(shard.at("a"), id, 1n);
  shard.pull("b", "a");
  for (let turn = 0; turn < 4; turn += 1) shard.settle("a", ["b"], true);
  shard.pull("b", "a");
  const a = shard.start("a", 2);
  observe(a.stamper, shard.at("b").horizon.settled);
  learn(a, 1, 1n);
  for (let turn = 0; turn < 4; turn += 1) shard.settle("a", ["b"], true);
  const isNewer = a.store.versionOf(0, 1n)?.writer === a.writer;
  if (a.horizon.settled === 0 || !isNewer) return "a copy was to leave a newer row";
  return a.applied.get("t") === 1 ? undefined : "a copy brought the position of a batch that a newer row lacks";
}

export const COPIED_POSITIONS = [
  ["P3", copyOfTheSameTime],
  ["P3", copyOfAnEarlierTime],
  ["P3", copyBelowOwnRows],
] as const;
