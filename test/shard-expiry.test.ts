import { expect, test } from "vitest";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { clicksModel, ITEMS, push, REGION, rowsOf, shardAt, soon, startShard, USERS } from "./shard-support.ts";

const DIM = 4;
const MODEL = clicksModel(DIM, { ttlMs: 3_000 });

test("rows of a table with an age are gone at the primary and at who pulls from it; those of another table stay", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const [a, b] = [
    await startShard(system, { node: "a", model: MODEL, folder: folder.path }),
    await startShard(system, { node: "b", model: MODEL, folder: folder.path }),
  ];
  a.tell("role", { duty: "trains", training: REGION, term: 0 });
  await push(a, { keys: [1n, 2n, 3n], dim: DIM, tables: [USERS, ITEMS] });
  b.tell("synchronise", { peer: shardAt("a") });
  await eventually("the follower has all rows", async () => ((await rowsOf(b)) === 6 ? true : undefined));
  await eventually("users have expired at the follower", async () => {
    b.tell("synchronise", { peer: shardAt("a") });
    return (await rowsOf(b)) === 3 ? true : undefined;
  });
  expect(await rowsOf(a)).toBe(3);
  for (const table of ["users", "items"]) {
    const row = await b.ask("row", { table, key: "2" }, { signal: soon() });
    expect(row.found).toBe(table === "items");
  }
  expect(await system.metricsText()).toContain('freshet_rows_dropped_total{model="clicks"} 6\n');
}, 60_000);
