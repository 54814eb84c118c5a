import { expect, test } from "vitest";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import {
  clicksModel,
  ITEMS,
  pullFrom,
  push,
  REGION,
  rowsOf,
  shardAt,
  soon,
  startShard,
  USERS,
} from "./shard-support.ts";

const DIM = 4;

test("rows of a table with an age are gone at the primary and at who pulls from it; those of another table stay", async () => {
  const model = clicksModel(DIM, { ttlMs: 3_000 });
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const [a, b] = [
    await startShard(system, { node: "a", model, folder: folder.path }),
    await startShard(system, { node: "b", model, folder: folder.path }),
  ];
  a.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  await push(a, { keys: [1n, 2n, 3n], dim: DIM, tables: [USERS, ITEMS] });
  pullFrom(b, shardAt("a"));
  await eventually("the follower has all rows", async () => ((await rowsOf(b)) === 6 ? true : undefined));
  await eventually("users have expired at the follower", async () => {
    pullFrom(b, shardAt("a"));
    return (await rowsOf(b)) === 3 ? true : undefined;
  });
  expect(await rowsOf(a)).toBe(3);
  for (const table of ["users", "items"]) {
    const row = await b.ask("row", { table, key: "2" }, { signal: soon() });
    expect(row.found).toBe(table === "items");
  }
  expect(await system.metricsText()).toContain('freshet_rows_dropped_total{model="clicks"} 6\n');
}, 60_000);

test("over its budget a table loses the rows that were trained longest ago, at the primary and at who pulls from it", async () => {
  // Room for five: 80 bytes a row.
  const model = clicksModel(DIM, { budgetBytes: 400 });
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const [a, b] = [
    await startShard(system, { node: "a", model, folder: folder.path, snapshotMs: 500 }),
    await startShard(system, { node: "b", model, folder: folder.path }),
  ];
  a.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  await push(a, { keys: [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n], dim: DIM });
  // Trained again before anything had to go, or made anew: one of the newest either way. With the new one there are too many either way.
  await push(a, { keys: [1n, 10n], dim: DIM });
  // One in twenty is free then.
  await eventually("the primary has room again", async () => ((await rowsOf(a)) === 4 ? true : undefined));
  await eventually("the follower has what the primary has", async () => {
    pullFrom(b, shardAt("a"));
    return (await rowsOf(b)) === 4 ? true : undefined;
  });
  const left: number[] = [];
  for (let key = 1; key <= 10; key += 1) {
    if ((await b.ask("row", { table: "users", key: String(key) }, { signal: soon() })).found) left.push(key);
  }
  expect(left).toEqual([1, 8, 9, 10]);
  const text = await eventually("the table's rows are shown", async () => {
    const shown = await system.metricsText();
    return shown.includes('freshet_table_rows{shard="clicks-0",table="users"} 4\n') ? shown : undefined;
  });
  expect(text).toContain('freshet_table_bytes{shard="clicks-0",table="users"} 320\n');
  expect(text).toMatch(/freshet_rows_evicted_total\{model="clicks"\} [67]\n/);
}, 60_000);
