import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as z from "zod";
import { survivors } from "../properties/hunt-laws.ts";
import { RUN_IMAGE_MUTANTS } from "../properties/mutants-image.ts";
import { CrashDisk } from "../properties/world/crash-disk.ts";
import { loadImage, NotWritten, runImagePlace, saveImage } from "../regions/train/run-image.ts";
import { runTerminal } from "../regions/train/run-terminal.ts";
import { type Disk } from "../runtime/disk.ts";
import { checkCuts, tryCrashes, tryDamage } from "./run-image-laws.ts";

const RUN = { run: "run" };
const PIECE_BYTES = 10;

test("a checkpoint comes back, wherever its pieces cut its parts", async () => {
  await expect(checkCuts()).resolves.toBeUndefined();
});

test("after a crash at any byte the checkpoint is there that somebody was told of, or the one after", async () => {
  const { problem, crashes } = await tryCrashes();
  expect(problem).toBeUndefined();
  expect(crashes).toBeGreaterThan(500);
});

test("a checkpoint with a bit flipped or its end cut off is not taken, and the one before is", async () => {
  expect(await tryDamage()).toBeUndefined();
});

test("the laws of checkpoints see each bug that is planted in them", async () => {
  expect(await survivors(new URL("run-image-laws.ts", import.meta.url), RUN_IMAGE_MUTANTS)).toEqual([]);
});

/** A disk that has room for so many bytes more. */
function withRoom(disk: CrashDisk, bytes: number): Disk {
  let left = bytes;
  return {
    makeFolder: () => disk.makeFolder(),
    list: (folder) => disk.list(folder),
    open: (path) => disk.open(path),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncNames: () => disk.syncNames(),
    async create(path) {
      const file = await disk.create(path);
      return {
        async write(parts) {
          left -= parts.reduce((sum, { length }) => sum + length, 0);
          if (left < 0) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
          await file.write(parts);
        },
        close: () => file.close(),
      };
    },
  };
}

test("a checkpoint for which the disk has no room is given up with what to do, and the one before is there", async () => {
  const disk = new CrashDisk();
  const [one, other] = [new Uint8Array(100).fill(1), new Uint8Array(100).fill(2)];
  await saveImage(runImagePlace("/out", disk), { header: RUN, parts: [one], pieceBytes: PIECE_BYTES });
  const files = await disk.list("/out");
  for (const room of [0, 25, 100]) {
    const place = runImagePlace("/out", withRoom(disk, room));
    const saved = saveImage(place, { header: RUN, parts: [other], pieceBytes: PIECE_BYTES });
    await expect(saved).rejects.toThrow(
      'Cannot write the checkpoint in "/out": the disk is full. Make room, or choose a path on another disk. The same command then goes on',
    );
    expect(await disk.list("/out")).toEqual(files);
    const found = new Uint8Array(100);
    const header = z.object({ run: z.string() });
    await loadImage(place, { run: "run", header, partsOf: () => [found], onDamage: expect.unreachable });
    expect(found).toEqual(one);
  }
});

test("a report that cannot be written is said as what it is", async () => {
  const folder = await mkdtemp(join(tmpdir(), "freshet-report-"));
  await rm(folder, { recursive: true });
  const stream = { isTTY: false, write: () => undefined };
  const written = runTerminal({ out: stream, err: stream }, { json: false }).report(folder, {}, "");
  await expect(written).rejects.toThrow(NotWritten);
});
