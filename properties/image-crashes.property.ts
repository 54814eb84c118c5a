/*
 * Images on a disk that crashes anywhere (S12) or flips a bit (S13), and bugs planted in how images are taken, written and loaded: the laws must
 * see each.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
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

test.each(IMAGE_MUTANTS.map(({ name }) => name))("the laws of images see %s", { timeout: 60_000 }, async (name) => {
  const worker = new Worker(new URL("image-worker.ts", import.meta.url), { workerData: name });
  const message: readonly unknown[] = await once(worker, "message");
  await worker.terminate();
  expect(message).toEqual([expect.any(String)]);
});
