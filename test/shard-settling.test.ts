import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { clicksModel, pullFrom, push, REGION, rowsOf, shardAt, soon, startShard } from "./shard-support.ts";

const SETTLED_AGE = 'freshet_settled_age_seconds{shard="clicks-0",worker="a"}';
const MEMBERS = ["a", "b", "c"].map((node) => ({ region: REGION, node }));
const DIM = 4;
const MODEL = clicksModel(DIM);

test("what all members know leaves every vector, over restarts of the primary that lost what others hold, or its whole disk", async () => {
  await using folder = await temporaryFolder();
  const [disk, backup] = [join(folder.path, "a"), join(folder.path, "backup")];
  let rowsBefore = 0;
  for (let life = 1; life <= 4; life += 1) {
    await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
    const start = { model: MODEL, folder: folder.path, snapshotMs: 500 };
    const [a, b, c] = [
      await startShard(system, { node: "a", ...start }),
      await startShard(system, { node: "b", ...start, full: true }),
      await startShard(system, { node: "c", ...start }),
    ];
    a.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
    function pullAll(): void {
      for (const follower of [b, c]) pullFrom(follower, shardAt("a"));
    }
    await push(a, { keys: life < 4 ? [1n, 2n, BigInt(2 + life)] : [1n, 9n], dim: DIM });
    await eventually(`all is settled at every member in life ${life}`, async () => {
      a.tell("settle", { members: MEMBERS });
      pullAll();
      const all = await Promise.all([a, b, c].map((replica) => replica.ask("status", {}, { signal: soon() })));
      const isSettled = all.every(
        ({ settled, unsettled: { entries, tombstones } }) => settled > 0 && entries + tombstones === 0,
      );
      return isSettled && new Set(all.map(({ digest }) => digest)).size === 1 ? true : undefined;
    });
    // Gauges follow with the next turn to write.
    const shown = await eventually("the metrics say that all is settled", async () => {
      const text = await system.metricsText();
      const lines = ['freshet_tombstones{shard="clicks-0",worker="a"} 0', SETTLED_AGE];
      return lines.every((line) => text.includes(line)) ? text : undefined;
    });
    expect(shown).toContain(SETTLED_AGE);
    const rows = await rowsOf(a);
    // Of the rows of the first life one is never written again.
    expect(rows).toBeGreaterThan(rowsBefore);
    rowsBefore = rows;
    if (life === 3) {
      // What the members hold is on their disks.
      await system.stop({ deadlineMs: 20_000 });
      await rm(disk, { recursive: true });
    }
    if (life !== 2) continue;
    // The next start knows nothing of these rows, which the others hold; only one of them is ever written again.
    await cp(disk, backup, { recursive: true });
    await push(a, { keys: [1n, 7n], dim: DIM });
    await eventually("the others hold what will be lost", async () => {
      pullAll();
      return (await digests(a, b, c)).size === 1 ? true : undefined;
    });
    await system[Symbol.asyncDispose]();
    await rm(disk, { recursive: true });
    await cp(backup, disk, { recursive: true });
  }
}, 90_000);

async function digests(...replicas: readonly ActorRef<ShardProtocol>[]): Promise<ReadonlySet<string | undefined>> {
  const all = await Promise.all(replicas.map((replica) => replica.ask("status", {}, { signal: soon() })));
  return new Set(all.map(({ digest }) => digest));
}
