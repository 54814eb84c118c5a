// A row in the middle of a write is not given and not taken over (reader-laws.ts), and bugs planted in that: the laws must see each.
import { expect, test } from "vitest";
import { survivors } from "./hunt-laws.ts";
import { READER_MUTANTS } from "./mutants-reader.ts";
import { checkLaws } from "./reader-laws.ts";

test("a row whose writer stopped in the middle is not given, its reader ends and says so, and the next owner finds it", () =>
  checkLaws());

test("the laws of readers see each bug that is planted in them", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("reader-laws.ts", import.meta.url), READER_MUTANTS)).toEqual([]);
});
