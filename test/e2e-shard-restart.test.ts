import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startRegions } from "./e2e-regions.ts";
import { eventually, shownAndClicked } from "./e2e-support.ts";

test("shards that start again alone, from older images than what their leader had them pull, catch up though nothing changes", async () => {
  await using world = await startRegions({
    nodes: { oregon: ["a"], frankfurt: ["a"] },
    training: "oregon",
    servers: "own",
    entry: fileURLToPath(new URL("fixtures/probed-node.ts", import.meta.url)),
    // No image but those of stops, and nothing at the primary that would be news by itself.
    config: { snapshot: { every: "1h" }, sync: { settleEvery: "1d" } },
  });
  const [oregon, frankfurt] = [world.node("oregon"), world.node("frankfurt")];
  const events = Array.from({ length: 20 }, (_, at) => shownAndClicked(`user-${at % 5}`, `item-${at}`)).flat();
  await eventually("events are taken", async () => ((await oregon.post(events)) === 202 ? true : undefined));
  await eventually("they are learned", async () => oregon.clicksOf("item-19"));
  await world.converged(world.all);
  const before = (await frankfurt.status())?.models[0];

  await frankfurt.tellProgram({ worker: "shards", region: "frankfurt", misbehave: "crash" });
  await eventually("the shards' worker is another", async () => {
    const worker = (await frankfurt.status())?.workers.find(({ name }) => name === "shards");
    return worker?.restarts === 1 ? true : undefined;
  });
  await world.converged(world.all);
  expect((await frankfurt.status())?.models[0]?.digest).toBe(before?.digest);
  expect(await frankfurt.metric("freshet_worker_restarts_total")).toBe(1);
}, 120_000);
