/*
 * A process of its own with a shard of which most rows are on disk. `cold-process.ts FOLDER ROWS` pushes batches of rows until there are so many, and after the first says `saved` once that is in
 * an image; it says `learned` when it is done, or `lost N REASON` where the shard failed meanwhile, with how many rows its next life has and what was logged. Then it stays.
 */
import { join } from "node:path";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { COLD_DIM, COLD_MODEL, keysOf } from "./cold-model.ts";
import { push, REGION, rowsOf, soon, startShard } from "./shard-support.ts";

const BATCH = 2_000;
const [folder = "", rows = "0"] = process.argv.slice(2);
const logged: string[] = [];

await using system = await ActorSystem.start({
  region: REGION,
  sink: ({ text, fields }) => void logged.push(`${text} ${JSON.stringify(fields ?? {})}`),
});
const start = { node: "a", model: COLD_MODEL, folder, scratch: join(folder, "scratch"), snapshotMs: 50 };
const primary = await startShard(system, start);
primary.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
const { life } = await primary.ask("share", {}, { signal: soon() });
try {
  for (let from = 0; from < Number(rows); from += BATCH) {
    await push(primary, { keys: keysOf(Math.min(BATCH, Number(rows) - from), from), dim: COLD_DIM });
    if (from > 0) continue;
    await eventually("the first batch is in an image", async () => {
      const { durable } = await primary.ask("position", { trainer: "t" }, { signal: soon() });
      return durable > 0 ? true : undefined;
    });
    say("saved");
  }
  say("learned");
} catch {
  await eventually("the shard has another life", async () => {
    const share = await primary.ask("share", {}, { signal: soon() }).catch(() => undefined);
    return share !== undefined && share.life !== life ? true : undefined;
  });
  say(`lost ${await rowsOf(primary)} ${logged.find((line) => line.includes("on disk")) ?? ""}`);
}
// Until somebody ends it.
await new Promise(() => setInterval(() => undefined, 60_000));

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
