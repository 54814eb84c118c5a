/*
 * What must hold of admission where a model is trained on files: after any steps each row is what the shards' primaries make of the same steps, by their filter and
 * their optimizers, and a pass that comes later makes no row.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createAdmitKeys } from "../actors/admit-keys.ts";
import { gatherRows } from "../actors/gather-rows.ts";
import { writesOf } from "../actors/shard-writes.ts";
import { plain } from "../protocols/compute/plain.ts";
import { shardOf } from "../protocols/keys.ts";
import { labelsOf } from "../protocols/learning/label-weights.ts";
import { createLearner, learn, placeRows, planExamples } from "../protocols/learning/learner.ts";
import { createLocalModel } from "../protocols/learning/local-model.ts";
import { createLocalTrainer } from "../protocols/learning/local-trainer.ts";
import { createKeyBook, encodeSamples } from "../protocols/learning/sample-set.ts";
import { type LabelledExample } from "../protocols/learning/training-batch.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";

const BYTES = 4096;
const LAYOUT = modelLayout({
  name: "m",
  shards: 2,
  architecture: { kind: "deepfm", embedding: 2, deep: [3] },
  tables: [
    { name: "users", key: "user", admit: { kind: "count", count: 2, bytes: BYTES } },
    { name: "items", key: "item", admit: { kind: "probability", probability: 0.4 }, unknown: "initial" },
    { name: "colours", key: "colour", unknown: "zero" },
    { name: "means", key: "recent", sequence: { of: "recent", last: 3, pooling: "mean" } },
    {
      name: "sums",
      key: "recent",
      sequence: { of: "recent", last: 3, pooling: "sum" },
      admit: { kind: "count", count: 3, bytes: BYTES },
    },
  ],
  dense: [],
  optimizer: { kind: "adagrad", learningRate: 0.1 },
  denseOptimizer: { kind: "adagrad", learningRate: 0.05 },
});

const few = fc.constantFrom("1", "2", "3", "x", "");
const sample: fc.Arbitrary<LabelledExample> = fc
  .tuple(few, few, few, fc.array(few, { maxLength: 3 }), fc.constantFrom(0, 1))
  .map(([user, item, colour, recent, label]) => {
    return { user, item, features: { colour, recent: recent.join("\n") }, dense: {}, label, weight: 1 };
  });
const STRANGER: LabelledExample = {
  user: "nobody",
  item: "nothing",
  features: { colour: "none", recent: "nothing" },
  dense: {},
  label: 0,
  weight: 1,
};

export function checkLocalAdmission(): void {
  fc.assert(
    fc.property(
      fc.array(fc.array(sample, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 7, size: "max" }),
      (batches) => {
        const book = createKeyBook(LAYOUT.model);
        // The last is never learned from, as one of the part that the model is judged on.
        const set = encodeSamples(LAYOUT.model, book, [...batches.flat(), STRANGER]);
        const local = createLocalModel(LAYOUT, book);
        using trainer = createLocalTrainer(local, { backend: plain, batchMax: 4 });
        function pass(isFirst: boolean): void {
          let next = 0;
          for (const [at, { length }] of batches.entries()) {
            const samples = Uint32Array.from({ length }, (_, index) => next + index);
            next += length;
            const how = { rate: 1, l2: 0, dropout: 0, seed: 0 };
            trainer.step(set, samples, isFirst ? { ...how, sighting: at + 1 } : how);
          }
        }
        pass(true);
        const stores = learnInShards(batches);
        const unmade = local.embeddings.flatMap(({ keys, values, dim, admission }, index) => {
          const table = index + 1;
          return [...keys].flatMap((key, row) => {
            const store = stores[shardOf(table, key, LAYOUT.model.shards)];
            assert(store);
            const wanted = gatherRows(LAYOUT, store, { table, keys: BigUint64Array.of(key) });
            const held = values.subarray(row * dim, (row + 1) * dim);
            assertNear(held, wanted.values);
            if (admission === undefined) return [];
            assert.equal(admission.hasRow[row], wanted.found[0]);
            return wanted.found[0] === 0 ? [{ held, before: held.slice(), hasRow: () => admission.hasRow[row] }] : [];
          });
        });
        pass(false);
        for (const { held, before, hasRow } of unmade) assert.deepEqual([held, hasRow()], [before, 0]);
      },
    ),
    { numRuns: 60 },
  );
}

/** The rows of each shard's primary after these steps. */
function learnInShards(batches: readonly (readonly LabelledExample[])[]): readonly RowStore[] {
  const shards = Array.from({ length: LAYOUT.model.shards }, () => {
    const store = createMapRowStore(LAYOUT.tables, { state: true });
    return { store, admitKeys: createAdmitKeys(LAYOUT, store), t: 1 };
  });
  const learner = createLearner(LAYOUT, { backend: plain, batchMax: 4 });
  for (const [at, samples] of batches.entries()) {
    const planned = planExamples(LAYOUT, samples);
    const rows = planned.lists.map((lists, shard) =>
      lists.map((list) => {
        const { store } = shards[shard] ?? {};
        assert(store);
        return gatherRows(LAYOUT, store, list).values;
      }),
    );
    placeRows(learner, planned, rows);
    for (const [shard, parts] of learn(learner, planned, labelsOf(samples)).gradients.entries()) {
      const here = shards[shard];
      assert(here);
      const { push } = here.admitKeys({ trainer: "t", batch: at + 1, previous: at, parts, sightings: [] });
      const writer = here.store.writerIndex(parseWriterId("0.r.n.x"));
      for (const write of writesOf(LAYOUT, push, { shard, isUrgent: () => false })) {
        if ("steps" in write) here.t += here.store.learn({ ...write, writer, firstT: here.t }).stamped;
      }
    }
  }
  return shards.map(({ store }) => store);
}

function assertNear(values: Float32Array, wanted: Float32Array): void {
  assert.equal(values.length, wanted.length);
  for (const [at, value] of values.entries()) assert(Math.abs(value - (wanted[at] ?? Number.NaN)) < 1e-4);
}
