// Who gets a row (admission-laws.ts), and bugs planted in it: the laws must see each.
import { expect, test } from "vitest";
import { checkLaws } from "./admission-laws.ts";
import { survivors } from "./hunt-laws.ts";
import { ADMISSION_MUTANTS } from "./mutants-admission.ts";

test("a key gets its row at the sighting that the rule says, and what has a row loses no gradient", () => checkLaws());

test("the laws of admission see each bug that is planted in it", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("admission-laws.ts", import.meta.url), ADMISSION_MUTANTS)).toEqual([]);
});
