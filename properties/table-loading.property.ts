// A table that is filled from an image at once is the table that it would be row by row (loading-laws.ts), and bugs planted in that: the laws must see each.
import { expect, test } from "vitest";
import { survivors } from "./hunt-laws.ts";
import { checkLaws } from "./loading-laws.ts";
import { LOADING_MUTANTS } from "./mutants-loading.ts";

test("a table that is filled from an image at once is the table that it would be row by row, whatever is done to it next, and gives back what it took beside", () =>
  checkLaws());

test("the laws of loading see each bug that is planted in them", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("loading-laws.ts", import.meta.url), LOADING_MUTANTS)).toEqual([]);
});
