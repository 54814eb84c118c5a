// Samples in columns (column-laws.ts), and bugs planted in them: the laws must see each.
import { expect, test } from "vitest";
import { LAWS } from "./column-laws.ts";
import { survivors } from "./hunt-laws.ts";
import { COLUMN_MUTANTS } from "./mutants-columns.ts";

test.each(LAWS)("samples in columns are the samples: %s", (_, law) => {
  expect(law).not.toThrow();
});

test("the laws of columns see each bug that is planted in them", { timeout: 120_000 }, async () => {
  expect(await survivors(new URL("column-laws.ts", import.meta.url), COLUMN_MUTANTS)).toEqual([]);
});
