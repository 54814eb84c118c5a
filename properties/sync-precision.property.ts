/*
 * Tables of 16-bit floats (X8, I3): each number is rounded once, to the nearest, ties to even; readers get it back exactly as a 32-bit
 * float; and a step too small for 16 bits is not lost. Rounding is checked against a search among all halves, not against the engine.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { modelLayout } from "../protocols/model-layout.ts";
import { checkTables } from "../protocols/sync/declaration.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { areFinite, exactNumbers, floatsOf, roundToF16, roundToI8, valueBytesOf } from "../protocols/sync/precision.ts";
import { createReplica, type Replica, stepReplica } from "../protocols/sync/replica.ts";
import { type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { pullWhole } from "./pull-whole.ts";

const ROW: TableSpec = { name: "r", dim: 16, valueBytes: 32, stateBytes: 64, precision: "f16", optimizer: "test" };
const HALF = { precision: "f16", dim: 1 } as const;
const NOW = 1_760_000_000_000;
const float = fc.oneof(fc.float({ noNaN: true }), fc.float({ noNaN: true, min: -70_000, max: 70_000 }));

/** The value of each finite half from 0 up, by the definition of the format. */
const HALVES = Float64Array.from({ length: 0x7c00 }, (_, bits) => {
  const [exponent, fraction] = [bits >> 10, bits & 0x3ff];
  return exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
});

test("roundToF16() gives the nearest half, of two as near the even one, and infinity from 65520 on", () => {
  function nearest(number: number): number {
    const size = Math.abs(number);
    let low = 0;
    let high = HALVES.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((HALVES[middle] ?? 0) <= size) low = middle;
      else high = middle;
    }
    const [below, above] = [HALVES[low] ?? 0, HALVES[high] ?? 0];
    // Beyond the last half the next would be 65536, of an even fraction.
    if (size >= above) return Math.sign(number) * (size >= 65_520 ? Infinity : above);
    const isAbove = size - below > above - size || (size - below === above - size && low % 2 === 1);
    return Math.sign(number) * (isAbove ? above : below);
  }
  fc.assert(
    fc.property(float, (number) => {
      const values = roundToF16(Float32Array.of(number));
      expect(floatsOf(HALF, values)[0]).toBe(nearest(number));
      expect(areFinite(HALF, values)).toBe(Math.abs(number) < 65_520);
    }),
    { numRuns: 20_000, examples: [[65_519.996], [65_520], [2 ** -25], [3 * 2 ** -25], [1 + 2 ** -11], [-(2 ** -24)]] },
  );
});

test("each of the 65,536 halves comes back from 32 bits as it was, and 2,048 of them are no numbers", () => {
  const bits = Uint16Array.from({ length: 65_536 }, (_, at) => at);
  const bytes = new Uint8Array(bits.buffer);
  const back = new Uint16Array(roundToF16(floatsOf(HALF, bytes)).buffer);
  let refused = 0;
  for (const half of bits) {
    const isFinite = areFinite(HALF, bytes.subarray(2 * half, 2 * half + 2));
    expect(isFinite).toBe((half & 0x7c00) !== 0x7c00);
    if (isFinite) expect(back[half]).toBe(half);
    else refused += 1;
  }
  expect(refused).toBe(2_048);
});

test("exactNumbers() are those that round to the values, and the values where others are given", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.float({ noNaN: true, min: -6e4, max: 6e4 }), fc.boolean(), float)), (numbers) => {
      const exact = Float32Array.from(numbers, ([number]) => number);
      const values = roundToF16(exact);
      const given = Float32Array.from(numbers, ([number, isLost, other]) => (isLost ? other : number));
      numbers.forEach(([number, isLost, other], at) => {
        const value = floatsOf(HALF, values)[at] ?? 0;
        const wanted = isLost ? (Math.f16round(other) === value ? other : value) : number;
        expect((exactNumbers({ ...HALF, dim: values.length / 2 }, values, given)[at] ?? 0) + 0).toBe(wanted + 0);
      });
    }),
  );
});

test("roundToI8() is off by at most a 254th of a row's largest number, holds that one and 0, and refuses what is no number", () => {
  const row = fc.array(fc.oneof(fc.float({ noNaN: true }), fc.float({ noNaN: true, min: -1, max: 1 })), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(row, (list) => {
      const exact = Float32Array.from(list);
      const form = { precision: "i8", dim: exact.length } as const;
      const values = roundToI8(exact);
      expect(values.length).toBe(valueBytesOf("i8", exact.length));
      const largest = Math.max(...exact.map(Math.abs));
      // The last numbers before infinity have no scale of which 127 are a number.
      if (areFinite(form, values) !== largest < 2 ** 127.9) expect(largest).toBeGreaterThan(2 ** 127.9);
      if (!areFinite(form, values)) return;
      const held = floatsOf(form, values);
      exact.forEach((number, at) => {
        const bound = (largest / 254) * (1 + 2 ** -16) + 2 ** -142;
        expect(Math.abs((held[at] ?? Number.NaN) - number)).toBeLessThanOrEqual(bound);
        if (number === 0) expect(held[at]).toBe(0);
        if (Math.abs(number) === largest && largest > 2 ** -119) {
          expect(Math.abs((held[at] ?? 0) / number - 1)).toBeLessThanOrEqual(2 ** -22);
        }
      });
      // What is given as a row's exact numbers counts if it rounds to the row, and its values do.
      expect(exactNumbers(form, values, exact)).toEqual(exact);
      const others = exact.map((number) => -number);
      if (largest > 2 ** -119) expect(exactNumbers(form, values, others)).toEqual(held);
    }),
    { numRuns: 5_000 },
  );
  for (const broken of [Number.NaN, Infinity, -Infinity]) {
    expect(areFinite({ precision: "i8", dim: 2 }, roundToI8(Float32Array.of(1, broken)))).toBe(false);
  }
});

test("roundToI8() takes of two as near the even one", () => {
  const values = roundToI8(Float32Array.of(127, 0.5, 1.5, -0.5, -2.5, 126.5));
  expect([...new Int8Array(values.buffer, 4)]).toEqual([127, 0, 2, 0, -2, 126]);
});

test("replicas of an f16 table hold, digest and pass on the bytes that were stamped, whoever wrote last", () => {
  const step = fc.record({
    at: fc.nat(2),
    from: fc.nat(2),
    key: fc.bigInt(0n, 3n),
    numbers: fc.array(fc.float({ noNaN: true, min: -6e4, max: 6e4 }), { minLength: 16, maxLength: 16 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const replicas = ["a", "b", "c"].map((node) => start(node));
      const stamped = new Map<string, Uint8Array>();
      steps.forEach(({ at, from, key, numbers }, id) => {
        const [replica, peer] = [replicas[at], replicas[from]];
        if (replica === undefined || peer === undefined) return;
        if (at !== from) pullWhole(replica, { peer, id, nowMs: NOW });
        write(replica, { keys: BigUint64Array.of(key), change: (floats) => floats.set(numbers) });
        const version = replica.store.versionOf(0, key);
        stamped.set(`${key} ${version?.t} ${version?.writer}`, roundToF16(Float32Array.from(numbers)));
      });
      for (let round = 0; round < 2; round += 1) {
        for (const replica of replicas) {
          for (const peer of replicas) if (peer !== replica) pullWhole(replica, { peer, id: 100 + round, nowMs: NOW });
        }
      }
      for (const { store } of replicas) {
        expect(store.digest()).toBe(replicas[0]?.store.digest());
        for (const key of [0n, 1n, 2n, 3n]) {
          const version = store.versionOf(0, key);
          if (version === undefined) continue;
          const { values } = store.read(0, BigUint64Array.of(key));
          expect(values).toEqual(stamped.get(`${key} ${version.t} ${version.writer}`));
        }
      }
    }),
    { numRuns: 200 },
  );
});

test.each([
  ["f16", ROW, 40, 46],
  ["i8", { ...ROW, precision: "i8", valueBytes: 20 } as const, 28, 34],
])(
  "catching up with a table of 16 numbers in %s costs at most so many bytes a changed row, hashed keys and an hour of times included",
  (_, table, least, most) => {
    const writer = start("a", { table });
    const serving = start("b", { table, state: false });
    const rows = 20_000;
    for (let at = 0; at < rows; at += 500) {
      const keys = BigUint64Array.from({ length: 500 }, (__, row) =>
        BigInt.asUintN(64, BigInt(at + row + 1) * 0x9e37_79b9_7f4a_7c15n),
      );
      write(writer, { keys, change: (floats) => floats.fill(at / rows), nowMs: NOW + (3_600_000 * at) / rows });
    }
    const frames = pullWhole(serving, { peer: writer, id: 1, nowMs: NOW + 3_600_000 });
    const bytes = frames.reduce((sum, { length }) => sum + length, 0);
    expect(serving.store.rows(0)).toBe(rows);
    expect(bytes / rows).toBeGreaterThan(least);
    expect(bytes / rows).toBeLessThanOrEqual(most);
  },
);

test("a model's table declared f16 has half the values and keeps its exact numbers before the optimizer's state", () => {
  const model = {
    name: "m",
    shards: 1,
    architecture: { kind: "dlrm", embedding: 16, bottom: [], top: [4] },
    tables: [
      { name: "users", key: "user", precision: "f16" },
      { name: "items", key: "item" },
    ],
    dense: [],
    optimizer: { kind: "rowwise-adagrad", learningRate: 0.1 },
    denseOptimizer: { kind: "adagrad", learningRate: 0.1 },
  } as const;
  const { tables, digest } = modelLayout(model);
  expect(tables.slice(1, 3)).toMatchObject([
    { precision: "f16", valueBytes: 32, stateBytes: 68 },
    { precision: "f32", valueBytes: 64, stateBytes: 4 },
  ]);
  const [users, items] = model.tables;
  expect(modelLayout({ ...model, tables: [{ ...users, precision: "f32" }, items] }).digest).not.toBe(digest);
  expect(modelLayout({ ...model, tables: [{ ...users, precision: "i8" }, items] }).tables[1]).toMatchObject({
    precision: "i8",
    valueBytes: 20,
    stateBytes: 68,
  });
  expect(() => checkTables([{ ...ROW, stateBytes: 60 }])).toThrow("exact numbers 64");
  expect(() => checkTables([{ ...ROW, valueBytes: 64 }])).toThrow("its values take 32 bytes");
});

function start(
  node: string,
  { table = ROW, state = true }: { readonly table?: TableSpec; readonly state?: boolean } = {},
): Replica {
  return createReplica({ writer: parseWriterId(`0.r.${node}.x`), store: createMapRowStore([table], { state }) });
}

function write(
  replica: Replica,
  { keys, change, nowMs = NOW }: { keys: BigUint64Array; change: (floats: Float32Array) => void; nowMs?: number },
): void {
  const writes = [{ table: 0, keys, mutate: ({ floats }: { readonly floats: Float32Array }) => change(floats) }];
  stepReplica(replica, { kind: "write", writes }, nowMs);
}
