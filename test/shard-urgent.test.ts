import { expect, test } from "vitest";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { slowLink, type SlowLinkConfig } from "./runtime-fixtures/slow-link.ts";
import { at, clicksModel, pullFrom, push, REGION, rowsOf, shardAt, soon, startShard } from "./shard-support.ts";

const DIM = 16;
const MODEL = clicksModel(DIM);
const ROWS = 60_000;
const PUSH = 20_000;
const NEWS = 1_000_000n;

test("an urgent row overtakes a long pull on a slow link: it is served while the pull still runs", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const a = await startShard(system, { node: "a", model: MODEL, folder: folder.path });
  const b = await startShard(system, { node: "b", model: MODEL, folder: folder.path });
  const link = at(slowLink.kind, "link");
  const slow: SlowLinkConfig = { puller: shardAt("b"), responder: shardAt("a"), bytesPerSecond: 1_000_000 };
  await system.worker({
    name: "link",
    actors: [
      {
        module: new URL("./runtime-fixtures/slow-link.ts", import.meta.url),
        export: "slowLink",
        id: link.id,
        config: slow,
      },
    ],
  });
  a.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });

  for (let first = 0; first < ROWS; first += PUSH) {
    await push(a, { keys: Array.from({ length: PUSH }, (_, row) => BigInt(first + row)), dim: DIM, gradient: 0.01 });
  }
  pullFrom(b, link);
  await eventually("the pull has begun", async () => ((await rowsOf(b)) > 0 ? true : undefined));
  await push(a, { keys: [NEWS], dim: DIM, gradient: 1 });

  const seen = await eventually("the urgent row is there", async () => {
    const row = await b.ask("row", { table: "users", key: String(NEWS) }, { signal: soon() });
    return row.found ? row : undefined;
  });
  // It is not in what the pull was answered with: whoever has it now has it ahead.
  expect(await rowsOf(b)).toBeLessThan(ROWS);
  expect(seen.values).toEqual((await a.ask("row", { table: "users", key: String(NEWS) }, { signal: soon() })).values);
  await eventually("the pull is complete", async () => ((await rowsOf(b)) === ROWS + 1 ? true : undefined));
  const text = await system.metricsText();
  // The shards tell them apart: equal updates are none of them urgent, the large one is.
  expect(text).toContain('freshet_urgent_rows_total{model="clicks",origin="local"} 1\n');
  expect(text).toContain('freshet_urgent_rows_total{model="clicks",origin="peer"} 1\n');
  expect(text).toContain('freshet_urgent_lag_seconds_count{model="clicks"} 1\n');
}, 60_000);
