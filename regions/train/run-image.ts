/*
 * Where a training run stands, on disk: an image of one segment (runtime/image-files.ts), written whole or not at all and checked piece by piece. The
 * segment's head is JSON: what the run is, and its results. Its blocks are what the model holds, part after part. They are cut wherever a piece is full, so
 * that an image of any size takes a few pieces of memory to write and to read. The image before stays, for where the newest is damaged.
 */
import * as z from "zod";
import { IMAGE_LIMITS } from "../../protocols/limits.ts";
import { DecodeError } from "../../protocols/wire/decode-error.ts";
import { commitSegment } from "../../runtime/commit-image.ts";
import { type Disk, nodeDisk } from "../../runtime/disk.ts";
import { errorCode } from "../../runtime/error-code.ts";
import { type StoredImage, type StoredSegment } from "../../runtime/file-store-protocol.ts";
import { type ImagePlace, prepareImageFolder, removeImages, segmentPath } from "../../runtime/image-files.ts";
import { loadImages } from "../../runtime/image-loading.ts";
import { readBlocks, SegmentWriter } from "../../runtime/segment-files.ts";
import { troubleOf } from "../snapshot/saving.ts";

/** What is kept is of another run, or broken. */
export class UnusableCheckpoint extends Error {
  override readonly name = "UnusableCheckpoint";

  constructor(folder: string, why: string) {
    super(
      `Cannot go on from ${JSON.stringify(folder)}: ${why}. Choose another folder with --out, or start anew with --restart`,
    );
  }
}

/** The disk does not take what a run writes. What was written before is there as it was. */
export class NotWritten extends Error {
  override readonly name = "NotWritten";

  constructor(what: string, { folder, cause }: { readonly folder: string; readonly cause: unknown }) {
    super(
      `Cannot write the ${what} in ${JSON.stringify(folder)}: ${troubleOf(cause)}. ` +
        "The same command then goes on from the last checkpoint",
      { cause },
    );
  }
}

/** `run` says what the run is: model, data and settings, so that no other is taken for it. */
export interface RunHeader {
  readonly run: string;
}

/** Where a folder has the image of its run. */
export function runImagePlace(folder: string, disk: Disk = nodeDisk): ImagePlace {
  return { disk, folder, name: "training" };
}

interface SavedRun {
  readonly header: RunHeader;
  readonly parts: readonly Uint8Array[];
  readonly pieceBytes?: number;
}

/**
 * Keeps a run in a folder, in place of what was kept there, which stays until this one is on the disk. Nobody changes the parts meanwhile. Throws `NotWritten`
 * where the disk does not take it.
 */
export async function saveImage(place: ImagePlace, saved: SavedRun): Promise<void> {
  try {
    await writeImage(place, saved);
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    throw new NotWritten("checkpoint", { folder: place.folder, cause: error });
  }
}

async function writeImage(
  place: ImagePlace,
  { header, parts, pieceBytes = IMAGE_LIMITS.storedBlockBytes }: SavedRun,
): Promise<void> {
  await prepareImageFolder(place.disk, place.folder);
  const head = new TextEncoder().encode(JSON.stringify(header));
  await using writer = await SegmentWriter.open(place, { storedBytes: pieceBytes });
  for (const part of parts) {
    for (let from = 0; from < part.length; from += pieceBytes) {
      await writer.append(part.subarray(from, from + pieceBytes));
    }
  }
  await commitSegment(place, { writer, head, before: [] });
}

/**
 * What was kept: its header. The bytes of its parts go into those that `partsOf` names. Undefined where nothing was kept; throws `UnusableCheckpoint` where it
 * is another run's, or damaged and the image before is too: the parts may hold anything then.
 */
export async function loadImage<H extends RunHeader>(
  place: ImagePlace,
  {
    run,
    header,
    partsOf,
    onDamage,
  }: {
    readonly run: string;
    readonly header: z.ZodType<H>;
    readonly partsOf: (kept: H) => readonly Uint8Array[];
    /** The newest image is damaged, and why; that before it is used. */
    readonly onDamage: (why: string) => void;
  },
): Promise<H | undefined> {
  const { images, problems } = await loadImages(place);
  const { current = [], previous = [] } = Object.groupBy(problems, ({ age }) => age);
  const damage = current.map(({ error }) => error.message);
  for (const image of images) {
    try {
      const segment = onlySegment(image);
      const kept = decodeHeader(segment, { place, run, header });
      await readParts(place, { segment, parts: partsOf(kept) });
      const [why] = damage;
      if (why !== undefined) onDamage(why);
      return kept;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      damage.push(error.message);
    }
  }
  const [why] = [...damage, ...previous.map(({ error }) => error.message)];
  if (why === undefined) return undefined;
  throw new UnusableCheckpoint(
    place.folder,
    `what is kept there is damaged, or of another version of freshet (${why})`,
  );
}

/** Removes what is kept of a run. */
export function removeImage(folder: string): Promise<void> {
  return removeImages(runImagePlace(folder));
}

function onlySegment(image: StoredImage): StoredSegment {
  const [segment, another] = image.kind === "segments" ? image.segments : [];
  if (segment === undefined || another !== undefined) throw new DecodeError("image", "it is none of a training run");
  return segment;
}

function decodeHeader<H extends RunHeader>(
  { head }: StoredSegment,
  { place, run, header }: { readonly place: ImagePlace; readonly run: string; readonly header: z.ZodType<H> },
): H {
  const found: unknown = JSON.parse(new TextDecoder().decode(head));
  const whose = z.object({ run: z.string() }).safeParse(found);
  if (whose.success && whose.data.run !== run) {
    throw new UnusableCheckpoint(place.folder, "it is of another model, data or settings");
  }
  const parsed = header.safeParse(found);
  if (!parsed.success) throw new UnusableCheckpoint(place.folder, "it is of another version of freshet");
  return parsed.data;
}

/** Fills the parts with a segment's blocks, one after the other. */
async function readParts(
  place: ImagePlace,
  { segment, parts }: { readonly segment: StoredSegment; readonly parts: readonly Uint8Array[] },
): Promise<void> {
  const { blocks } = segment;
  const held = blocks.reduce((sum, { bytes }) => sum + bytes, 0);
  const room = parts.reduce((sum, { length }) => sum + length, 0);
  if (held !== room) throw new DecodeError("image", `it has ${held} bytes, and the model ${room}`);
  const fill = filling(parts);
  const memory = new Uint8Array(Math.min(segment.bytes, IMAGE_LIMITS.readBytes));
  await using file = await place.disk.open(segmentPath(place, segment.id));
  for (let from = 0; from < blocks.length;) {
    let [to, bytes] = [from, 0];
    do {
      bytes += blocks[to]?.storedBytes ?? 0;
      to += 1;
    } while (to < blocks.length && bytes + (blocks[to]?.storedBytes ?? 0) <= memory.length);
    for (const block of await readBlocks(file, { blocks, from, to, room: memory })) fill(block);
    from = to;
  }
}

/** Takes bytes in order, and fills one part after the other with them. */
function filling(parts: readonly Uint8Array[]): (bytes: Uint8Array) => void {
  let [part, at] = [0, 0];
  return (bytes) => {
    for (let from = 0; from < bytes.length;) {
      const into = parts[part];
      if (into === undefined) throw new RangeError("Cannot fill more than all parts");
      const some = bytes.subarray(from, from + into.length - at);
      into.set(some, at);
      from += some.length;
      at += some.length;
      if (at === into.length) [part, at] = [part + 1, 0];
    }
  };
}
