import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type NamedSegment } from "../protocols/wire/manifest.ts";
import { commitSegment } from "../runtime/commit-image.ts";
import { type ImagePlace, prepareImageFolder, segmentPath } from "../runtime/image-files.ts";
import { loadImages } from "../runtime/image-loading.ts";
import { readBlocks, SegmentWriter } from "../runtime/segment-files.ts";
import { checkMoments } from "./image-laws.ts";
import { CrashDisk } from "./world/crash-disk.ts";

const FOLDER = "/images";
const NAME = "s-0";
/** Segments that are written one after the other: capital letters are whole. */
const WRITTEN = ["A", "b", "c", "D", "e", "F"] as const;

/** Writes whole segments and increments to a disk; gives the image after each. */
async function writeImages(disk: CrashDisk): Promise<string[]> {
  const place = { disk, folder: FOLDER, name: NAME };
  await prepareImageFolder(disk, FOLDER);
  let segments: readonly NamedSegment[] = [];
  const images = [""];
  for (const [at, letter] of WRITTEN.entries()) {
    const isWhole = letter === letter.toUpperCase();
    const writer = await SegmentWriter.open(place);
    for (const part of [letter, letter]) await writer.append(new TextEncoder().encode(part));
    segments = await commitSegment(place, { writer, head: Uint8Array.of(at), before: isWhole ? [] : segments });
    images.push((isWhole ? "" : (images.at(-1) ?? "")) + letter + letter);
    disk.told(at + 1);
  }
  return images;
}

/** All laws of images; throws what is wrong first. */
export async function checkLaws(): Promise<void> {
  const problem = (await tryCrashes()).problem ?? (await tryDamage());
  if (problem !== undefined) throw new Error(problem);
  checkMoments();
}

/** Flips every bit of every file, one at a time; gives what is wrong first. */
export async function tryDamage(): Promise<string | undefined> {
  const disk = new CrashDisk();
  const images = await writeImages(disk);
  for (const { left, where } of disk.damages()) {
    const found = await imageOn({ disk: left, folder: FOLDER, name: NAME }).catch((error: unknown) => {
      if (error instanceof DecodeError) return "";
      throw error;
    });
    if (!images.includes(found)) return `${where}: '${found}' is found`;
  }
  return undefined;
}

/**
 * Writes whole segments and increments to a disk, and looks at every crash on the way: what is found must be the image that somebody was told
 * of last, or the one that was being written. Gives what is wrong first, and how many crashes were looked at.
 */
export async function tryCrashes(): Promise<{ readonly problem: string | undefined; readonly crashes: number }> {
  const disk = new CrashDisk();
  const images = await writeImages(disk);
  let crashes = 0;
  for (const { disk: left, told, where } of disk.crashes()) {
    crashes += 1;
    const found = await imageOn({ disk: left, folder: FOLDER, name: NAME });
    if (found !== images[told] && found !== images[told + 1]) {
      return { problem: `${where}: '${images[told]}' was on the disk, and '${found}' is found`, crashes };
    }
  }
  return { problem: undefined, crashes };
}

/** What the next start finds, once it has tidied up; what lies there besides is an error. */
async function imageOn(place: ImagePlace): Promise<string> {
  await prepareImageFolder(place.disk, place.folder);
  const { images, problems } = await loadImages(place);
  const [image] = images;
  const kept = new Set(images.flatMap((each) => (each.kind === "segments" ? each.segments.map(({ id }) => id) : [])));
  const files = await place.disk.list(place.folder);
  const strange = files.find(
    (file) => file.endsWith(".saving") || (file.endsWith(".segment") && !kept.has(file.split(".")[1] ?? "")),
  );
  // What a damaged manifest may name is not removed.
  if (strange !== undefined && problems.length === 0) return `${strange} left over`;
  if (image === undefined) return "";
  if (image.kind === "piece") return "a piece";
  let text = "";
  for (const segment of image.segments) {
    await using file = await place.disk.open(segmentPath(place, segment.id));
    for (const block of await readBlocks(file, { blocks: segment.blocks, from: 0, to: segment.blocks.length })) {
      text += new TextDecoder().decode(block);
    }
  }
  return text;
}
