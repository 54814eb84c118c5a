import { expect, test } from "vitest";
import { type RegionConfigInput } from "../regions/config.ts";
import { type TableSpec } from "../protocols/sync/row-store.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { memoriesForRows, memoriesOf } from "../protocols/table-memories.ts";
import { LEAST, parse, problemsOf } from "./config-parsing.ts";

test("a table's rule of admission counts sightings in some memory, or draws; what an unknown key is read as can be said", () => {
  const tables = [
    { name: "users", key: "user", admit: { count: 3 } },
    { name: "items", key: "item", admit: { probability: 0.1 }, unknown: "initial" as const },
  ];
  const { models } = parse({ ...LEAST, models: [{ name: "clicks", tables }] });
  expect(models[0]?.tables).toEqual([
    { name: "users", key: "user", precision: "f32", admit: { kind: "count", count: 3, bytes: 2 ** 20 } },
    {
      name: "items",
      key: "item",
      precision: "f32",
      admit: { kind: "probability", probability: 0.1 },
      unknown: "initial",
    },
  ]);
  for (const admit of [
    { count: 1 },
    { count: 3, memory: "1B" },
    { probability: 0 },
    { probability: 0.5, count: 2 },
    {},
  ]) {
    const found = problemsOf({ ...LEAST, models: [{ name: "clicks", tables: [{ ...tables[0], admit }, tables[1]] }] });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(": models[0].tables[0].admit");
  }
});

test("a table over a list names the feature, and how many of its last entries are pooled how", () => {
  const users = { name: "users", key: "user" };
  const items = { name: "items", key: "item" };
  const recent = { name: "recent", sequence: { of: "seen", last: 5, pooling: "max" as const } };
  const { models } = parse({ ...LEAST, models: [{ name: "clicks", tables: [users, items, recent] }] });
  expect(models[0]?.tables[2]).toEqual({ ...recent, key: "seen", precision: "f32" });
  const derived = [{ name: "age-group", kind: "bucketised" as const, of: "age", bounds: [1] }];
  const groups = { name: "groups", key: "age-group" };
  for (const [table, where] of [
    [{ name: "recent" }, ".key"],
    [{ ...recent, key: "user" }, ".key"],
    [{ ...recent, sequence: { of: "item" } }, ".sequence.of"],
    [{ ...recent, sequence: { of: "age-group" } }, ".sequence.of"],
    [{ ...recent, sequence: { of: "seen", last: 0 } }, ".sequence.last"],
    [{ ...recent, sequence: { of: "seen", pooling: "least" } }, ".sequence.pooling"],
  ] as const) {
    const found = problemsOf({
      ...LEAST,
      models: [{ name: "clicks", derived, tables: [users, items, groups, table] }],
    });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`: models[0].tables[3]${where}`);
  }
});

test("a feature of a two-tower model is of one side: the item's has what is known of each item without a request, the user's nothing of it", () => {
  const tables = [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
    { name: "twins", key: "item" },
    { name: "cities", key: "city" },
    // A list, whatever it is called.
    { name: "recent", sequence: { of: "age" } },
    { name: "ages", key: "age-group" },
    { name: "item-ages", key: "item-by-age" },
  ];
  const derived = [
    { name: "age-group", kind: "bucketised" as const, of: "age", bounds: [1] },
    { name: "item-by-age", kind: "crossed" as const, of: ["item", "age-group"] },
    { name: "city-and-item", kind: "crossed" as const, of: ["city", "item-by-age"] },
  ];
  function withTowers(
    towers: { readonly itemTables?: readonly string[]; readonly itemDense?: readonly string[] },
    change: { readonly dense?: string[]; readonly tastes?: boolean } = {},
  ): RegionConfigInput {
    const { itemTables = [], itemDense = [] } = towers;
    const { dense = ["age", "popularity", "hour"], tastes = false } = change;
    const model = {
      name: "clicks",
      architecture: { kind: "two-tower" as const, itemTables: [...itemTables], itemDense: [...itemDense] },
      dense,
      derived: tastes ? derived : derived.slice(0, 2),
      tables: tastes ? [...tables, { name: "tastes", key: "city-and-item" }] : tables,
    };
    return { ...LEAST, models: [model] };
  }
  const sound = { itemTables: ["ages", "item-ages"], itemDense: ["age", "popularity"] };
  expect(() => parse(withTowers(sound))).not.toThrow();
  // A number that is no item's is the user's, whatever it is called.
  expect(() => parse(withTowers({ ...sound, itemDense: ["age"] }))).not.toThrow();
  for (const [towers, change, where, allowed] of [
    [{ ...sound, itemTables: [...sound.itemTables, "x"] }, {}, "architecture.itemTables[2]", "the name of a table"],
    [
      { ...sound, itemTables: [...sound.itemTables, "users"] },
      {},
      "architecture.itemTables[2]",
      "made of item, age and",
    ],
    [{ ...sound, itemTables: [...sound.itemTables, "cities"] }, {}, "architecture.itemTables[2]", "without a request"],
    [{ ...sound, itemTables: [...sound.itemTables, "recent"] }, {}, "architecture.itemTables[2]", "without a request"],
    [
      { ...sound, itemTables: [...sound.itemTables, "tastes"] },
      { tastes: true },
      "architecture.itemTables[2]",
      "made of",
    ],
    [{ ...sound, itemDense: ["age", "hour"] }, {}, "architecture.itemDense[1]", "age or popularity"],
    [{ ...sound, itemDense: ["age", "size"] }, {}, "architecture.itemDense[1]", 'a name that stands in "dense"'],
    [sound, { tastes: true }, "tables[7].key", "a key of one side"],
    [{ ...sound, itemTables: ["ages"] }, {}, "tables[6].key", "with the table in itemTables, made of item"],
    [{ ...sound, itemTables: ["item-ages"] }, {}, "tables[5].key", "a key of one side"],
    [{ ...sound, itemDense: [] }, {}, "architecture.itemDense", 'a list with "age"'],
    [{}, {}, "tables[6].key", "a key of one side"],
  ] as const) {
    const found = problemsOf(withTowers(towers, change));
    expect(found).toEqual([expect.stringContaining(`: models[0].${where} is `)]);
    expect(found[0]).toContain(allowed);
  }
});

test("a table's budget is memory for at least 1,000 rows in each shard", () => {
  function withBudget(budget: string): RegionConfigInput {
    const tables = [
      { name: "users", key: "user", budget },
      { name: "items", key: "item" },
    ];
    return { ...LEAST, models: [{ name: "clicks", shards: 64, tables }] };
  }
  expect(parse(withBudget("2GB")).models[0]?.tables[0]).toMatchObject({ budgetBytes: 2 ** 31 });
  // 24 of a head, 16 floats and as many of AdaGrad, 32 of the index: 184 bytes.
  expect(parse(withBudget("11500KB")).models[0]?.tables[0]).toMatchObject({ budgetBytes: 11_500 * 1024 });
  expect(problemsOf(withBudget("11499KB"))).toEqual([
    expect.stringMatching(/: models\[0\]\.tables\[0\]\.budget is .*at least "11500KB", 1000 rows in each of 64 shards/),
  ]);
});

test("a table's memory is for the contents of at least 1,000 rows in each shard, and of fewer than its budget allows", () => {
  function withMemory(table: { readonly memory: string; readonly budget?: string }): RegionConfigInput {
    const tables = [
      { name: "users", key: "user", ...table },
      { name: "items", key: "item" },
    ];
    return { ...LEAST, models: [{ name: "clicks", shards: 64, tables }] };
  }
  expect(parse(withMemory({ memory: "1GB" })).models[0]?.tables[0]).toMatchObject({ memoryBytes: 2 ** 30 });
  // 16 floats, and as many of AdaGrad: 128 of the 184 bytes of a row.
  expect(problemsOf(withMemory({ memory: "7MB" }))).toEqual([
    expect.stringMatching(
      /: models\[0\]\.tables\[0\]\.memory is .*at least "8000KB", the contents of 1000 rows in each of 64 shards/,
    ),
  ]);
  expect(problemsOf(withMemory({ memory: "720MB", budget: "1GB" }))).toEqual([
    expect.stringMatching(/\.memory is .*less than "729444KB", which is what all rows within the table's budget take/),
  ]);
  expect(parse(withMemory({ memory: "700MB", budget: "1GB" })).models).toHaveLength(1);
});

test("a table of which a part is on disk has memories for that which is not, and for the heads of all its rows", () => {
  function memories(table: { readonly memory: string; readonly budget?: string }): readonly number[] {
    const tables = [
      { name: "users", key: "user" },
      { name: "items", key: "item", ...table },
    ];
    const [model] = parse({ ...LEAST, models: [{ name: "clicks", shards: 2, tables }] }).models;
    return model === undefined ? [] : memoriesOf(modelLayout(model)).slice(0, 3);
  }
  expect(memories({ memory: "1GB" })).toEqual([1, 1, 1]);
  expect(memories({ memory: "8GB" })).toEqual([1, 1, 2]);
  // Of each 184 bytes of the budget 64 are of a head and a key: about 9 of 26 GB in a shard.
  expect(memories({ memory: "1GB", budget: "52GB" })).toEqual([1, 1, 3]);
});

test("a table that an image says has more rows than a memory takes is read into several, eight at most", () => {
  const wide: TableSpec = {
    name: "users",
    dim: 16,
    valueBytes: 64,
    stateBytes: 64,
    precision: "f32",
    optimizer: "{}",
  };
  const bytes = { ...wide, dim: 8, valueBytes: 8, stateBytes: 0, precision: "bytes" } as const;
  // Rows of 184 and of 64 bytes with what is kept of them.
  expect(memoriesForRows([wide, bytes, wide, wide], [20_000_000, 20_000_000, 60_000_000, 2 ** 28])).toEqual([
    1, 1, 3, 8,
  ]);
  // Images of old say nothing.
  expect(memoriesForRows([wide], [0])).toEqual([1]);
});

test("a table's budget says over how many memories it is spread in each shard, eight at most", () => {
  function withBudget(budget: string): RegionConfigInput {
    const tables = [
      { name: "users", key: "user" },
      { name: "items", key: "item", budget },
    ];
    return { ...LEAST, models: [{ name: "clicks", shards: 2, tables }] };
  }
  function memories(budget: string): readonly number[] {
    const [model] = parse(withBudget(budget)).models;
    return model === undefined ? [] : memoriesOf(modelLayout(model)).slice(0, 3);
  }
  expect(["2GB", "7GB", "8GB", "56GB"].map(memories)).toEqual([
    [1, 1, 1],
    [1, 1, 1],
    [1, 1, 2],
    [1, 1, 8],
  ]);
  expect(problemsOf(withBudget("57GB"))).toEqual([
    expect.stringMatching(
      /: models\[0\]\.tables\[1\]\.budget is .*at most "56GB", 28GB in each of 2 shards; give the model more/,
    ),
  ]);
  const keys = ["user", "item", ...Array.from({ length: 7 }, (_, at) => `feature-${at}`)];
  const wide = keys.map((key) => ({ name: key, key, budget: "56GB" }));
  expect(problemsOf({ ...LEAST, models: [{ name: "clicks", shards: 2, tables: wide }] })).toEqual([
    expect.stringMatching(
      /: models\[0\]\.tables is .*at most 64 memories of 3.5GB in a shard \(these have \d+\); give the model more shards/,
    ),
  ]);
});
