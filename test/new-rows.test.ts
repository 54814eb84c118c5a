import { expect, test } from "vitest";
import { planExamples, type PlannedBatch } from "../protocols/learning/learner.ts";
import { newRows, NO_NEW_ROWS } from "../protocols/learning/new-rows.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { modelLayout } from "../protocols/model-layout.ts";

const MODEL: ModelDeclaration = {
  name: "clicks",
  shards: 3,
  architecture: { kind: "dlrm", embedding: 2, bottom: [], top: [] },
  tables: [
    { name: "colours", key: "colour" },
    { name: "items", key: "item" },
    { name: "users", key: "user" },
  ],
  dense: [],
  optimizer: { kind: "ogd", learningRate: 0.1 },
  denseOptimizer: { kind: "ogd", learningRate: 0.1 },
};
const LAYOUT = modelLayout(MODEL);
const [ITEMS, USERS] = [2, 3];

/** Twelve samples of five users and four items. */
const SAMPLES = Array.from({ length: 12 }, (_, at) => ({
  user: String(at % 5),
  item: String(at % 4),
  features: { colour: "red" },
  dense: {},
  label: 1,
  weight: 1,
}));

/** What shards would say that hold the rows of these keys, and of no others. */
function gather({ lists }: PlannedBatch, held: Readonly<Record<number, readonly bigint[]>>): { found: Uint8Array[] }[] {
  return lists.map((ofShard) => ({
    found: ofShard.map(({ table, keys }) => Uint8Array.from(keys, (key) => (held[table]?.includes(key) ? 1 : 0))),
  }));
}

test("newRows() names the samples of users and of items whose rows no shard found, whatever shard they live on", () => {
  const planned = planExamples(LAYOUT, SAMPLES);
  expect(planned.lists).toHaveLength(3);
  for (const [users, items] of [
    [[1n, 3n], [0n]],
    [[], [0n, 1n, 2n, 3n]],
    [[0n, 1n, 2n, 3n, 4n], []],
  ] as const) {
    const fresh = newRows(LAYOUT, planned, gather(planned, { [USERS]: users, [ITEMS]: items }));
    const samples = [...SAMPLES.entries()];
    expect(samples.map(([at]) => fresh.user(at))).toEqual(
      SAMPLES.map(({ user }) => !users.some((key) => key === BigInt(user))),
    );
    expect(samples.map(([at]) => fresh.item(at))).toEqual(
      SAMPLES.map(({ item }) => !items.some((key) => key === BigInt(item))),
    );
  }
});

test("newRows() takes all for new of a shard that said nothing; NO_NEW_ROWS none", () => {
  const planned = planExamples(LAYOUT, SAMPLES);
  const fresh = newRows(LAYOUT, planned, []);
  expect([fresh.user(0), fresh.item(7)]).toEqual([true, true]);
  expect([NO_NEW_ROWS.user(0), NO_NEW_ROWS.item(7)]).toEqual([false, false]);
});
