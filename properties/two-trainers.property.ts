// Two trainers step the same rows and nothing is lost (two-trainers-laws.ts), and bugs planted in that: the laws must see each.
import { expect, test } from "vitest";
import { survivors } from "./hunt-laws.ts";
import { TWO_TRAINERS_MUTANTS } from "./mutants-two-trainers.ts";
import { checkLaws } from "./two-trainers-laws.ts";

test("a row that two trainers step, each from what it read when it did, has the steps of both", () => checkLaws());

test("the laws of two trainers see each bug that is planted in them", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("two-trainers-laws.ts", import.meta.url), TWO_TRAINERS_MUTANTS)).toEqual([]);
});
