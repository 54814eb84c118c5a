import { expect, test } from "vitest";
import { shard } from "../actors/shard.ts";
import { type KeyList, type ShardProtocol } from "../actors/shard-protocol.ts";
import { NO_EPOCH } from "../actors/shard-epochs.ts";
import { createSharedRows } from "../actors/shared-rows.ts";
import { CATALOGUE, modelLayout } from "../protocols/model-layout.ts";
import { type ActorRef, defineActor, Refused } from "../runtime/actor.ts";
import { ActorHost } from "../runtime/actor-host.ts";
import { fileStore } from "../runtime/file-store.ts";
import { ActorSystem } from "../runtime/system.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { sequenceOf } from "./row-sequence.ts";
import { clicksModel, ITEMS, push, REGION, shardAt, shardConfig, soon, startShard, USERS } from "./shard-support.ts";

const DIM = 4;
const MODEL = clicksModel(DIM, { precision: "f16" });
const KEYS = BigUint64Array.of(1n, 2n, 3n);
const LISTS: readonly KeyList[] = [
  { table: USERS, keys: KEYS },
  { table: ITEMS, keys: KEYS },
];

for (const [memories, model] of [
  [1, MODEL],
  // Of 3.5 GiB each, of which only what is touched takes memory of the machine.
  [3, clicksModel(DIM, { precision: "f16", budgetBytes: 10 * 2 ** 30 })],
] as const) {
  test(`rows read from a shard's memory are those that the shard itself gives, learned or not, and nothing is asked of it: ${memories} memories a table`, async () => {
    await using folder = await temporaryFolder();
    await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
    const primary = await startShard(system, { node: "a", model, folder: folder.path });
    primary.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
    const { life, tables = [] } = await primary.ask("share", {}, { signal: soon() });
    expect((await primary.ask("share", { known: life }, { signal: soon() })).tables).toBeUndefined();
    expect((await primary.ask("share", { known: "another" }, { signal: soon() })).tables).toHaveLength(tables.length);
    expect([tables[CATALOGUE]?.length, tables[USERS]?.length]).toEqual([1, memories]);
    const counts: number[] = [];
    const rows = createSharedRows(modelLayout(model), [primary], { upMs: () => 0, count: (_, by) => counts.push(by) });
    for (const gradient of [0, 0.1, 0.2]) {
      await push(primary, { keys: [1n, 3n], dim: DIM, gradient, tables: [USERS, ITEMS] });
      const own = await primary.ask("gather", { lists: LISTS }, { signal: soon() });
      expect(await rows.gather(0, LISTS, soon())).toEqual(own);
      const into = own.values.map((values) => new Float32Array(values.length).fill(9));
      const given = await rows.gather(0, LISTS, soon(), { into });
      expect(given).toEqual(own);
      expect(given.values.every((values, at) => values === into[at])).toBe(true);
      expect(own.found.map((found) => [...found])).toEqual([
        [1, 0, 1],
        [1, 0, 1],
      ]);
    }
    expect(counts).toEqual([]);
    // What has no numbers is refused by the shard, as if nobody had looked into its memory.
    await expect(rows.gather(0, [{ table: CATALOGUE, keys: KEYS }], soon())).rejects.toThrow(/table/);
    expect(counts).toEqual([3]);
  });
}

test("a row that stays in the middle of a write is asked of its shard, and counted: its values and its writer's epoch are the shard's", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const primary = await startShard(system, { node: "a", model: MODEL, folder: folder.path });
  primary.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  await push(primary, { keys: [1n, 3n], dim: DIM, gradient: 0.1, tables: [USERS, ITEMS] });
  const { tables } = await primary.ask("share", {}, { signal: soon() });
  const [memory] = tables?.[ITEMS] ?? [];
  if (memory === undefined) expect.unreachable("the shard gives no memory");
  // Rows are numbered as they come: of key 3.
  const sequence = sequenceOf(memory, 1);
  const counts = new Map<string, number>();
  const rows = createSharedRows(modelLayout(MODEL), [primary], {
    upMs: () => 0,
    count: (name, by) => counts.set(name, (counts.get(name) ?? 0) + by),
  });
  const own = await primary.ask("gather", { lists: LISTS, epochs: true }, { signal: soon() });
  expect([...(own.epochs?.[1] ?? [])]).toEqual([0, NO_EPOCH, 0]);
  for (const asked of [1, 2]) {
    sequence[0] = (sequence[0] ?? 0) + 1;
    const into = LISTS.map(() => new Float32Array(KEYS.length * DIM).fill(9));
    expect(await rows.gather(0, LISTS, soon(), { into, epochs: true })).toEqual(own);
    expect(into).toEqual(own.values);
    expect([...counts]).toEqual([["freshet_gather_asked_rows_total", asked]]);
    sequence[0] = (sequence[0] ?? 0) + 1;
    expect(await rows.gather(0, LISTS, soon(), { epochs: true })).toEqual(own);
    expect([...counts]).toEqual([["freshet_gather_asked_rows_total", asked]]);
  }
});

test("after a shard's restart its new memory is read within a second; until then, rows of the old one may be", async () => {
  await using folder = await temporaryFolder();
  const lives: ActorRef<ShardProtocol>[] = [];
  let nowMs = 0;
  const rows = createSharedRows(modelLayout(MODEL), lives, { upMs: () => nowMs, count: () => undefined });
  async function read(): Promise<readonly [values: readonly number[], steps: number]> {
    const { values, steps } = await rows.gather(0, [{ table: ITEMS, keys: BigUint64Array.of(1n) }], soon());
    return [[...(values[0] ?? [])], steps];
  }
  /** A life of the shard that learns one step, with what was seen in it. */
  async function live(gradient: number, look: (shard: ActorRef<ShardProtocol>) => Promise<void>): Promise<void> {
    await using host = hostIn(folder.path);
    await host.start();
    const primary = host.ref<ShardProtocol>(shardAt("a"));
    primary.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
    lives[0] = primary;
    await push(primary, { keys: [1n], dim: DIM, gradient, tables: [ITEMS] });
    await look(primary);
  }
  let before: Awaited<ReturnType<typeof read>> | undefined;
  await live(0.1, async () => {
    before = await read();
    expect(before[1]).toBe(1);
  });
  await live(1, async (primary) => {
    nowMs = 999;
    expect(await read()).toEqual(before);
    nowMs = 1_000;
    const { values } = await primary.ask("row", { table: "items", key: "1" }, { signal: soon() });
    expect(await read()).toEqual([values, 1]);
    expect(values).not.toEqual(before?.[0]);
  });
});

test("where a shard cannot be read, what another answers later is put nowhere: the arrays may hold another batch by then", async () => {
  let release: (() => void) | undefined;
  const asked = Promise.withResolvers<void>();
  /** Knows of no memory, and holds its answers, or refuses. */
  function askedShard(refuses: boolean) {
    return defineActor<Pick<ShardProtocol, "share" | "gather">, undefined>({
      kind: "shard",
      messages: ["share", "gather"],
      setup: (_, context) => ({
        handlers: {
          share: () => ({ life: "one", tables: [], steps: shared(), epochs: { held: shared(), writers: shared() } }),
          gather: () => {
            if (refuses) throw new Refused("not today");
            const later = context.later<ShardProtocol["gather"]["reply"]>();
            const look = { held: 0, latest: 0 };
            release = () =>
              later.resolve({ values: [new Float32Array(DIM)], found: [Uint8Array.of(1)], steps: 0, look });
            asked.resolve();
            return later.reply;
          },
        },
      }),
    });
  }
  const host = new ActorHost({ region: REGION, thread: "main", sink: () => undefined, onFailure: () => undefined });
  const shards = [true, false].map((refuses, at) =>
    host.declare({ definition: askedShard(refuses), id: `clicks-${at}`, config: undefined }),
  );
  await host.start();
  const refs = shards.map((address) => host.ref<ShardProtocol>(address));
  const rows = createSharedRows(modelLayout(MODEL), refs, { upMs: () => 0, count: () => undefined });
  const lists = [0, 1].map((): KeyList[] => [{ table: ITEMS, keys: BigUint64Array.of(1n) }]);
  const into = [0, 1].map(() => [new Float32Array(DIM).fill(9)]);
  await expect(rows.gatherAll(lists, soon(), { into })).rejects.toThrow("not today");
  await asked.promise;
  release?.();
  // Answered after the one that was held.
  await refs[1]?.ask("share", {}, { signal: soon() });
  expect(into[1]?.[0]).toEqual(new Float32Array(DIM).fill(9));
  await host.stop(5_000);
});

/** One number that threads share. */
function shared(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** The primary on this thread; it writes an image when it ends. */
function hostIn(folder: string): ActorHost & AsyncDisposable {
  const host = new ActorHost({ region: REGION, thread: "main", sink: () => undefined, onFailure: () => undefined });
  host.declare({ definition: fileStore, id: "a", config: { folder } });
  host.declare({ definition: shard, id: shardAt("a").id, config: shardConfig({ node: "a", model: MODEL }) });
  return Object.assign(host, { [Symbol.asyncDispose]: () => host.stop(20_000) });
}
