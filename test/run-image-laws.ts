/*
 * The laws of a training run's checkpoint, with pieces of a few bytes: what was kept comes back however its parts were cut; after a crash at any byte it is the
 * checkpoint that somebody was told of, or the one after; and with any bit the other way round, or cut at any byte, it is one that was written, or none. Apart
 * from their test, so that planted bugs can be tried on them in a thread of their own.
 */
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import * as z from "zod";
import { createRandom, nextBelow } from "../protocols/random.ts";
import { loadImage, runImagePlace, saveImage, UnusableCheckpoint } from "../regions/train/run-image.ts";
import { CrashDisk } from "../properties/world/crash-disk.ts";

interface Kept {
  readonly at: number;
  readonly parts: readonly Uint8Array[];
}

interface Found {
  readonly kept: Kept | undefined;
  /** The newest was damaged. */
  readonly isOlder: boolean;
}

const RUN = "run";
const FOLDER = "/out";
const header = z.object({ run: z.string(), at: z.number() });
/** A piece ends within a part, and with one; parts begin within a piece; the last is not full. */
const LENGTHS = [5, 0, 1, 6, 2];
const PIECE_BYTES = 3;
const SAVES = 4;

/** Parts with bytes of their own. */
function partsOf(lengths: readonly number[], seed: number): readonly Uint8Array[] {
  const random = createRandom(seed);
  return lengths.map((length) => Uint8Array.from({ length }, () => nextBelow(random, 256)));
}

function save(disk: CrashDisk, { at, parts }: Kept, pieceBytes: number): Promise<void> {
  const head = { run: RUN, at };
  return saveImage(runImagePlace(FOLDER, disk), { header: head, parts, pieceBytes });
}

/** What the next start goes on from. */
async function load(disk: CrashDisk, lengths: readonly number[] = LENGTHS): Promise<Found> {
  const parts = lengths.map((length) => new Uint8Array(length));
  let isOlder = false;
  const kept = await loadImage(runImagePlace(FOLDER, disk), {
    run: RUN,
    header,
    partsOf: () => parts,
    onDamage: () => (isOlder = true),
  });
  return { kept: kept && { at: kept.at, parts }, isOlder };
}

async function written(): Promise<{ readonly disk: CrashDisk; readonly saved: readonly (Kept | undefined)[] }> {
  const disk = new CrashDisk();
  const saved: (Kept | undefined)[] = [undefined];
  for (let at = 1; at <= SAVES; at += 1) {
    const kept = { at, parts: partsOf(LENGTHS, at) };
    await save(disk, kept, PIECE_BYTES);
    disk.told(at);
    saved.push(kept);
  }
  return { disk, saved };
}

/** Throws what is wrong first. */
export async function checkLaws(): Promise<void> {
  const problem = (await tryCrashes()).problem ?? (await tryDamage());
  if (problem !== undefined) throw new Error(problem);
  await checkCuts();
}

/** Checkpoints come back, whatever their parts and pieces. */
export async function checkCuts(): Promise<void> {
  const small = fc.array(fc.nat(9), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(small, fc.integer({ min: 1, max: 12 }), async (lengths, pieceBytes) => {
      await comesBack(lengths, pieceBytes);
    }),
    { numRuns: 200 },
  );
  // More than is read at once, with pieces larger and smaller than a part.
  await comesBack([700_000, 3_000_001, 1, 1_300_000], 300_000);
}

async function comesBack(lengths: readonly number[], pieceBytes: number): Promise<void> {
  const disk = new CrashDisk();
  const kept = { at: 1, parts: partsOf(lengths, pieceBytes) };
  await save(disk, kept, pieceBytes);
  const found = await load(disk, lengths);
  if (isDeepStrictEqual(found, { kept, isOlder: false })) return;
  throw new Error(`${lengths.join(" ")}: it does not come back`);
}

/** Looks at every crash on the way; gives what is wrong first, and how many crashes were looked at. */
export async function tryCrashes(): Promise<{ readonly problem: string | undefined; readonly crashes: number }> {
  const { disk, saved } = await written();
  let crashes = 0;
  for (const { disk: left, told, where } of disk.crashes()) {
    crashes += 1;
    const { kept, isOlder } = await load(left);
    const isRight = [saved[told], saved[told + 1]].some((one) => isDeepStrictEqual(kept, one));
    if (!isRight || isOlder) return { problem: `${where}: ${told} was on the disk, and ${kept?.at} is found`, crashes };
  }
  return { problem: undefined, crashes };
}

/** Flips every bit of every file and cuts each at every byte, one at a time; gives what is wrong first. */
export async function tryDamage(): Promise<string | undefined> {
  const { disk, saved } = await written();
  for (const { left, where } of [...disk.damages(), ...disk.cuts()]) {
    const { kept, isOlder } = await load(left);
    // Of the two that are there one is whole, and it is said where that is not the newest.
    const expected = saved[isOlder ? SAVES - 1 : SAVES];
    if (!isDeepStrictEqual(kept, expected)) return `${where}: ${kept?.at} is found`;
  }
  // With both damaged it is refused, as it is where the model is another.
  const only = new CrashDisk();
  await save(only, { at: 1, parts: partsOf(LENGTHS, 1) }, PIECE_BYTES);
  for (const { left, where } of [...only.damages(), ...only.cuts()]) {
    const found = await load(left).catch((error: unknown) => error);
    if (!(found instanceof UnusableCheckpoint)) return `${where}: a damaged checkpoint is taken`;
  }
  const other = await load(only, [...LENGTHS, 1]).catch((error: unknown) => error);
  return other instanceof UnusableCheckpoint ? undefined : "a checkpoint of a smaller model is taken";
}
