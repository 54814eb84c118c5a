import { expect, test } from "vitest";
import { ActorSystem } from "../runtime/system.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { clicksModel, REGION, soon, startShard, USERS } from "./shard-support.ts";
import { packPush } from "../actors/packed-push.ts";

const DIM = 4;
const BATCHES = 40;

test("of two trainers that learn one row at once no step is lost (T4): the shard alone writes it", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const shard = await startShard(system, { node: "a", model: clicksModel(DIM), folder: folder.path });
  shard.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  const lists = [{ table: USERS, keys: BigUint64Array.of(7n) }];
  async function read(): Promise<number> {
    return (await shard.ask("gather", { lists }, { signal: soon() })).values[0]?.[0] ?? Number.NaN;
  }
  const before = await read();
  const asked = ["t", "u"].flatMap((trainer) =>
    Array.from({ length: BATCHES }, (_, at) => {
      const parts = [{ table: USERS, keys: BigUint64Array.of(7n), gradients: new Float32Array(DIM).fill(1) }];
      return shard.ask("push", packPush({ trainer, batch: at + 1, previous: at, parts, sightings: [] }), {
        signal: soon(),
      });
    }),
  );
  for (const outcome of await Promise.all(asked)) expect(outcome.kind).toBe("applied");
  // OGD: the k-th step moves the row by a tenth over the root of k.
  const moved = Array.from({ length: 2 * BATCHES }, (_, at) => 0.1 / Math.sqrt(at + 1)).reduce((a, b) => a + b, 0);
  expect(Math.abs(before - (await read()) - moved)).toBeLessThan(1e-4);
}, 60_000);
