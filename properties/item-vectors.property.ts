// The laws of items' vectors: once a round is over each is what the item tower makes of the item's rows, whatever moved, failed or was asked meanwhile; what has changed comes first.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createCandidateIndex } from "../actors/candidate-index.ts";
import { type GatherRows } from "../actors/epoch-rows.ts";
import { createItemVectors } from "../actors/item-vectors.ts";
import { itemNumbers } from "../protocols/architectures/item-side.ts";
import { plain } from "../protocols/compute/plain.ts";
import { plainMatrix, type RowMatrix } from "../protocols/compute/topk.ts";
import { keyOf } from "../protocols/keys.ts";
import { CATALOGUE_DECAY, CATALOGUE_ROW_BYTES, writeCatalogueRow } from "../protocols/learning/catalogue-row.ts";
import { createLearner, placeRows, planExamples, predict } from "../protocols/learning/learner.ts";
import { addPopularity, NO_POPULARITY } from "../protocols/learning/popularity.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { modelLayout, type ModelLayout, requiredTable } from "../protocols/model-layout.ts";
import { createRandom, mixUint32, nextNormal } from "../protocols/random.ts";

const stack = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 1 });
const drawn = fc.record({
  user: stack,
  item: stack,
  output: fc.integer({ min: 1, max: 5 }),
  itemDense: fc.subarray(["age"]),
  /** Keyed by what is known of an item without a request. */
  itemTables: fc.subarray(["ages", "pairs"]),
  items: fc.integer({ min: 1, max: 700 }),
  /** What is done before each turn, and after how many ticks its rows are there. */
  script: fc.array(
    fc.record({
      act: fc.constantFrom("rows move", "features move", "layers move", "turn fails", "nothing"),
      item: fc.nat({ max: 699 }),
      ticks: fc.nat({ max: 3 }),
      queryTicks: fc.nat({ max: 3 }),
    }),
    { maxLength: 8 },
  ),
});

const FEATURES = [
  { name: "ages", key: "age-group" },
  { name: "pairs", key: "item-by-age" },
];

/** What comes with a request is of the user's side. */
const OSLO = { city: "oslo" };

/** Rows that are a function of their key and of how often they have moved. */
class MovingRows {
  readonly #layout: ModelLayout;
  readonly #moves = new Map<string, number>();
  #featuresMoved = 0;
  /** Ticks until the next rows are there; then nothing, or a failure. */
  ticks = 0;
  fails = false;

  constructor(layout: ModelLayout) {
    this.#layout = layout;
  }

  move(table: number, key: bigint): void {
    const name = `${table} ${key}`;
    this.#moves.set(name, (this.#moves.get(name) ?? 0) + 1);
  }

  /** Every row of the tables on the item's side but the items' own. */
  moveFeatures(): void {
    this.#featuresMoved += 1;
  }

  moveLayers(): void {
    for (const [table, { role }] of this.#layout.tables.entries()) if (role === "dense") this.move(table, 0n);
  }

  readonly gather: GatherRows = async (lists) => {
    const { ticks, fails } = this;
    const rows = lists.map((ofShard) =>
      ofShard.map(({ table, keys }) => Float32Array.from(keys.values().flatMap((key) => this.#row(table, key)))),
    );
    for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
    if (fails) throw new Error("The shard is away");
    return rows;
  };

  #row(table: number, key: bigint): readonly number[] {
    const isFeature = FEATURES.some(({ name }) => name === this.#layout.tables[table]?.name);
    const moves = (this.#moves.get(`${table} ${key}`) ?? 0) + (isFeature ? this.#featuresMoved : 0);
    const random = createRandom(mixUint32(mixUint32(Number(key & 0xffff_ffffn), table), moves));
    return Array.from({ length: this.#layout.tables[table]?.dim ?? 0 }, () => nextNormal(random));
  }
}

test("each item's vector is what the item tower makes of it, a round after whatever moved; what has changed is computed in the next turn", async () => {
  await fc.assert(
    fc.asyncProperty(drawn, async ({ items: count, script, ...towers }) => {
      const model: ModelDeclaration = {
        name: "towers",
        shards: 2,
        architecture: { kind: "two-tower", embedding: 3, ...towers },
        tables: [
          { name: "users", key: "user" },
          { name: "items", key: "item" },
          { name: "cities", key: "city" },
          { name: "twins", key: "item" },
          ...FEATURES.filter(({ name }) => towers.itemTables.includes(name)),
        ],
        derived: [
          { name: "age-group", kind: "bucketised", of: "age", bounds: [1, 2] },
          { name: "item-by-age", kind: "crossed", of: ["item", "age-group"] },
        ],
        // What is not of the item is of the user, whatever it is called.
        dense: [...towers.itemDense, "hour", "popularity"],
        optimizer: { kind: "ogd", learningRate: 0.1 },
        denseOptimizer: { kind: "ogd", learningRate: 0.1 },
      };
      const layout = modelLayout(model);
      const rows = new MovingRows(layout);
      const held = new Map<number, Float32Array>();
      const matrix = plainMatrix(towers.output);
      const watched: RowMatrix = {
        ...matrix,
        put(index, values) {
          held.set(index, values.slice());
          matrix.put(index, values);
        },
      };
      const index = createCandidateIndex({ dim: towers.output, matrix: watched, numbers: itemNumbers(model) });
      const items = Array.from({ length: count }, (_, at) => ({ item: `item-${at}`, key: keyOf(`item-${at}`) }));
      const keys = BigUint64Array.from(items, ({ key }) => key);
      const names = new Uint8Array(count * CATALOGUE_ROW_BYTES);
      for (const [at, { item }] of items.entries()) {
        const row = names.subarray(at * CATALOGUE_ROW_BYTES, (at + 1) * CATALOGUE_ROW_BYTES);
        const clicks = { timeMs: 7_200_000, weight: 1 + (at % 7) };
        const popularity = addPopularity(NO_POPULARITY, clicks, CATALOGUE_DECAY);
        writeCatalogueRow(row, { item, popularity, firstSeenMs: 0 });
      }
      let nowMs = 0;
      let rounds = 0;
      const vectors = createItemVectors({
        layout,
        backend: plain,
        index,
        gather: rows.gather,
        nowMs: () => 7_200_000,
        upMs: () => nowMs,
        onRound: () => (rounds += 1),
      });
      const learner = createLearner(layout, { backend: plain, batchMax: 1 });
      const signal = new AbortController().signal;

      /** By the whole program, one example at a time: both towers' outputs, and the probability. */
      async function meant(user: string, item: string, key: bigint) {
        const planned = planExamples(layout, [{ user, item, features: OSLO, dense: index.denseOf(key, 7_200_000) }]);
        placeRows(learner, planned, await rows.gather(planned.lists, signal));
        const [probability = 0] = predict(learner, planned);
        const [ofUser, ofItem] = learner.compiled.outputs.map((output) => [...output]);
        return { probability, ofUser: ofUser ?? [], ofItem: ofItem ?? [] };
      }
      async function expectVector({ item, key }: (typeof items)[number]): Promise<void> {
        const place = items.findIndex((_, at) => index.keyAt(at) === key);
        expectNear([...(held.get(place) ?? [])], (await meant("", item, key)).ofItem);
      }

      // Rows come before names at times, and are nobody's then.
      vectors.changed(keys);
      await vectors.turn(signal);
      expect(held.size).toBe(0);
      index.putNames(keys, names);
      vectors.changed(keys);
      for (const { act, item: at, ticks, queryTicks } of script) {
        const item = items[at % count];
        if (item === undefined) continue;
        rows.ticks = ticks;
        rows.fails = act === "turn fails";
        const turn = vectors.turn(signal).catch(() => 1);
        // Whatever is on its way: what it has read is older than this.
        if (act === "layers move") rows.moveLayers();
        // Nobody is told of rows of features: the next round has them.
        else if (act === "features move") rows.moveFeatures();
        else if (act !== "nothing") {
          rows.move(requiredTable(layout, "item"), item.key);
          vectors.changed(BigUint64Array.of(item.key));
        }
        rows.fails = false;
        rows.ticks = queryTicks;
        const somebody = { user: "somebody", features: OSLO, dense: {} };
        const query = vectors.query(somebody, { gather: rows.gather, signal });
        nowMs += await turn;
        const { ofUser } = await meant("somebody", "", 0n);
        expectNear([...(await query)], ofUser);
        // No more than a batch waits: then the next turn has it.
        if (act === "rows move" && count <= 250) {
          nowMs += await vectors.turn(signal);
          await expectVector(item);
        }
      }
      rows.ticks = 0;
      const before = rounds;
      for (let turns = 0; rounds < before + 2 && turns < 100; turns += 1) nowMs += await vectors.turn(signal);
      expect(rounds).toBe(before + 2);
      for (const item of items.slice(0, 20)) await expectVector(item);
      expect(matrix.size()).toBe(count);

      // So the nearest are those that the model ranks highest.
      const query = await vectors.query({ user: "u", features: OSLO, dense: {} }, { gather: rows.gather, signal });
      const near = index.candidates({ query, neighbours: 5, popular: 0, newest: 0 });
      const probabilities = new Map<string, number>();
      for (const { item, key } of items) probabilities.set(item, (await meant("u", item, key)).probability);
      const best = [...probabilities.values()].toSorted((a, b) => b - a);
      expect(near).toHaveLength(Math.min(5, count));
      for (const [at, { item }] of near.entries()) expect(probabilities.get(item)).toBeCloseTo(best[at] ?? 0, 4);
    }),
    { numRuns: 40 },
  );
});

function expectNear(given: readonly number[], wanted: readonly number[]): void {
  expect(given).toHaveLength(wanted.length);
  for (const [at, value] of given.entries()) expect(value).toBeCloseTo(wanted[at] ?? Number.NaN, 3);
}
