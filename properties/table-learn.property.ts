/*
 * Goal: a compiled table learns as the reference does, to the last bit. Method: the same writes, by drawn optimizers on drawn rows and gradients
 * (NaN, infinity and the smallest numbers among them), on a table and on Maps; values, state, versions, changes and refusals must be equal.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Optimizer, stateFloats } from "../protocols/learning/optimizer.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { exactBytesOf, floatsOf, type Precision, valueBytesOf } from "../protocols/sync/precision.ts";
import { type RowStore, type TableSpec, type UpdateOutcome } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";

const WRITER = parseWriterId("0.a.n.x");
const rate = fc.constantFrom(0.001, 0.05, 1);

const optimizer: fc.Arbitrary<Optimizer> = fc.oneof(
  fc.record({ kind: fc.constant("ogd" as const), learningRate: rate }),
  fc.record({
    kind: fc.constantFrom("adagrad" as const, "rowwise-adagrad" as const),
    learningRate: rate,
    initialAccumulator: fc.constantFrom(0, 0.1, 2),
    coldAccumulator: fc.constantFrom(0.5, 3),
    epsilon: fc.constantFrom(0, 1e-7, 0.1),
    epsilonPlace: fc.constantFrom("inside" as const, "outside" as const),
  }),
  fc.record({
    kind: fc.constant("ftrl" as const),
    learningRate: rate,
    learningRatePower: fc.constantFrom(-0.5, -0.5, -0.5, 0),
    initialAccumulator: fc.constantFrom(0, 0.1),
    l1: fc.constantFrom(0, 0.01, 1),
    l2: fc.constantFrom(0, 0.1),
    l2Shrinkage: fc.constantFrom(0, 0.01),
    beta: fc.constantFrom(0, 1),
  }),
  fc.record({
    kind: fc.constantFrom("adamom" as const, "adam" as const),
    learningRate: rate,
    beta1: fc.constantFrom(0, 0.9),
    beta2: fc.constantFrom(0.9, 0.999),
    epsilon: fc.constantFrom(1e-8, 0.1),
  }),
);

const number = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: -3, max: 3, noNaN: true }).map(Math.fround) },
  { weight: 2, arbitrary: fc.constantFrom(0, -0, 1e-30, -1e-42, 2 ** -25, 70_000, -3e18) },
  { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, 3e38) },
);

interface Write {
  readonly keys: readonly bigint[];
  readonly deleted: readonly bigint[];
  readonly lost: readonly bigint[];
  readonly lambda: number | undefined;
  readonly numbers: readonly number[];
}

const write: fc.Arbitrary<Write> = fc.record({
  keys: fc.array(fc.bigInt(0n, 6n), { minLength: 1, maxLength: 12 }),
  // Some rows are deleted before, some lose their state.
  deleted: fc.array(fc.bigInt(0n, 6n), { maxLength: 2 }),
  lost: fc.array(fc.bigInt(0n, 6n), { maxLength: 2 }),
  lambda: fc.constantFrom(undefined, undefined, 0, 0.5),
  numbers: fc.array(number, { minLength: 24, maxLength: 24 }),
});

/** Rows that learn by an optimizer. */
function learnedTable(
  by: Optimizer,
  { precision, dim }: { readonly precision: Precision; readonly dim: number },
): TableSpec {
  return {
    name: "rows",
    dim,
    valueBytes: valueBytesOf(precision, dim),
    stateBytes: exactBytesOf(precision, dim) + 4 * stateFloats(by, dim),
    precision,
    optimizer: "drawn",
  };
}

test("a table learns as the reference does: equal values, state, versions and refusals, to the last bit", () => {
  fc.assert(
    fc.property(
      optimizer,
      fc.constantFrom("f32" as const, "f16" as const, "i8" as const),
      fc.integer({ min: 1, max: 19 }),
      fc.array(write, { minLength: 1, maxLength: 6 }),
      (by, precision, dim, writes) => {
        const table = learnedTable(by, { precision, dim });
        const stores = [createMapRowStore([table], { state: true }), createTableRowStore([table], { state: true })];
        let t = 1;
        for (const one of writes) {
          const [wanted, got] = stores.map((store) => learn(store, { by, dim, t, ...one }));
          expect(got).toEqual(wanted);
          t += 1_000;
        }
        const [wanted, got] = stores.map(contents);
        expect(got).toEqual(wanted);
      },
    ),
    { numRuns: 400 },
  );
});

/** From a number of 16 bits to the next: the one between them, and which of the two is even. */
const halfTie = fc.tuple(fc.integer({ min: 0, max: 0x7bfe }), fc.constantFrom(1, -1)).map(([bits, sign]) => {
  const [below = 0, above = 0] = new Float16Array(Uint16Array.of(bits, bits + 1).buffer);
  return { tie: (sign * (below + above)) / 2, even: sign * (bits % 2 === 0 ? below : above) };
});

/** The same between two whole numbers of bytes, of which the largest in the row is 127. */
const byteTie = fc
  .integer({ min: -127, max: 126 })
  .map((below) => ({ tie: below + 0.5, even: below % 2 === 0 ? below : below + 1 }));

test.each([
  { precision: "f16" as const, ties: fc.array(halfTie, { minLength: 1, maxLength: 20, size: "max" }) },
  {
    precision: "i8" as const,
    ties: fc
      .tuple(fc.array(byteTie, { minLength: 1, maxLength: 20, size: "max" }), fc.constantFrom(1, 2 ** -9, 2 ** 9))
      .map(([row, scale]) =>
        [{ tie: 127, even: 127 }, ...row].map(({ tie, even }) => ({ tie: scale * tie, even: scale * even })),
      ),
  },
])("a number in the middle between two of $precision is held as the even one", ({ precision, ties }) => {
  fc.assert(
    fc.property(ties, (row) => {
      const dim = row.length;
      const by = { kind: "ogd", learningRate: 1 } as const;
      const table = learnedTable(by, { precision, dim });
      const keys = BigUint64Array.of(7n);
      for (const store of [
        createMapRowStore([table], { state: true }),
        createTableRowStore([table], { state: true }),
      ]) {
        store.learn({
          table: 0,
          writer: store.writerIndex(WRITER),
          keys,
          firstT: 1,
          steps: {
            // From zeros a step of rate 1 gives the gradient with its sign turned, to the last bit.
            optimizer: by,
            gradients: Float32Array.from(row, ({ tie }) => -tie),
            initial: () => new Float32Array(dim),
            norms: new Float64Array(1),
            created: new Uint8Array(1),
          },
        });
        const held = floatsOf(table, store.read(0, keys).values);
        // Minus zero is zero.
        expect([...held].map((value) => value + 0)).toEqual(row.map(({ even }) => even + 0));
      }
    }),
  );
});

function learn(
  store: RowStore,
  given: { readonly by: Optimizer; readonly dim: number; readonly t: number } & Write,
): unknown {
  const { by, dim, t, keys, deleted, lost, lambda, numbers } = given;
  const writer = store.writerIndex(WRITER);
  const base = { table: 0, writer };
  store.update({ ...base, keys: BigUint64Array.from(deleted), firstT: t, mutate: () => "delete" });
  store.update({
    ...base,
    keys: BigUint64Array.from(lost),
    firstT: t + 100,
    mutate: ({ state }) => void state.fill(0),
  });
  const norms = new Float64Array(keys.length);
  const created = new Uint8Array(keys.length);
  function floats(salt: number): Float32Array {
    return Float32Array.from({ length: keys.length * dim }, (_, at) => numbers[(at * 7 + salt) % numbers.length] ?? 0);
  }
  const outcome: UpdateOutcome = store.learn({
    ...base,
    keys: BigUint64Array.from(keys),
    firstT: t + 200,
    steps: {
      optimizer: by,
      gradients: floats(0),
      initial: (key) => Float32Array.from({ length: dim }, (_, at) => Math.fround(Number(key) / 7 - at / 5)),
      norms,
      created,
      ...(lambda !== undefined && {
        delay: { lambda, valuesRead: floats(3).map((x) => (Number.isFinite(x) ? x : 0)) },
      }),
    },
  });
  // What was refused says nothing of its norm.
  const stored = [...outcome.indexes];
  return { outcome, norms: stored.map((at) => norms[at]), created: stored.map((at) => created[at]) };
}

function contents(store: RowStore): unknown {
  const list = store.collect(new Float64Array());
  const rows = store
    .pack(list, { from: 0, to: list.slots.length })
    .flatMap(({ keys, t, flags, values, state }) =>
      [...keys].map((key, at) => ({
        key,
        t: t[at],
        flags: flags[at],
        values: rowOf(values, { at, rows: keys.length }),
        state: state && rowOf(state, { at, rows: keys.length }),
      })),
    )
    .toSorted((a, b) => Number(a.key - b.key));
  store.release(list);
  return { rows, digest: store.digest() };
}

function rowOf(bytes: Uint8Array, { at, rows }: { at: number; rows: number }): string {
  const width = bytes.length / rows;
  return Buffer.from(bytes.subarray(at * width, (at + 1) * width)).toString("hex");
}
