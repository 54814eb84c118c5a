/*
 * Images on a disk that crashes anywhere (S12) or flips a bit (S13), and bugs planted in how images are taken, written and loaded: the laws must
 * see each.
 */
import { expect, test } from "vitest";
import { survivors } from "./hunt-laws.ts";
import { tryCrashes, tryDamage } from "./image-crashes.ts";
import { IMAGE_MUTANTS } from "./mutants-image.ts";

test("after a crash at any byte the image is there that somebody was told of, or the one after, and nothing is left over", async () => {
  const { problem, crashes } = await tryCrashes();
  expect(problem).toBeUndefined();
  expect(crashes).toBeGreaterThan(500);
});

test("whichever bit of whichever file flips, what is found is an image that was written, or none", async () => {
  expect(await tryDamage()).toBeUndefined();
});

test("the laws of images see each bug that is planted in them", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("image-crashes.ts", import.meta.url), IMAGE_MUTANTS)).toEqual([]);
});
