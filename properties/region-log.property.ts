// A state manager and the region log (region-log-laws.ts), and bugs planted in it: the laws must see each.
import { expect, test } from "vitest";
import { survivors } from "./hunt-laws.ts";
import { REGION_LOG_MUTANTS } from "./mutants-region-log.ts";
import { checkLaws } from "./region-log-laws.ts";

test("a region believes what its own log says, adds to it once, and ends what it was asked for, whatever is lost, late or refused", () =>
  checkLaws());

test("the laws of the region log see each bug that is planted", { timeout: 180_000 }, async () => {
  expect(await survivors(new URL("region-log-laws.ts", import.meta.url), REGION_LOG_MUTANTS)).toEqual([]);
});
