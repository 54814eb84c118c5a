// Pushes between threads (push-laws.ts), and bugs planted in them: the laws must see each.
import { expect, test } from "vitest";
import { survivors } from "./hunt-laws.ts";
import { PUSH_MUTANTS } from "./mutants-push.ts";
import { checkLaws } from "./push-laws.ts";

test("a push reaches a shard as it was made, or is refused, and stays as it is until it is answered", () =>
  checkLaws());

test("the laws of pushes see each bug that is planted in them", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("push-laws.ts", import.meta.url), PUSH_MUTANTS)).toEqual([]);
});
