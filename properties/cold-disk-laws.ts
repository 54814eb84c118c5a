/* What must hold of a table whose rows are on a disk that is full or does not keep them: cold-laws.ts, C5. */
import assert from "node:assert/strict";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createRandom, nextBelow } from "../protocols/random.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { coldStore, CUT, KEYS, NOTHING, someRows, TABLE, TABLES, tried, write, WRITERS } from "./cold-store.ts";
import { allRows, contentsOf } from "./row-contents.ts";

export function checkDiskLaws(): void {
  for (let seed = 0; seed < 24; seed += 1) damageIsNoticed(seed);
  lostWritesAreNoticed();
  aFullDiskIsSaid();
}

/** One bit of what is on disk is another: nothing is given that was not written. */
function damageIsNoticed(seed: number): void {
  const random = createRandom(seed);
  const { store, scratch } = coldStore();
  const keys = Array.from({ length: KEYS }, (_, at) => BigInt(at));
  write(store, keys, 1);
  const reference = createMapRowStore(TABLES, { state: true });
  for (const writer of WRITERS) reference.writerIndex(writer);
  write(reference, keys, 1);
  const [, name = ""] = TABLES.map((_, table) => `table-${table}`);
  const bytes = scratch.contents(name);
  const at = nextBelow(random, bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << nextBelow(random, 8));
  const work = [
    (from: RowStore): unknown => from.digest(),
    (from: RowStore): unknown => from.read(TABLE, BigUint64Array.from(keys)),
    allRows,
    (from: RowStore): unknown => {
      const moment = from.freeze("all");
      return contentsOf(moment);
    },
  ];
  const look = work[seed % work.length];
  // What waits to be written is not on the disk yet, so all may be well.
  const outcome = tried(() => look?.(store));
  if (!("error" in outcome)) {
    assert.deepEqual(outcome.value, look?.(reference), `seed ${seed}`);
    return;
  }
  assert.match(outcome.error, /what it gives back is not what was written to it/);
  const again = tried(() => store.read(TABLE, BigUint64Array.of(0n)));
  assert("error" in again && again.error === outcome.error, "it goes on after that");
}

/** A disk that says yes and keeps what it had: other rows, or older versions of the same in the same place. */
function lostWritesAreNoticed(): void {
  for (let lost = 1; lost < 16; lost += 1) {
    const { store: few, scratch: disk } = coldStore({ rows: 1 });
    const disks: Uint8Array[] = [];
    for (let t = 1; t <= 60; t += 1) {
      few.merge(someRows(BigUint64Array.of(BigInt(t % 8)), { t, random: createRandom(1) }), NOTHING);
      disks.push(disk.contents("table-1").slice());
    }
    const expected = few.digest();
    const now = disk.contents("table-1");
    now.set((disks.at(-1 - lost) ?? now).subarray(0, now.length));
    const found = tried(() => few.digest());
    assert("error" in found || found.value === expected, `what was on the disk ${lost} writes before was given`);
  }
  const { store, scratch } = coldStore();
  const keys = Array.from({ length: KEYS }, (_, at) => BigInt(at));
  write(store, keys, 1);
  const before = scratch.contents("table-1").slice();
  for (let t = 1_000; t < 9_000; t += 1_000) write(store, keys, t);
  const contents = scratch.contents("table-1");
  contents.set(before.subarray(0, contents.length));
  const outcome = tried(() => allRows(store));
  assert("error" in outcome && outcome.error.includes("not what was written"), "what had been there before was given");
}

function aFullDiskIsSaid(): void {
  const { store, scratch } = coldStore();
  const keys = Array.from({ length: KEYS }, (_, at) => BigInt(at));
  scratch.bytesMax = 3 * CUT.regionBytes;
  const outcome = tried(() => write(store, keys, 1));
  assert("error" in outcome, "it went on on a full disk");
  assert.match(
    outcome.error,
    /^Cannot keep the rows of a table on disk, in table-1: ENOSPC.* The shard starts again from its image\./,
  );
  scratch.bytesMax = Infinity;
  for (const again of [() => store.read(TABLE, BigUint64Array.of(0n)), () => store.digest(), () => allRows(store)]) {
    const after = tried(again);
    assert("error" in after && after.error === outcome.error, "it goes on after that");
  }
}
