import { expect, test } from "vitest";
import { ActorSystem } from "../runtime/system.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { clicksModel, ITEMS, push, REGION, soon, startShard, USERS } from "./shard-support.ts";

const DIM = 4;

test("a key is read as the default row until its third step, whose gradient is the first that counts", async () => {
  const model = clicksModel(DIM, { admit: { kind: "count", count: 3, bytes: 4096 } });
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const shard = await startShard(system, { node: "a", model, folder: folder.path });
  shard.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  const keys = BigUint64Array.of(7n);
  async function read(table: number): Promise<readonly [found: number | undefined, values: readonly number[]]> {
    const { found, values } = await shard.ask("gather", { lists: [{ table, keys }] }, { signal: soon() });
    return [found[0]?.[0], [...(values[0] ?? [])]];
  }
  const first = await read(ITEMS);
  expect(first[1].every((value) => value !== 0)).toBe(true);
  for (let gradient = 1; gradient <= 3; gradient += 1) {
    expect(await read(USERS)).toEqual([0, [0, 0, 0, 0]]);
    await push(shard, { keys: [7n], dim: DIM, gradient, tables: [USERS, ITEMS] });
  }
  const [found, values] = await read(USERS);
  expect(found).toBe(1);
  // From the values that such a row starts from, between -0.05 and 0.05, a tenth of the third gradient.
  for (const value of values) expect(Math.abs(value + 0.3)).toBeLessThanOrEqual(0.05);
  const text = await system.metricsText();
  expect(text).toContain('freshet_rows_admitted_total{model="clicks"} 1\n');
  expect(text).toContain('freshet_gradients_dropped_total{model="clicks"} 2\n');
}, 60_000);
