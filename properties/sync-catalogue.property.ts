/*
 * Each checker by itself: with only one property looked at, the planted bug that breaks it is found. And the checkers
 * themselves: where a replica is damaged behind the core's back, they must say so.
 */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { nextBelow, type Random } from "../protocols/random.ts";
import { type Replica } from "../protocols/sync/replica.ts";
import { TOMBSTONE } from "../protocols/sync/row-store.ts";
import { CATALOGUE } from "./catalogue.ts";
import { MUTANTS } from "./mutants.ts";
import { verifyMutants } from "./verify-seeds.ts";
import { WatchedStore } from "./world/watched-store.ts";
import { runWorld } from "./world/world.ts";

test("each property of the catalogue finds its planted bug by itself", { timeout: 240_000 }, async () => {
  const hunts = CATALOGUE.flatMap(({ property, bug }) => {
    const mutant = MUTANTS.find(({ name }) => name === bug);
    return mutant === undefined ? [] : [{ mutant, only: [property] }];
  });
  expect(hunts.length).toBe(CATALOGUE.length);
  expect(new Set(CATALOGUE.map(({ property }) => property)).size).toBe(CATALOGUE.length);
  const results = await verifyMutants({ start: 1, seedsMax: 400, threads: 2, hunts });
  expect(results.filter(({ killedBy, only }) => killedBy?.property !== only?.[0])).toEqual([]);
});

test("each property of the catalogue is looked at in a file that is there", () => {
  expect(CATALOGUE.filter(({ file }) => !existsSync(new URL(`../${file}`, import.meta.url)))).toEqual([]);
});

// What each does to a replica, and who must notice when only they look. False: not possible here yet.
const DAMAGES: readonly (readonly [
  what: string,
  only: readonly string[],
  (replica: Replica, random: Random) => boolean,
])[] = [
  ["a bit of a stored value flipped", ["S3"], flipStoredBit],
  ["a bit of a stored value flipped, seen as a second content", ["X8"], flipStoredBit],
  // By less than a whole one: the next of a batch may be held already, or superseded, and then the claim is true.
  ["knowledge of a writer raised", ["S1"], (replica, random) => shiftKnowledge(replica, random, 0.5)],
  ["knowledge of a writer lowered", ["S1"], (replica, random) => shiftKnowledge(replica, random, -1)],
  ["a row's version raised", ["S3"], (replica, random) => shiftVersion(replica, random, 1)],
  ["a row's version lowered", ["S2"], (replica, random) => shiftVersion(replica, random, -1)],
  ["a row dropped", ["S2"], dropRow],
  ["an early row taken for known", ["S8"], ({ early }) => early.size > 0 && early.delete([...early][0] ?? 0)],
];

for (const [what, only, tamper] of DAMAGES) {
  test(`${what}: noticed in every world by ${only.join()} alone`, { timeout: 120_000 }, () => {
    let done = 0;
    for (let seed = 1; seed <= 80; seed += 1) {
      let isDone = false;
      const { failure } = runWorld(seed, {
        only,
        tamper: (replica, random) => (isDone = nextBelow(random, 50) === 0 && tamper(replica, random)),
      });
      if (!isDone) continue;
      done += 1;
      expect(only, `seed ${seed}: ${failure?.message}`).toContain(failure?.property);
    }
    expect(done).toBeGreaterThan(20);
  });
}

test("a bit flipped near the end that no store noted is noticed in every world, for all rows are looked at once more", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    let calls = 0;
    runWorld(seed, { only: [], tamper: () => (calls += 1) < 0 });
    let isDone = false;
    const { failure } = runWorld(seed, {
      only: ["S3"],
      tamper: (replica, random) => {
        calls -= 1;
        isDone = calls < 20 && flipStoredBit(replica, random);
        if (isDone && replica.store instanceof WatchedStore) replica.store.touched.clear();
        return isDone;
      },
    });
    expect([isDone, failure?.property], `seed ${seed}`).toEqual([true, "S3"]);
  }
});

/** Writes a row again as it is, but for one bit, at the version it has. */
function flipStoredBit(replica: Replica, random: Random): boolean {
  return rewriteRow(replica, random, ({ values }) => {
    const bit = nextBelow(random, values.length * 8);
    values[bit >> 3] = (values[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return 0;
  });
}

function shiftVersion(replica: Replica, random: Random, by: number): boolean {
  return rewriteRow(replica, random, () => by);
}

function shiftKnowledge({ knowledge }: Replica, random: Random, by: number): boolean {
  const entry = [...knowledge][nextBelow(random, Math.max(1, knowledge.size))];
  if (entry === undefined) return false;
  knowledge.set(entry[0], entry[1] + by);
  return true;
}

function dropRow({ store }: Replica, random: Random): boolean {
  const doomed = BigInt(nextBelow(random, 8));
  return store.dropWhere(({ key }) => key === doomed).length > 0;
}

function rewriteRow(
  { store }: Replica,
  random: Random,
  change: (row: { readonly values: Uint8Array }) => number,
): boolean {
  const list = store.collect(new Float64Array());
  const at = nextBelow(random, Math.max(1, list.slots.length));
  const [batch] = store.pack(list, { from: at, to: at + 1 });
  store.release(list);
  // Nobody reads the values of a deleted row.
  if (batch === undefined || batch.flags[0] === TOMBSTONE) return false;
  const by = change(batch);
  store.dropWhere(({ key }) => key === batch.keys[0]);
  store.merge({ ...batch, t: batch.t.map((t) => t + by) }, new Float64Array());
  return true;
}
