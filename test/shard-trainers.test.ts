import { expect, test } from "vitest";
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { type LogLine } from "../runtime/log.ts";
import { ActorSystem } from "../runtime/system.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { clicksModel, REGION, soon, startShard, USERS } from "./shard-support.ts";
import { packPush } from "../actors/packed-push.ts";
import { type PushOutcome } from "../actors/shard-protocol.ts";

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

test("a late gradient is corrected for what others wrote; one that would be refused for it is taken as computed, so that no shard lacks its part of a batch", async () => {
  await using folder = await temporaryFolder();
  const lines: LogLine[] = [];
  await using system = await ActorSystem.start({ region: REGION, sink: (line) => lines.push(line) });
  const shard = await startShard(system, { node: "a", model: clicksModel(DIM), folder: folder.path });
  shard.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  const keys = BigUint64Array.of(7n, 8n);
  async function read(): Promise<Float32Array> {
    const { values } = await shard.ask("gather", { lists: [{ table: USERS, keys }] }, { signal: soon() });
    return values[0] ?? new Float32Array();
  }
  const part = { table: USERS, keys, gradients: new Float32Array(2 * DIM).fill(1) };
  for (const batch of [1, 2]) {
    const push = packPush({ trainer: "t", batch, previous: batch - 1, parts: [part], sightings: [] });
    expect(await shard.ask("push", push, { signal: soon() })).toMatchObject({ kind: "applied", late: 0 });
  }
  const now = await read();
  // The correction adds 5 times what a row moved by: 1 to one of them, and five million to the other.
  const valuesRead = now.map((value, at) => value - (at < DIM ? 0.2 : 1e6));
  const late = { trainer: "u", batch: 1, previous: 0, sightings: [], readAt: 0, compensation: 5 };
  const push = packPush({ ...late, parts: [{ ...part, read: valuesRead }] });
  expect(await shard.ask("push", push, { signal: soon() })).toMatchObject({ kind: "applied", late: 2 });
  const after = await read();
  for (const [at, value] of after.entries()) {
    expect((now[at] ?? 0) - value).toBeCloseTo(((at < DIM ? 2 : 1) * 0.1) / Math.sqrt(3), 5);
  }
  const text = await system.metricsText();
  expect(text).toContain('freshet_steps_late_total{model="clicks"} 2\n');
  expect(text).toContain('freshet_gradients_late_total{model="clicks",taken="corrected"} 1\n');
  expect(text).toContain('freshet_gradients_late_total{model="clicks",taken="as-computed"} 1\n');
  expect(text).not.toContain("freshet_pushes_refused_total");
  expect(lines.flatMap(({ level, fields }) => (level === "warn" ? [fields] : []))).toEqual([
    { shard: "clicks-0", trainer: "u", reason: "norm", table: "users", key: "8" },
  ]);
}, 60_000);

test("what a shard takes no batch for that is nothing of the batch's is a refusal to answer, so that the trainer asks again and passes nothing over", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const shard = await startShard(system, { node: "a", model: clicksModel(DIM), folder: folder.path });
  shard.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  function push(trainer: string, batch: number): Promise<PushOutcome> {
    const empty = packPush({ trainer, batch, previous: batch - 1, parts: [], sightings: [] });
    return shard.ask("push", empty, { signal: soon() });
  }
  for (let trainer = 0; trainer < SYNC_LIMITS.trainersMax; trainer += 1) await push(`t${trainer}`, 1);
  await expect(push("one-more", 1)).rejects.toThrow(
    "shard clicks-0 takes no batch: it holds positions of 1024 trainers, which a peer must have made up, and takes none of 'one-more': " +
      "have another region train by force, or restore a backup",
  );
  expect(await push("t7", 2)).toMatchObject({ kind: "applied" });
}, 60_000);
