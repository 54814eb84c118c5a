import { expect, test } from "vitest";
import * as z from "zod";
import { type RegionConfigInput } from "../regions/config.ts";
import { eventually, loneNode, QUICK, shortFolder } from "./e2e-support.ts";
import { TestNode } from "./test-node.ts";

const TABLES = [
  { name: "users", key: "user" },
  { name: "items", key: "item" },
  { name: "cities", key: "city" },
  // What is not in use would lie on disk; all of this is.
  { name: "tastes", key: "city-and-item", memory: "1MB" },
  { name: "ages", key: "age-group" },
];
const COMMON = {
  shards: 2,
  tables: TABLES,
  dense: ["age"],
  derived: [
    { name: "city-and-item", kind: "crossed", of: ["city", "item"] },
    { name: "age-group", kind: "bucketised", of: "age", bounds: [0.5, 2] },
  ],
  // Adam's steps stay as large as they are however sure a model is, so on a slow machine, in many rounds, gradients would come to be refused.
  optimizer: { kind: "adagrad", learningRate: 0.2 },
  denseOptimizer: { kind: "adagrad", learningRate: 0.05 },
} satisfies Partial<RegionConfigInput["models"][number]>;
const MODELS = [
  { ...COMMON, name: "deepfm", architecture: { kind: "deepfm", embedding: 4, deep: [8] } },
  { ...COMMON, name: "dcn", architecture: { kind: "dcn-v2", embedding: 4, cross: 2, deep: [8] } },
  {
    ...COMMON,
    name: "towers",
    // No table of both sides.
    tables: TABLES.filter(({ name }) => name !== "tastes"),
    derived: COMMON.derived.filter(({ name }) => name === "age-group"),
    architecture: { kind: "two-tower", embedding: 4, user: [8], item: [], itemTables: ["ages"], itemDense: ["age"] },
  },
  {
    ...COMMON,
    name: "logistic",
    architecture: { kind: "logistic" },
    optimizer: { kind: "ftrl", learningRate: 0.5, beta: 1, l1: 0.01 },
  },
] satisfies RegionConfigInput["models"];

const answer = z.object({
  step: z.string(),
  items: z.array(z.object({ item: z.string(), score: z.number(), from: z.string() })),
});

test("a region trains and serves each architecture, with tables keyed by features of events and by what is made of them", async () => {
  await using folder = await shortFolder();
  await using node = new TestNode({
    folder: folder.path,
    config: { ...QUICK, models: MODELS, ...(await loneNode("oregon", { deadline: "5s" })) },
  });
  await node.start();
  await node.ready();
  let rounds = 0;
  async function show(times: number): Promise<void> {
    const events = Array.from({ length: times }, () => {
      rounds += 1;
      const request = `shown-${rounds}`;
      const user = `user-${rounds % 4}`;
      const shown = { type: "impression", request, user, features: { city: "rome" }, dense: { age: 1 } };
      return [
        { ...shown, item: "hit" },
        { ...shown, item: "miss" },
        { type: "feedback", request, item: "hit" },
      ];
    });
    expect(await node.post(events.flat())).toBe(202);
  }
  for (const { name } of MODELS) {
    await eventually(
      `${name} ranks what was clicked above what was not`,
      async () => {
        await show(5);
        const scores = await scoresOf(node, name);
        return (scores?.get("hit") ?? 0) > (scores?.get("miss") ?? 1) + 0.1 ? true : undefined;
      },
      40_000,
    );
  }
  // What is near to the user by both towers comes before what is popular or new.
  await eventually("both items are near", async () => {
    const near = (await answerOf(node, "towers")).items.filter(({ from }) => from === "neighbour");
    return near.length === 2 ? true : undefined;
  });
  const metrics = await (await fetch(`${node.url}/metrics`)).text();
  expect(metrics.split("\n").filter((line) => line.startsWith("freshet_batches_refused_total"))).toEqual([]);
  expect(metrics).toMatch(/^freshet_table_hits_total\{.*shard="deepfm-\d".*table="tastes".*\} [1-9]/m);
}, 120_000);

/** What a model says of each item to someone in Rome; undefined where it was not the model that answered. */
async function scoresOf(node: TestNode, model: string): Promise<ReadonlyMap<string, number> | undefined> {
  const { step, items } = await answerOf(node, model);
  return step === "model" ? new Map(items.map(({ item, score }) => [item, score])) : undefined;
}

async function answerOf(node: TestNode, model: string): Promise<z.infer<typeof answer>> {
  const asked = new URLSearchParams({
    user: "user-1",
    k: "10",
    model,
    "feature.city": "rome",
    "dense.age": "1",
    impressions: "none",
  });
  const response = await fetch(`${node.url}/v1/recommendations?${asked.toString()}`);
  return answer.parse(await response.json());
}
