/* A shard of which most rows are on disk, with real threads, real files, a process that is killed and a disk that is full. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { createColdMeter } from "../actors/cold-meter.ts";
import { createSharedRows } from "../actors/shared-rows.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { SimulatedScratch } from "../properties/simulated-scratch.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { createSpreadRowStore } from "../runtime/compute/table/spread-row-store.ts";
import { openScratch } from "../runtime/compute/table/scratch.ts";
import { createMetrics } from "../runtime/metrics.ts";
import { ActorSystem } from "../runtime/system.ts";
import { COLD_DIM, COLD_MODEL, keysOf } from "./cold-model.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { clicksModel, push, REGION, rowsOf, soon, startShard, USERS } from "./shard-support.ts";

const ROWS = 9_000;
// Needs Linux, and leave to mount in a namespace of one's own.
const canMount = spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /tmp"]).status === 0;

test("a shard with most rows on disk learns and gives what one with all in memory does, to other threads as well", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const scratch = join(folder.path, "scratch");
  const cold = await startShard(system, { node: "a", model: COLD_MODEL, folder: folder.path, scratch, snapshotMs: 50 });
  await using other = await temporaryFolder();
  await using otherSystem = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const warm = await startShard(otherSystem, { node: "a", model: clicksModel(COLD_DIM), folder: other.path });
  const counts = new Map<string, number>();
  const rows = createSharedRows(modelLayout(COLD_MODEL), [cold], {
    upMs: () => 0,
    count: (name, by) => counts.set(name, (counts.get(name) ?? 0) + by),
  });
  for (const primary of [cold, warm]) {
    primary.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
    for (const gradient of [0.1, 0.3]) await push(primary, { keys: keysOf(ROWS), dim: COLD_DIM, gradient });
  }
  const lists = [{ table: USERS, keys: BigUint64Array.from(keysOf(ROWS + 2)) }];
  const expected = await warm.ask("gather", { lists }, { signal: soon() });
  expect(await rows.gather(0, lists, soon())).toEqual(expected);
  expect(await cold.ask("gather", { lists }, { signal: soon() })).toEqual(expected);
  expect(Object.fromEntries(counts)).toEqual({
    freshet_gather_asked_rows_total: ROWS - 100,
    freshet_gather_disk_rows_total: ROWS - 100,
  });
  const text = await eventually("it is shown", async () => {
    const shown = await system.metricsText();
    return /freshet_table_misses_total\{.*\} [1-9]/.test(shown) ? shown : undefined;
  });
  expect(text).toContain(`freshet_table_disk_rows{shard="clicks-0",table="users"} ${ROWS - 100}\n`);
  expect((await stat(join(scratch, "clicks-0", "table-1"))).size).toBeGreaterThan(0);
  await system.stop({ deadlineMs: 10_000 });
  expect(await readdir(scratch)).toEqual([]);
});

test("the rows of a batch that were in memory, and those that were not, are counted once each", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const scratch = join(folder.path, "scratch");
  const cold = await startShard(system, { node: "a", model: COLD_MODEL, folder: folder.path, scratch, snapshotMs: 50 });
  cold.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  // The second hundred takes all the room that the first had.
  await push(cold, { keys: keysOf(100), dim: COLD_DIM });
  await push(cold, { keys: keysOf(100, 100), dim: COLD_DIM });
  const keys = BigUint64Array.of(0n, 0n, 1n, 100n, 100n, 101n, 102n, 500n);
  async function expectCounts(hits: number, misses: number): Promise<void> {
    const wanted = [hits, misses].map(String);
    const shown = await eventually(`hits and misses are ${wanted.join(" and ")}`, async () => {
      const text = await system.metricsText();
      const now = ["hits", "misses"].map((what) => text.match(`freshet_table_${what}_total\\{.*\\} (\\d+)`)?.[1]);
      return now.join() === wanted.join() ? now : undefined;
    });
    expect(shown).toEqual(wanted);
  }
  await expectCounts(0, 0);
  await cold.ask("gather", { lists: [{ table: USERS, keys }] }, { signal: soon() });
  await expectCounts(3, 2);
  // One of the two rows is in memory by now, whether an image is being read meanwhile or not.
  await push(cold, { keys: [0n, 2n], dim: COLD_DIM });
  await expectCounts(4, 3);
});

test("all that a table with rows on disk does is shown under its name", () => {
  const layout = modelLayout(COLD_MODEL);
  const scratch = new SimulatedScratch();
  // Of six rows of 24 bytes; eight records of 32 to a region, of which three are written at once.
  const cold = { bytes: [undefined, 6 * 24], regionBytes: 8 * 32, bufferBytes: 3 * 32, scratch };
  const store = createSpreadRowStore(layout.tables, { state: true, memories: [], cold });
  const metrics = createMetrics();
  const show = createColdMeter(metrics, { layout, store, shard: "clicks-0" });
  function write(from: number, count: number, t: number): void {
    const { valueBytes, stateBytes } = layout.tables[USERS] ?? expect.unreachable("it has users");
    store.merge(
      {
        table: USERS,
        keys: BigUint64Array.from(keysOf(count, from)),
        t: Float64Array.from({ length: count }, (_, at) => t + at),
        writers: new Uint16Array(count).fill(store.writerIndex(parseWriterId("0.a.n.x"))),
        flags: new Uint8Array(count),
        values: new Uint8Array(count * valueBytes),
        state: new Uint8Array(count * stateBytes),
      },
      new Float64Array(),
    );
  }
  function shown(): readonly unknown[] {
    show();
    const series = metrics.snapshot();
    for (const { labels } of series) expect(labels).toEqual({ shard: "clicks-0", table: "users" });
    const values = new Map(series.map(({ name, value }) => [name, value]));
    const names = ["disk_rows", "disk_bytes", "hits_total", "misses_total"];
    const ofDisk = ["read_bytes_total", "written_bytes_total", "moved_rows_total"].map((what) => `disk_${what}`);
    return [...names, ...ofDisk].map((name) => values.get(`freshet_table_${name}`));
  }
  write(0, 18, 1);
  // Eight rows fill a region, and three of the other four were written.
  expect(shown()).toEqual([12, 11 * 32, 0, 0, 0, 11 * 32, 0]);
  // Two that are neighbours on disk are read together. The two that leave in their place wait, with one that did, for a fourth.
  store.read(USERS, BigUint64Array.of(0n, 0n, 1n, 12n, 12n, 100n));
  expect(shown()).toEqual([12, 11 * 32, 1, 2, 2 * 32, 11 * 32, 0]);
  // Every sixth row alone stays as it is, and with it regions, until it is moved on.
  for (let t = 100; t < 1000; t += 100) for (const from of [1, 7, 13]) write(from, 5, t);
  const read = (2 + 33) * 32;
  expect(shown()).toEqual([12, scratch.bytes, 1, 2, read, 155 * 32, 9]);
});

test("what a killed process left on disk is not looked at: the shard is what its image says", async () => {
  await using folder = await temporaryFolder();
  const scratch = join(folder.path, "scratch");
  await mkdir(join(scratch, "clicks-0"), { recursive: true });
  await writeFile(join(scratch, "clicks-0", "table-1"), "left by another life");
  const child = startProcess([], folder.path, 4_000);
  expect(await child.next()).toBe("saved");
  expect(await child.next()).toBe("learned");
  await child.kill();
  expect(await readdir(join(scratch, "clicks-0"))).toEqual(["table-1"]);

  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const again = await startShard(system, { node: "a", model: COLD_MODEL, folder: folder.path, scratch });
  const rows = await rowsOf(again);
  // The first batch at least.
  expect([2_000, 4_000]).toContain(rows);
  await expectLearned(again, rows);
});

test.skipIf(!canMount)(
  "where the disk for rows is full the shard says so, and starts again from its image",
  async () => {
    await using folder = await temporaryFolder();
    const scratch = join(folder.path, "scratch");
    await mkdir(scratch);
    const mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"', scratch];
    const child = startProcess(mount, folder.path, 100_000);
    expect(await child.next()).toBe("saved");
    const [kind, rows, ...why] = (await child.next()).split(" ");
    await child.kill();
    expect([kind, why.join(" ")]).toEqual([
      "lost",
      expect.stringMatching(/Cannot keep the rows of a table on disk, in \S+table-1: ENOSPC.* Give the disk room/),
    ]);
    expect(Number(rows)).toBeGreaterThanOrEqual(2_000);
  },
);

test("scratch that is opened again is empty, and who had it before can neither use nor remove it", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "scratch");
  const before = openScratch(path);
  const old = before.open("rows");
  old.write(Uint8Array.of(1, 2, 3), 0);
  const scratch = openScratch(path);
  const file = scratch.open("rows");
  expect(() => old.write(Uint8Array.of(4), 0)).toThrow(/closed/);
  before.close();
  expect(() => file.read(new Uint8Array(1), 0)).toThrow(/ends 1 bytes early/);
  file.write(Uint8Array.of(5, 6), 1);
  const read = new Uint8Array(3);
  file.read(read, 0);
  expect([...read]).toEqual([0, 5, 6]);
  file.truncate(1);
  expect((await stat(join(path, "rows"))).size).toBe(1);
  scratch.close();
  expect(await readdir(folder.path)).toEqual([]);
});

/** Each row has had one step from what its key begins with. */
async function expectLearned(replica: ActorRef<ShardProtocol>, rows: number): Promise<void> {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const warm = await startShard(system, { node: "a", model: clicksModel(COLD_DIM), folder: folder.path });
  warm.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  await push(warm, { keys: keysOf(rows), dim: COLD_DIM });
  const lists = [{ table: USERS, keys: BigUint64Array.from(keysOf(rows)) }];
  const [wanted, got] = await Promise.all(
    [warm, replica].map((each) => each.ask("gather", { lists }, { signal: soon() })),
  );
  expect(got?.values).toEqual(wanted?.values);
}

/** The process of cold-process.ts and the lines that it says. */
function startProcess(
  prefix: readonly string[],
  folder: string,
  rows: number,
): { next(): Promise<string>; kill(): Promise<void> } {
  const script = new URL("cold-process.ts", import.meta.url).pathname;
  const [command, ...words] = [...prefix, process.execPath, script, folder, String(rows)];
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    next: async () => {
      const line = await lines.next();
      return line.done === true ? "it ended" : line.value;
    },
    kill: async () => {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}
