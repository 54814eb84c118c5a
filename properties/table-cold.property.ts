// A table of which a part is on disk is the table that it would be in memory (cold-laws.ts), and bugs planted in that: the laws must see each.
import { expect, test } from "vitest";
import { checkLaws } from "./cold-laws.ts";
import { survivors } from "./hunt-laws.ts";
import { COLD_MUTANTS } from "./mutants-cold.ts";

test("a table with most of its rows on disk does what one in memory does, keeps what is used, and gives nothing that a disk did not keep", () =>
  checkLaws());

test("the laws of rows on disk see each bug that is planted in them", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("cold-laws.ts", import.meta.url), COLD_MUTANTS)).toEqual([]);
});
