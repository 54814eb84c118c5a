/*
 * T4: one thread writes a row, and no step is lost. Trainers read rows at any time and send gradients; whatever each read, and whoever else has stepped the row since, its step is
 * taken from the row as it is: one after the other, whoever they are of.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { apply } from "../protocols/learning/optimizer.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";

const DIM = 2;
const SPEC: TableSpec = { name: "rows", dim: DIM, valueBytes: 8, stateBytes: 4, precision: "f32", optimizer: "ogd" };
const OPTIMIZER = { kind: "ogd", learningRate: 1 } as const;
const KEYS = [1n, 2n, 3n];

/** A trainer reads all rows, or pushes gradients for some, the same row twice perhaps, that it computed on what it read last. */
const step = fc.record({
  trainer: fc.nat({ max: 1 }),
  pushed: fc.option(
    fc.array(fc.tuple(fc.constantFrom(...KEYS), fc.integer({ min: -8, max: 8 })), { minLength: 1, maxLength: 4 }),
  ),
});

export function checkLaws(): void {
  for (const create of [createMapRowStore, createTableRowStore]) {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const store = create([SPEC], { state: true });
        const writer = store.writerIndex(parseWriterId("0.a.n.x"));
        const expected = new Map(
          KEYS.map((key) => [key, { values: new Float32Array(DIM), state: new Float32Array(1) }]),
        );
        const read = [valuesOf(store), valuesOf(store)];
        let firstT = 1;
        for (const { trainer, pushed } of steps) {
          if (pushed === null) {
            read[trainer] = valuesOf(store);
            continue;
          }
          const keys = BigUint64Array.from(pushed, ([key]) => key);
          const gradients = Float32Array.from(pushed.flatMap(([, gradient]) => [gradient, 2 * gradient]));
          const valuesRead = Float32Array.from(pushed.flatMap(([key]) => read[trainer]?.get(key) ?? []));
          store.learn({ table: 0, keys, writer, firstT, steps: stepsOf(gradients.slice(), valuesRead) });
          firstT += keys.length;
          for (const [at, [key]] of pushed.entries()) {
            const row = expected.get(key);
            const gradient = gradients.subarray(at * DIM, (at + 1) * DIM);
            if (row !== undefined) apply(OPTIMIZER, { ...row, gradient });
          }
        }
        assert.deepEqual(valuesOf(store), new Map([...expected].map(([key, { values }]) => [key, [...values]])));
      }),
    );
  }
}

function stepsOf(gradients: Float32Array, valuesRead: Float32Array) {
  const rows = gradients.length / DIM;
  return {
    optimizer: OPTIMIZER,
    gradients,
    delay: { lambda: 0, valuesRead },
    initial: () => new Float32Array(DIM),
    norms: new Float64Array(rows),
    created: new Uint8Array(rows),
  };
}

function valuesOf(store: RowStore): Map<bigint, number[]> {
  const floats = floatsOf(SPEC, store.read(0, BigUint64Array.from(KEYS)).values);
  return new Map(KEYS.map((key, at) => [key, [...floats.subarray(at * DIM, (at + 1) * DIM)]]));
}
