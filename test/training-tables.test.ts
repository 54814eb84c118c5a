import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type ModelLayout, modelLayout } from "../protocols/model-layout.ts";
import { rowMemory } from "../protocols/sync/row-store.ts";
import { loadSamples } from "../regions/train/load-samples.ts";
import { refuseAges, refuseTightBudgets } from "../regions/train/unfit-tables.ts";
import { freshet } from "./run-freshet.ts";
import { madeData, model, trained } from "./training-support.ts";

test("a key that its table's rule does not let in has no row, however many passes there are, and its samples still learn the rest", async () => {
  await using folder = await madeData();
  const file = join(folder.path, "train.csv");
  const whole = await readFile(file, "utf8");
  await writeFile(file, `${whole}1,seldom,3,0,0.5\n`);
  const counted: ModelDeclaration = {
    ...model,
    tables: model.tables.map((table) =>
      table.key === "user" ? { ...table, admit: { kind: "count", count: 2, bytes: 2048 } } : table,
    ),
  };
  const ran = await trained(folder.path, { model: counted, passesMax: 3 });
  expect(ran.results).toHaveLength(3);
  expect(ran.rows).toEqual([12, 12, 3]);
  expect((await trained(folder.path, { passesMax: 1 })).rows).toEqual([13, 12, 3]);
});

test("a table whose rows go for their age, or for more keys than its budget has room for, is refused with what to do", async () => {
  await using folder = await madeData();
  const aging = { ...model, tables: model.tables.map((table) => ({ ...table, ttlMs: 60_000 })) };
  expect(() => refuseAges(model)).not.toThrow();
  expect(() => refuseAges(aging)).toThrow(
    'Cannot train model "likes" on files: its table "users" has a "ttl", and here no row goes',
  );
  const data = await loadSamples(folder.path, { model, say: () => undefined });
  function budget(rows: number): ModelLayout {
    const { tables: specs } = modelLayout(model);
    const bytes = rows * rowMemory(specs[1] ?? { valueBytes: 0, stateBytes: 0 });
    const users = { name: "users", key: "user", budgetBytes: 2 * bytes };
    return modelLayout({ ...model, shards: 2, tables: [users, ...model.tables.slice(1)] });
  }
  // Twelve users, in two shards.
  expect(() => refuseTightBudgets(budget(12), data)).not.toThrow();
  expect(() => refuseTightBudgets(budget(5), data)).toThrow(
    /its table "users" has a "budget" of 5 rows in each of 2 shards, and one gets \d+ keys from these samples/,
  );
  // Keys that are only judged take no room.
  expect(() => refuseTightBudgets(budget(5), { ...data, trainKeys: [5, 0, 0] })).not.toThrow();

  const config = join(folder.path, "aging.jsonc");
  const tables = model.tables.map((table) => ({ ...table, ttl: "30d" }));
  await writeFile(config, JSON.stringify({ region: "lab", training: "lab", models: [{ ...model, tables }] }));
  const out = join(folder.path, "out");
  const refused = await freshet(["train", "--config", config, "--data", folder.path, "--out", out]);
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toContain("Let its rows stay, or give freshet train a config that leaves it out");
});
