/*
 * M8 with threads: a region's shards take a new epoch on one after the other, each in a worker of its own, while this thread reads their memory all the time. Steps are so large that
 * each row says who wrote it last: the old primary before it was cut off, the old primary behind its cut, or the new one.
 */
import { expect, test } from "vitest";
import { createEpochRows, type EpochRows, type EpochsApart } from "../actors/epoch-rows.ts";
import { type InferenceConfig, type InferenceProtocol, type Recommendations } from "../actors/inference.ts";
import { type KeyList, type ShardProtocol, type Sighting } from "../actors/shard-protocol.ts";
import { createSharedRows } from "../actors/shared-rows.ts";
import { shardOf } from "../protocols/keys.ts";
import { DENSE_KEY, densePlacement, modelLayout, unknownValues } from "../protocols/model-layout.ts";
import { type ActorRef, type Address } from "../runtime/actor.ts";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { clicksModel, ITEMS, pullFrom, push, REGION, soon, startShard, USERS } from "./shard-support.ts";

const DIM = 4;
const SHARDS = [0, 1] as const;
const MODEL = { ...clicksModel(DIM), shards: SHARDS.length };
const LAYOUT = modelLayout(MODEL);
const KEYS = Array.from({ length: 1_200 }, (_, key) => BigInt(key));
const [BEHIND, NEW] = [KEYS.slice(0, 600), KEYS.slice(400, 800)];

const LISTS = SHARDS.map((shard) => listsOf(shard));
/** Items that have a name, one of which names the user as well: the new primary writes the rows of all of them. */
const SHOWN = NEW.slice(0, 10);
/** By table, of each of its keys the number that its row begins with. */
const FIRST = LAYOUT.tables.map((_, table) => {
  const keys = LISTS.flat().find((list) => list.table === table)?.keys ?? new BigUint64Array();
  return Array.from(keys, (key) => unknownValues(LAYOUT, table, key)[0] ?? 0);
});

/** The three replicas of one shard: of the old primary, of the new one, and that which is read. */
interface Replicas {
  readonly shard: number;
  readonly old: ActorRef<ShardProtocol>;
  readonly next: ActorRef<ShardProtocol>;
  readonly read: ActorRef<ShardProtocol>;
}

test("what is read while shards go over to another epoch, and copies take the place of their rows, is of one epoch", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const replicas = await Promise.all(SHARDS.map((shard) => startReplicas(system, { folder: folder.path, shard })));
  for (const { old, next, read, shard } of replicas) {
    old.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
    await learn(old, { shard, keys: KEYS, gradient: 1 });
    await push(old, { keys: [], dim: DIM, sightings: SHOWN.map((key) => sightingOf(key)) });
    for (const follower of [next, read]) await pull(follower, old);
    await learn(old, { shard, keys: BEHIND, gradient: 100 });
    await pull(read, old);
    await next.ask("lead", { epoch: 1 }, { signal: soon() });
    next.tell("role", { duty: "trains", training: REGION, term: 1, epoch: 1 });
    await learn(next, { shard, keys: NEW, gradient: -100 });
  }

  const inference = await startInference(
    system,
    replicas.map(({ read }) => read.address),
  );
  /** One that the model answers. */
  async function recommended(): Promise<Recommendations> {
    return eventually("the model answers", async () => {
      const request = { user: String(SHOWN[0]), k: 10, features: {}, dense: {}, deadlineMs: 5_000 };
      const answer = await inference.ask("recommend", request, { signal: soon() });
      return answer.step === "model" && answer.items.length === SHOWN.length ? answer : undefined;
    });
  }
  async function apart(): Promise<EpochsApart | undefined> {
    return (await inference.ask("status", {}, { signal: soon() })).epochs;
  }
  expect([(await recommended()).withheld, await apart()]).toEqual([undefined, undefined]);

  const withheld = new Set<string>();
  const shared = createSharedRows(
    LAYOUT,
    replicas.map(({ read }) => read),
    { upMs: () => 0, count: () => undefined },
  );
  const rows = createEpochRows(LAYOUT, shared, { onWithheld: (table) => withheld.add(table) });
  const answers = [0, 0];
  async function ask(): Promise<void> {
    const epoch = await readTwice(rows);
    answers[epoch] = (answers[epoch] ?? 0) + 1;
  }
  await ask();
  expect([answers, withheld.size, rows.apart()]).toEqual([[1, 0], 0, undefined]);
  for (const { next, read } of replicas) {
    // The second pull is given a copy, as what is held is too late for the new epoch.
    await eventually("the shard has gone over", async () => {
      await ask();
      return (await isLevel(read, next)) ? true : undefined;
    });
    if (read !== replicas[0]?.read) continue;
    expect(rows.apart()).toEqual({ answers: 0, shards: [1, 0] });
    // Of the user and the items those that are in this shard, each once.
    const gone = [rowIn(0, USERS, SHOWN.slice(0, 1)), rowIn(0, ITEMS, SHOWN)].flat().length;
    expect([(await recommended()).withheld, await apart()]).toEqual([gone, { answers: 0, shards: [1, 0] }]);
  }
  expect([(await recommended()).withheld, await apart()]).toEqual([undefined, undefined]);
  const before = answers[1] ?? 0;
  await ask();
  expect(answers[1]).toBe(before + 1);
  expect(rows.apart()).toBeUndefined();
  expect([...withheld].toSorted()).toEqual(["items", "users"]);
}, 120_000);

/** Reads all rows twice, as ranking follows recall: all are of the epoch that it gives. */
async function readTwice(rows: EpochRows): Promise<number> {
  const { made, epoch } = await rows.inOneEpoch(
    async (gather) => [await gather(LISTS, soon()), await gather(LISTS, soon())],
    soon(),
  );
  const wrong = made.flatMap((read) =>
    LISTS.flatMap((ofShard, shard) =>
      ofShard.flatMap((list, at) => rowsOfAnother(epoch, list, read[shard]?.[at] ?? new Float32Array())),
    ),
  );
  expect(wrong).toEqual([]);
  return epoch;
}

/** By how far its first number is from where every row begins: far above where the new primary took it, far below where the old one did behind its cut. */
function rowsOfAnother(epoch: number, { table, keys }: KeyList, values: Float32Array): string[] {
  const width = values.length / keys.length;
  const first = FIRST[table] ?? [];
  const others: string[] = [];
  for (let row = 0; row < keys.length; row += 1) {
    const moved = (values[row * width] ?? 0) - (first[row] ?? 0);
    const isOther = epoch === 0 ? moved > 5 : moved < -5;
    if (isOther) others.push(`row ${keys[row]} of table ${table} moved by ${moved}, in an answer as of epoch ${epoch}`);
  }
  return others;
}

function sightingOf(key: bigint): Sighting {
  return { item: String(key), key, clicks: 1, timeMs: 1_760_000_000_000 };
}

/** Those of some keys whose rows of a table are in a shard, as the model has them. */
function rowIn(shard: number, table: number, keys: readonly bigint[]): bigint[] {
  return keys.filter((key) => shardOf(table, key, SHARDS.length) === shard);
}

async function startInference(system: ActorSystem, shards: readonly Address[]): Promise<ActorRef<InferenceProtocol>> {
  const config: InferenceConfig = { model: MODEL, shards, compute: { kind: "plain" } };
  const module = new URL("../actors/inference.ts", import.meta.url);
  await system.worker({ name: "inference", actors: [{ module, export: "inference", id: "clicks", config }] });
  return system.ref<InferenceProtocol>({ region: REGION, kind: "inference", id: "clicks" });
}

async function startReplicas(
  system: ActorSystem,
  { folder, shard }: { readonly folder: string; readonly shard: number },
): Promise<Replicas> {
  const [old, next, read] = await Promise.all(
    [true, true, false].map((full, at) =>
      startShard(system, { node: `${"abc".charAt(at)}${shard}`, model: MODEL, folder, shard, full }),
    ),
  );
  if (old === undefined || next === undefined || read === undefined) expect.unreachable();
  return { shard, old, next, read };
}

/** A step for rows of both tables, and for the dense groups that are in the shard. */
async function learn(
  primary: ActorRef<ShardProtocol>,
  step: { readonly shard: number; readonly keys: readonly bigint[]; readonly gradient: number },
): Promise<void> {
  const { shard, keys, gradient } = step;
  await push(primary, { keys, dim: DIM, gradient, tables: [USERS, ITEMS] });
  for (const { table, shard: at } of densePlacement(LAYOUT)) {
    const dim = LAYOUT.tables[table]?.dim ?? 0;
    if (at === shard) await push(primary, { keys: [DENSE_KEY], dim, gradient, tables: [table] });
  }
}

async function pull(follower: ActorRef<ShardProtocol>, peer: ActorRef<ShardProtocol>): Promise<void> {
  await eventually("a replica has what another has", async () => ((await isLevel(follower, peer)) ? true : undefined));
}

/** Pulls once more, and says whether that brought nothing new before. */
async function isLevel(follower: ActorRef<ShardProtocol>, peer: ActorRef<ShardProtocol>): Promise<boolean> {
  pullFrom(follower, peer.address);
  const [ours, theirs] = await Promise.all(
    [follower, peer].map(async (each) => (await each.ask("status", {}, { signal: soon() })).digest),
  );
  return ours !== undefined && ours === theirs;
}

function listsOf(shard: number): KeyList[] {
  const keys = BigUint64Array.from(KEYS);
  const groups = densePlacement(LAYOUT).filter((group) => group.shard === shard);
  return [
    { table: USERS, keys },
    { table: ITEMS, keys },
    ...groups.map(({ table }) => ({ table, keys: BigUint64Array.of(DENSE_KEY) })),
  ];
}
