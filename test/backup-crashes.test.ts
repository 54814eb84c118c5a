/*
 * A backup that lost its end is refused, and a restore on a disk that crashes anywhere leaves all images or none (S12 of images). Bugs planted in
 * how a backup is unpacked and put in place: the laws must see each.
 */
import { expect, test } from "vitest";
import { tryCuts, tryRestoring } from "./backup-crashes.ts";
import { survivors } from "../properties/hunt-laws.ts";
import { BACKUP_MUTANTS } from "../properties/mutants-image.ts";

test("a backup that is cut anywhere, or ends in zeros from there on, is refused or all there", async () => {
  const { problem, cuts } = await tryCuts();
  expect(problem).toBeUndefined();
  expect(cuts).toBeGreaterThan(300);
});

test("after a crash at any byte of a restore all images are in place or none, and all of them once it was told", async () => {
  const { problem, crashes } = await tryRestoring();
  expect(problem).toBeUndefined();
  expect(crashes).toBeGreaterThan(100);
});

test("the laws of backups see each bug that is planted in them", { timeout: 60_000 }, async () => {
  expect(await survivors(new URL("backup-crashes.ts", import.meta.url), BACKUP_MUTANTS)).toEqual([]);
});
