// The poll over many starts of both its ends (poll-lives-laws.ts), and bugs planted in it: the law must see each.
import { expect, test } from "vitest";
import { survivors } from "./hunt-laws.ts";
import { POLL_MUTANTS } from "./mutants-polls.ts";
import { MUTANTS } from "./mutants.ts";
import { checkLaws } from "./poll-lives-laws.ts";

/** Those that worlds find too. */
const OTHERS = [
  "a-shard-that-starts-again-is-not-asked-for",
  "cursor-moves-when-sent",
  "cursor-of-another-life",
  "failed-pull-forgets-shard",
  "listing-leaves-out-oldest",
  "lost-poll-not-repeated",
  "older-pull-settles-newer-change",
  "polls-of-all-lives-count-alike",
  "waiting-shards-forgotten",
];

test("what changed is pulled once messages arrive again, whatever came late, twice, never, or from an earlier start", () => {
  checkLaws();
});

test("the law of polls sees each bug that is planted in them", { timeout: 60_000 }, async () => {
  const others = MUTANTS.filter(({ name }) => OTHERS.includes(name));
  expect(others).toHaveLength(OTHERS.length);
  expect(await survivors(new URL("poll-lives-laws.ts", import.meta.url), [...POLL_MUTANTS, ...others])).toEqual([]);
});
