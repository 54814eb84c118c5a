/*
 * What must hold of admission: who gets a row, when, and what becomes of the rest of a push. The counts of the sketch are compared with true ones.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createAdmitKeys } from "../actors/admit-keys.ts";
import { type Push } from "../actors/shard-protocol.ts";
import { admits, createAdmission } from "../protocols/learning/admission.ts";
import { countKey, createCountSketch, SKETCH_BYTES_MIN } from "../protocols/learning/count-sketch.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { checkLocalAdmission } from "./local-admission-laws.ts";
import { createRandom, nextBelow } from "../protocols/random.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";

const SMALL = 4096;
/** Counts between two halvings of a small sketch. */
const WINDOW = 512;

export function checkLaws(): void {
  countsAreNeverTooLow();
  strangersSeldomCount();
  countsFade();
  rowsComeWithTheirSighting();
  chanceIsFair();
  pushesKeepWhatIsKnown();
  checkLocalAdmission();
}

/** Up to the first halving no count is below the true one, however many keys meet. */
function countsAreNeverTooLow(): void {
  const random = createRandom(1);
  for (let round = 0; round < 100; round += 1) {
    const sketch = createCountSketch({ bytes: SKETCH_BYTES_MIN, seed: round });
    const times = new Map<bigint, number>();
    for (let at = 1; at < SKETCH_BYTES_MIN / 8; at += 1) {
      const key = BigInt(nextBelow(random, 40));
      times.set(key, (times.get(key) ?? 0) + 1);
      assert(countKey(sketch, key) >= (times.get(key) ?? 0));
    }
  }
}

/** Keys seen once are taken for keys seen before in less than 2 of 100 cases, however long the stream. */
function strangersSeldomCount(): void {
  const sketch = createCountSketch({ bytes: SMALL, seed: 7 });
  let wrong = 0;
  const strangers = 64 * WINDOW;
  for (let key = 0n; key < strangers; key += 1n) if (countKey(sketch, key * 0x9e37_79b9_7f4a_7c15n) > 1) wrong += 1;
  assert(wrong / strangers < 0.02, `${wrong} of ${strangers} keys seen once were taken for others`);
  assert.equal(sketch.counters.length, SMALL);
}

/** A count that nothing is added to halves with each window. */
function countsFade(): void {
  const sketch = createCountSketch({ bytes: SMALL, seed: 7 });
  for (let time = 0; time < 8; time += 1) countKey(sketch, 1n);
  for (let other = 0; other < 3 * WINDOW; other += 1) countKey(sketch, BigInt(other + 10));
  assert(countKey(sketch, 1n) <= 2);
}

function rowsComeWithTheirSighting(): void {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 100 }), fc.bigInt(0n, 2n ** 64n - 1n), fc.nat(), (count, key, seed) => {
      const admission = createAdmission({ kind: "count", count, bytes: SMALL }, seed);
      const sighted = Array.from({ length: count + 1 }, (_, step) => admits(admission, key, step));
      assert.equal(sighted.indexOf(true), count - 1);
      assert.equal(sighted[count], true);
    }),
  );
}

/** Each sighting is a draw of its own, and the same when it comes again. */
function chanceIsFair(): void {
  const probability = 0.1;
  const admission = createAdmission({ kind: "probability", probability }, 3);
  const again = createAdmission({ kind: "probability", probability }, 3);
  let admitted = 0;
  const [keys, steps] = [40, 500];
  for (let key = 0n; key < keys; key += 1n) {
    let mine = 0;
    for (let step = 1; step <= steps; step += 1) {
      const is = admits(admission, key, step);
      assert.equal(admits(again, key, step), is);
      if (is) mine += 1;
    }
    // 50 are expected of each key, give or take seven.
    assert(Math.abs(mine - steps * probability) < 35);
    admitted += mine;
  }
  assert(Math.abs(admitted / (keys * steps) - probability) < 0.01);
}

const OGD = { kind: "ogd", learningRate: 0.1 } as const;
const LAYOUT = modelLayout({
  name: "m",
  shards: 1,
  architecture: { kind: "dlrm", embedding: 2, bottom: [], top: [4] },
  tables: [
    { name: "users", key: "user", admit: { kind: "count", count: 2, bytes: SMALL } },
    { name: "items", key: "item" },
  ],
  dense: [],
  optimizer: OGD,
  denseOptimizer: OGD,
});

/** A push loses the gradients of unknown keys of tables that have a rule, and nothing else; who has a row is never turned away. */
function pushesKeepWhatIsKnown(): void {
  const key = fc.bigInt(0n, 12n);
  fc.assert(
    fc.property(fc.uniqueArray(key), fc.array(fc.uniqueArray(key), { maxLength: 6 }), (known, batches) => {
      const store = createMapRowStore(LAYOUT.tables, { state: true });
      const writer = store.writerIndex(parseWriterId("0.r.n.x"));
      const rows = new Set(known);
      store.update({ table: 1, keys: BigUint64Array.from(known), writer, firstT: 1, mutate: () => undefined });
      const admitKeys = createAdmitKeys(LAYOUT, store);
      const seen = new Map<bigint, number>();
      for (const [at, keys] of batches.entries()) {
        const push = pushOf(keys, at + 1);
        const { push: taken, admitted, refused } = admitKeys(push);
        const wanted = keys.filter((each) => rows.has(each) || (seen.get(each) ?? 0) >= 1);
        assert.deepEqual(taken.parts, pushOf(wanted, at + 1, keys).parts);
        const strangers = keys.filter((each) => !rows.has(each));
        assert.deepEqual(
          [admitted, refused],
          [
            strangers.filter((each) => wanted.includes(each)).length,
            strangers.filter((each) => !wanted.includes(each)).length,
          ],
        );
        for (const each of strangers) seen.set(each, (seen.get(each) ?? 0) + 1);
      }
    }),
  );
}

/** Gradients of these keys for both tables, as if all `others` had stood in the batch; without keys the first table has no part. */
function pushOf(keys: readonly bigint[], batch: number, others = keys): Push {
  function part(table: number, of: readonly bigint[]): Push["parts"][number] {
    const numbers = of.flatMap((key) => [Number(key), -Number(key)]);
    return {
      table,
      keys: BigUint64Array.from(of),
      gradients: Float32Array.from(numbers),
      read: Float32Array.from(numbers, (number) => number + 0.5),
    };
  }
  const first = keys.length > 0 || others.length === 0 ? [part(1, keys)] : [];
  return { trainer: "t", batch, previous: batch - 1, parts: [...first, part(2, others)], sightings: [] };
}
