// What one request reads is of one epoch (one-epoch-laws.ts), and bugs planted in that: the laws must see each.
import { expect, test } from "vitest";
import { survivors } from "./hunt-laws.ts";
import { ONE_EPOCH_MUTANTS } from "./mutants-one-epoch.ts";
import { checkLaws } from "./one-epoch-laws.ts";

test("all rows of one request are of one epoch, at any moment of a shard's taking a new one on", () => checkLaws());

test("the laws of one epoch see each bug that is planted in them", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("one-epoch-laws.ts", import.meta.url), ONE_EPOCH_MUTANTS)).toEqual([]);
});
