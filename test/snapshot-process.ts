/*
 * A process of its own that is killed again and again: a shard that learns and writes images all the time. `snapshot-process.ts FOLDER` says,
 * a line each: `restored N` once the rows of its image are those of its first N batches, or `wrong ...`; then `durable N` whenever a
 * trainer is told of a new N.
 */
import { packPush } from "../actors/packed-push.ts";
import { shard } from "../actors/shard.ts";
import { type ShardProtocol } from "../actors/shard-protocol.ts";
import { initialValues, modelLayout } from "../protocols/model-layout.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { ActorHost } from "../runtime/actor-host.ts";
import { fileStore } from "../runtime/file-store.ts";
import { ALL_KEYS, batchOf, MODEL, REGION, replicaAfter, shardConfig, TABLES, TRAINER } from "./snapshot-model.ts";

const SNAPSHOT_MS = 10;
/** Batches that no image has yet. On a busy disk there would be more and more, and the next start computes all of them anew. */
const AHEAD_MAX = 1_000;
const [folder = ""] = process.argv.slice(2);

const host = new ActorHost({ region: REGION, thread: "main", sink: () => undefined, onFailure: say });
host.declare({ definition: fileStore, id: "a", config: { folder } });
const address = host.declare({
  definition: shard,
  id: "clicks-0-a",
  config: shardConfig({ snapshotMs: SNAPSHOT_MS }),
});
await host.start();
const ref = host.ref<ShardProtocol>(address);
ref.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });

const { applied, durable } = await ref.ask("position", { trainer: TRAINER }, { signal: soon() });
const wrong = await differences(applied);
say(wrong === 0 && durable === applied ? `restored ${applied}` : `wrong ${wrong} of ${applied}, durable ${durable}`);
let told = durable;
for (let batch = applied + 1; ;) {
  let { durable: now } = await ref.ask("position", { trainer: TRAINER }, { signal: soon() });
  if (batch - now <= AHEAD_MAX) {
    const outcome = await ref.ask("push", packPush(batchOf(batch)), { signal: soon() });
    if (outcome.kind !== "applied") throw new Error(`batch ${batch}: ${outcome.kind}`);
    now = outcome.durable;
    batch += 1;
  }
  if (now > told) {
    told = now;
    say(`durable ${told}`);
  }
  // The images are written between messages.
  await new Promise((resolve) => setImmediate(resolve));
}

/** Numbers in which the shard's rows differ from those that so many batches make. */
async function differences(batches: number): Promise<number> {
  const layout = modelLayout(MODEL);
  const { store } = replicaAfter(batches);
  const lists = TABLES.map((table) => ({ table, keys: ALL_KEYS }));
  const { values } = await ref.ask("gather", { lists }, { signal: soon() });
  let different = 0;
  for (const [at, { table, keys }] of lists.entries()) {
    const { dim = 1, precision = "f32" } = layout.tables[table] ?? {};
    const expected = store.read(table, keys);
    const floats = floatsOf({ precision, dim }, expected.values);
    for (const [row, key] of keys.entries()) {
      if (expected.found[row] === 0) floats.set(initialValues(layout, table, key), row * dim);
    }
    for (const [number, float] of floats.entries()) if (values[at]?.[number] !== float) different += 1;
  }
  return different;
}

function say(line: unknown): void {
  process.stdout.write(`${line instanceof Error ? `wrong ${line.message}` : String(line)}\n`);
}

function soon(): AbortSignal {
  return AbortSignal.timeout(60_000);
}
