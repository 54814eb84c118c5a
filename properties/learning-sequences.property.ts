// Tables over lists (sequence-laws.ts), and bugs planted in them: the laws must see each.
import { expect, test } from "vitest";
import { survivors } from "./hunt-laws.ts";
import { SEQUENCE_MUTANTS } from "./mutants-sequences.ts";
import { checkLaws } from "./sequence-laws.ts";

test("a list's last rows are pooled as declared, and get the gradients of that", () => checkLaws());

test("the laws of lists see each bug that is planted in them", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("sequence-laws.ts", import.meta.url), SEQUENCE_MUTANTS)).toEqual([]);
});
