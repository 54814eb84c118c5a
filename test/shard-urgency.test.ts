import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ActorSystem } from "../runtime/system.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { at, clicksModel, push, REGION, startShard } from "./shard-support.ts";

const DIM = 4;
const MODEL = clicksModel(DIM);
const NEWS = 1_000_000n;
const [LATE, THROWS, NONSENSE] = [666n, 667n, 668n];

test("a function of the operator's own says which updates are urgent; where it fails the built-in rule does, and no write waits for it", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  await startFunction(system, new URL("./runtime-fixtures/urgency-of-keys.ts", import.meta.url));
  const scorer = at("own-function", "urgency");
  const a = await startShard(system, { node: "a", model: MODEL, folder: folder.path, scorer });
  a.tell("role", { duty: "trains", training: REGION, term: 0, epoch: 0 });
  async function expectUrgent(rows: number, outcome: string, calls: number): Promise<void> {
    await eventually(`${rows} urgent rows, and ${calls} calls that were ${outcome}`, async () => {
      const text = await system.metricsText();
      const isSo =
        text.includes(`freshet_urgency_calls_total{model="clicks",outcome="${outcome}"} ${calls}\n`) &&
        (rows === 0 || text.includes(`freshet_urgent_rows_total{model="clicks",origin="local"} ${rows}\n`));
      return isSo ? true : undefined;
    });
  }

  // Both rules know what is usual by then.
  await push(a, { keys: Array.from({ length: 1_000 }, (_, row) => BigInt(2_000 + row)), dim: DIM, gradient: 0.01 });
  await expectUrgent(0, "scored", 1);
  await push(a, { keys: [NEWS], dim: DIM, gradient: 0.01 });
  await expectUrgent(1, "scored", 2);
  // Large, and so urgent by the built-in rule only.
  await push(a, { keys: [1n], dim: DIM, gradient: 1 });
  await expectUrgent(1, "scored", 3);
  await push(a, { keys: [THROWS], dim: DIM, gradient: 1 });
  await expectUrgent(2, "threw", 1);
  await push(a, { keys: [NONSENSE], dim: DIM, gradient: 1 });
  await expectUrgent(3, "nonsense", 1);
  await push(a, { keys: [LATE], dim: DIM, gradient: 1 });
  await push(a, { keys: [2n], dim: DIM, gradient: 1 });
  await expectUrgent(5, "late", 2);
}, 60_000);

test("a module without a function is refused when the node starts, by its path", async () => {
  await using system = await ActorSystem.start({ region: REGION, sink: () => undefined });
  const module = new URL("./free-ports.ts", import.meta.url);
  await expect(startFunction(system, module)).rejects.toThrow(
    `Cannot use the module ${fileURLToPath(module)}: there is none. It must be an ES module that exports a function 'urgency'`,
  );
});

async function startFunction(system: ActorSystem, module: URL): Promise<void> {
  const path = fileURLToPath(module);
  await system.worker({
    name: "urgency",
    permissions: { read: [dirname(path)] },
    actors: [
      {
        module: new URL("../runtime/own-function.ts", import.meta.url),
        export: "ownFunction",
        id: "urgency",
        config: { path, name: "urgency" },
      },
    ],
  });
}
