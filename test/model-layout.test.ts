import { expect, test } from "vitest";
import { keyOf, keySeed, shardOf } from "../protocols/keys.ts";
import { initialDense } from "../protocols/learning/initial-values.ts";
import { type ArchitectureDeclaration, type ModelDeclaration, type TableDeclaration } from "../protocols/model.ts";
import {
  DENSE_KEY,
  densePlacement,
  firstDenseTable,
  initialValues,
  modelLayout,
  requiredTable,
  unknownValues,
  writeFirst,
  writeUnknown,
} from "../protocols/model-layout.ts";

const DIM = 3;
const USERS: TableDeclaration = { name: "users", key: "user" };
const ITEMS: TableDeclaration = { name: "items", key: "item" };
const RULE = { kind: "count", count: 3, bytes: 1024 } as const;
const DLRM: ArchitectureDeclaration = { kind: "dlrm", embedding: DIM, bottom: [2], top: [4] };

function declare(change: Partial<ModelDeclaration> = {}): ModelDeclaration {
  return {
    name: "clicks",
    shards: 4,
    architecture: DLRM,
    tables: [USERS, ITEMS],
    dense: ["age"],
    optimizer: { kind: "adagrad", learningRate: 0.1 },
    denseOptimizer: { kind: "adam", learningRate: 0.01 },
    ...change,
  };
}

test("modelLayout(): the catalogue, the embedding tables, then one table of one row for each dense group", () => {
  const model = declare({
    tables: [USERS, { ...ITEMS, precision: "f16" }, { name: "tags", key: "tag", precision: "i8" }],
  });
  const { tables, program } = modelLayout(model);
  expect(program.groups.map(({ name }) => name)).toEqual(["bottom", "top"]);
  const [bottom = 0, top = 0] = program.groups.map(({ floats }) => floats);
  const adagrad = {
    learning: model.optimizer,
    optimizer: JSON.stringify(model.optimizer),
    role: "embedding",
    dim: DIM,
  };
  const adam = { learning: model.denseOptimizer, optimizer: JSON.stringify(model.denseOptimizer), role: "dense" };
  const [catalogue, ...learned] = tables;
  expect(catalogue).toMatchObject({
    name: "catalogue",
    role: "catalogue",
    precision: "bytes",
    dim: 64,
    valueBytes: 64,
    stateBytes: 0,
  });
  expect(catalogue && "learning" in catalogue).toBe(false);
  expect(learned).toEqual([
    { ...adagrad, name: "users", precision: "f32", valueBytes: 12, stateBytes: 12 },
    // What rounding takes away is state, before the optimizer's own.
    { ...adagrad, name: "items", precision: "f16", valueBytes: 6, stateBytes: 12 + 12 },
    { ...adagrad, name: "tags", precision: "i8", valueBytes: 4 + 3, stateBytes: 12 + 12 },
    {
      ...adam,
      name: "dense-bottom",
      precision: "f32",
      dim: bottom,
      valueBytes: 4 * bottom,
      stateBytes: 8 * bottom + 4,
    },
    { ...adam, name: "dense-top", precision: "f32", dim: top, valueBytes: 4 * top, stateBytes: 8 * top + 4 },
  ]);
});

test("modelLayout(): what peers must agree on and sizes do not show stands with the catalogue", () => {
  function meaning(change: Partial<ModelDeclaration>): unknown {
    return JSON.parse(modelLayout(declare(change)).tables[0]?.optimizer ?? "");
  }
  const { program } = modelLayout(declare());
  expect(meaning({})).toEqual({ shards: 4, keys: ["user", "item"], dense: ["age"], program });
  const derived = [{ name: "pair", kind: "crossed", of: ["user", "item"] }] as const;
  expect(meaning({ derived })).toMatchObject({ derived });
  const sequence = { of: "seen", last: 5, pooling: "max" } as const;
  const seen: TableDeclaration = { name: "seen", key: "seen", sequence };
  expect(meaning({ tables: [USERS, ITEMS, seen] })).toMatchObject({
    keys: ["user", "item", "seen"],
    sequences: [{ at: 2, ...sequence }],
  });
  // An admission rule and what an unknown key is read as may be changed while images are kept.
  const admitted = declare({
    tables: [
      { ...USERS, admit: RULE },
      { ...ITEMS, unknown: "zero" },
    ],
  });
  expect(modelLayout(admitted).digest).toBe(modelLayout(declare()).digest);
});

test("requiredTable() finds the table of users and of items, never one over a list, and names the model that has none", () => {
  const list: TableDeclaration = { name: "list", key: "item", sequence: { of: "item", last: 2, pooling: "max" } };
  const layout = modelLayout(declare({ tables: [list, ITEMS, USERS] }));
  expect(requiredTable(layout, "item")).toBe(2);
  expect(requiredTable(layout, "user")).toBe(3);
  expect(requiredTable(modelLayout(declare()), "user")).toBe(1);
  const without = modelLayout(declare({ tables: [list, USERS] }));
  expect(requiredTable(without, "user")).toBe(2);
  expect(() => requiredTable(without, "item")).toThrow(
    new RangeError("Cannot serve model 'clicks': it has no table keyed by item"),
  );
});

test("densePlacement(): each dense group's table, and the shard where its only row lives", () => {
  const layout = modelLayout(declare({ architecture: { kind: "deepfm", embedding: DIM, deep: [2, 2] }, shards: 7 }));
  expect(firstDenseTable(layout)).toBe(3);
  expect(layout.program.groups.length).toBeGreaterThan(2);
  expect(densePlacement(layout)).toEqual(
    layout.program.groups.map((_, group) => ({ table: 3 + group, shard: shardOf(3 + group, DENSE_KEY, 7) })),
  );
});

test("initialValues(): a weight of its own starts at 0, an embedding does not, a dense group has its own row", () => {
  const key = keyOf("7");
  for (const [architecture, zeros, width] of [
    [DLRM, 0, DIM],
    [{ kind: "deepfm", embedding: DIM, deep: [] }, 1, DIM + 1],
    [{ kind: "logistic" }, 1, 1],
  ] as const) {
    const values = initialValues(modelLayout(declare({ architecture })), 1, key);
    expect(values).toHaveLength(width);
    expect([...values].map((value) => value === 0)).toEqual(Array.from({ length: width }, (_, at) => at < zeros));
  }
  const layout = modelLayout(declare());
  // The same on every node, for ever: rows that nobody sends.
  expect([...initialValues(layout, 1, key)].map((value) => value.toFixed(6))).toEqual([
    "-0.040088",
    "-0.011696",
    "-0.035911",
  ]);
  expect([...initialValues(layout, 3, DENSE_KEY)].slice(0, 3).map((value) => value.toFixed(6))).toEqual([
    "1.501134",
    "-0.614739",
    "0.000000",
  ]);
  const [bottom, top] = [3, 4].map((table) => initialValues(layout, table, DENSE_KEY));
  expect([bottom?.length, top?.length]).toEqual(layout.program.groups.map(({ floats }) => floats));
  for (const table of [0, 5, -1]) {
    expect(() => initialValues(layout, table, key)).toThrow(
      new RangeError(`Cannot make a first row for table ${table} of model 'clicks': it does not learn`),
    );
  }
});

test("unknownValues(): zeros where it is said, or where a rule of admission stands and nothing is said; else what a row starts from", () => {
  const tables: readonly (readonly [Partial<TableDeclaration>, isZero: boolean])[] = [
    [{}, false],
    [{ unknown: "zero" }, true],
    [{ unknown: "initial" }, false],
    [{ admit: RULE }, true],
    [{ admit: RULE, unknown: "initial" }, false],
    [{ admit: RULE, unknown: "zero" }, true],
  ];
  const layout = modelLayout(
    declare({ tables: tables.map(([change], at) => ({ name: `t${at}`, key: `k${at}`, ...change })) }),
  );
  const key = keyOf("nobody");
  for (const [at, [, isZero]] of tables.entries()) {
    const table = at + 1;
    const wanted = isZero ? new Float32Array(DIM) : initialValues(layout, table, key);
    expect(unknownValues(layout, table, key)).toEqual(wanted);
    expect(written({ at: 2, width: DIM }, (to) => writeUnknown(layout, { table, seed: keySeed(key) }, to))).toEqual([
      ...wanted,
    ]);
  }
  const dense = firstDenseTable(layout);
  const first = initialValues(layout, dense, DENSE_KEY);
  expect(unknownValues(layout, dense, key)).toEqual(first);
  // Whatever the key is.
  expect(written({ at: 2, width: first.length }, (to) => writeUnknown(layout, { table: dense, seed: 9 }, to))).toEqual([
    ...first,
  ]);
});

test("writeFirst() writes a row's floats at its place, zeros for weights of its own, and nothing beside them", () => {
  const layout = modelLayout(declare({ architecture: { kind: "deepfm", embedding: DIM, deep: [] } }));
  const key = keyOf("42");
  const row = written({ at: 5, width: DIM + 1 }, (to) => writeFirst(layout, { table: 2, seed: keySeed(key) }, to));
  expect(row).toEqual([...initialValues(layout, 2, key)]);
  expect(row[0]).toBe(0);
});

/** What is written at a place of a column that was full of something else, and that nothing beside it was touched. */
function written(
  { at, width }: { readonly at: number; readonly width: number },
  write: (to: { readonly into: Float32Array; readonly at: number }) => void,
): number[] {
  const into = new Float32Array(at + width + 4).fill(99);
  write({ into, at });
  expect([...into.subarray(0, at), ...into.subarray(at + width)]).toEqual(Array.from({ length: at + 4 }, () => 99));
  return [...into.subarray(at, at + width)];
}

test("initialDense(): biases 0, weights uniform within He's limit before a ReLU and Glorot's elsewhere", () => {
  const architecture = { kind: "dcn-v2", embedding: 8, cross: 1, deep: [30] } as const;
  const { program } = modelLayout(declare({ architecture }));
  const groups = initialDense(program, 7);
  expect(groups).toEqual(initialDense(program, 7));
  expect(groups).not.toEqual(initialDense(program, 8));
  const kinds = new Map<string, number>();
  for (const operation of program.operations) {
    if (operation.kind !== "dense" && operation.kind !== "cross") continue;
    const isActivated = operation.kind === "dense" && operation.relu;
    kinds.set(`${operation.kind} ${isActivated}`, (kinds.get(`${operation.kind} ${isActivated}`) ?? 0) + 1);
    const { group, weightsAt, biasesAt, width } = operation;
    const inputs = (biasesAt - weightsAt) / width;
    const limit = Math.sqrt(6 / (isActivated ? inputs : inputs + width));
    const weights = groups[group]?.subarray(weightsAt, biasesAt) ?? new Float32Array();
    const [least, most] = [Math.min(...weights), Math.max(...weights)];
    expect(most).toBeLessThanOrEqual(limit);
    expect(least).toBeGreaterThanOrEqual(-limit);
    expect(most).toBeGreaterThan(0.85 * limit);
    expect(least).toBeLessThan(-0.85 * limit);
    expect([...(groups[group] ?? [])].slice(biasesAt, biasesAt + width)).toEqual(
      Array.from({ length: width }, () => 0),
    );
  }
  expect(kinds).toEqual(
    new Map([
      ["cross false", 1],
      ["dense true", 1],
      ["dense false", 1],
    ]),
  );
});
