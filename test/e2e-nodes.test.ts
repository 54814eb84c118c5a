import { expect, test } from "vitest";
import { startRegions } from "./e2e-regions.ts";
import { eventually, shownAndClicked, type TestNode } from "./e2e-support.ts";

async function learned(node: TestNode, item: string, clicks: number): Promise<void> {
  await eventually(
    `${node.region}/${node.node} has ${clicks} clicks of ${item}`,
    async () => ((await node.clicksOf(item)) === clicks ? true : undefined),
    40_000,
  );
}

test("two nodes share their region's server, which one of them owns; both take events, and one trains", async () => {
  await using regions = await startRegions({
    nodes: { frankfurt: ["a", "b"], oregon: ["a", "b"] },
    training: "oregon",
    servers: "own",
  });
  for (const [at, node] of regions.all.entries()) {
    expect(await node.post(shownAndClicked("someone", `item-${at}`))).toBe(202);
  }
  for (const node of regions.all) {
    for (const at of regions.all.keys()) await learned(node, `item-${at}`, 1);
  }
  await regions.converged(regions.all);
  const [first] = await Promise.all(regions.all.map((node) => node.status()));
  expect(first?.problems).toEqual([]);
}, 120_000);
