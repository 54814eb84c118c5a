/*
 * Images of one folder. Of a name there are:
 *
 *   image-NAME.current       the manifest: which segments are the image (protocols/wire/manifest.ts)
 *   image-NAME.previous      the manifest of the image before the current one's whole segment
 *   image-NAME.ID.segment    a segment (protocols/wire/segment.ts), never changed once it has been written
 *   image-NAME.ID.saving     a manifest that is being written
 *
 * In old versions `current` and `previous` were whole images in one piece; such ones are still read.
 *
 *   1. write a segment through to the disk     2. write `saving` through     3. if the segment is whole: current -> previous
 *   4. saving -> current                       5. make the names durable    6. remove the segments that no manifest names
 *
 * A crash before 3 leaves current and previous as they were. Between 3 and 4 there is no current, and previous is the image that was
 * current. From 4 on current is the new image. A name only ever points to a file whose bytes were on the disk before it got that name,
 * so nothing half-written can be loaded; what 1 and 2 left behind is removed at the next start. Step 5 makes it true after a power failure
 * that the image was saved; without it the one before would be found, whole.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import {
  decodeManifest,
  encodeManifest,
  kindOf,
  MANIFEST_BYTES_MAX,
  type NamedSegment,
} from "../protocols/wire/manifest.ts";
import { type Disk } from "./disk.ts";
import { errorCode } from "./error-code.ts";

/** The file of a segment: name and id. */
const SEGMENT = /^image-([^.]+)\.([0-9a-f]{16})\.segment$/;
/** Of an image in one piece, as old versions wrote them. */
const PIECE_BYTES_MAX = 512 * 1024 * 1024;

/** Where the images of one name lie. */
export interface ImagePlace {
  readonly disk: Disk;
  readonly folder: string;
  readonly name: string;
}

/** What a `current` or `previous` file is. */
export type ImageFile =
  | { readonly kind: "manifest"; readonly segments: readonly NamedSegment[] }
  | { readonly kind: "piece"; readonly bytes: Uint8Array };

/** The file that says what an image is. The prefix keeps names that Windows reserves (`nul`) harmless. */
export function imagePath({ folder, name }: Omit<ImagePlace, "disk">, age: "current" | "previous"): string {
  return join(folder, `image-${name}.${age}`);
}

export function segmentPath({ folder, name }: Omit<ImagePlace, "disk">, id: string): string {
  return join(folder, `image-${name}.${id}.segment`);
}

/** The id of a segment that never was. */
export function newSegmentId(): string {
  return randomBytes(8).toString("hex");
}

/** Makes the folder, open to its owner only, and removes what writers that were killed left half-written. */
export async function prepareImageFolder(disk: Disk, folder: string): Promise<void> {
  await disk.makeFolder(folder);
  const files = await disk.list(folder);
  for (const file of files) if (/^image-.*\.saving$/.test(file)) await disk.remove(join(folder, file));
  const names = new Set(files.map((file) => SEGMENT.exec(file)?.[1] ?? ""));
  names.delete("");
  for (const name of names) await sweepSegments({ disk, folder, name });
}

/** Makes these segments the image, durably and at once. Rejects with Node's error, and then an image from before is still there. */
export function writeManifest(place: ImagePlace, segments: readonly NamedSegment[]): Promise<void> {
  return replace(place, encodeManifest(segments), { keepsPrevious: segments.length === 1 });
}

/** An image in one piece, where nothing of it can stay as it was: likewise. */
export function writePiece(place: ImagePlace, bytes: Uint8Array): Promise<void> {
  return replace(place, bytes, { keepsPrevious: true });
}

async function replace(
  place: ImagePlace,
  bytes: Uint8Array,
  { keepsPrevious }: { readonly keepsPrevious: boolean },
): Promise<void> {
  const { disk, folder, name } = place;
  // A name of its own: a writer that outlived its actor can fail to rename its file, but never rename another's half-written one.
  const saving = join(folder, `image-${name}.${newSegmentId()}.saving`);
  const current = imagePath(place, "current");
  try {
    const file = await disk.create(saving);
    try {
      await file.write([bytes]);
    } finally {
      await file.close();
    }
    if (keepsPrevious) {
      await disk.rename(current, imagePath(place, "previous")).catch((error: unknown) => {
        if (errorCode(error) !== "ENOENT") throw error; // the first image of this name, or the first after a crash between 3 and 4
      });
    }
    await disk.rename(saving, current);
  } catch (error) {
    // A full disk needs the space back. If even this fails, the next start removes it.
    await disk.remove(saving).catch(() => undefined);
    throw error;
  }
  await disk.syncNames(current);
}

/** Removes the segments of a name that no manifest of it names. Where one cannot be read nothing is removed: somebody may still mend it. */
export async function sweepSegments(place: ImagePlace): Promise<void> {
  const { disk, folder, name } = place;
  const kept = new Set<string>();
  for (const age of ["current", "previous"] as const) {
    try {
      const image = await readImageFile(place, age);
      if (image?.kind === "manifest") for (const { id } of image.segments) kept.add(id);
    } catch {
      return; // whoever loads it says why
    }
  }
  for (const file of await disk.list(folder)) {
    const [, of, id] = SEGMENT.exec(file) ?? [];
    if (of === name && id !== undefined && !kept.has(id)) await disk.remove(join(folder, file));
  }
}

/** Removes all images of a name. A crash on the way leaves the current one, whole, or none. */
export async function removeImages(place: ImagePlace): Promise<void> {
  const { disk, folder, name } = place;
  for (const age of ["previous", "current"] as const) await disk.remove(imagePath(place, age));
  for (const file of await disk.list(folder)) {
    if (SEGMENT.exec(file)?.[1] === name) await disk.remove(join(folder, file));
  }
}

/** What `current` or `previous` is, or undefined where there is none. Rejects where it cannot be read, or is none that we would write. */
export async function readImageFile(place: ImagePlace, age: "current" | "previous"): Promise<ImageFile | undefined> {
  try {
    await using file = await place.disk.open(imagePath(place, age));
    const { size } = file;
    const start = await file.read({ from: 0, bytes: Math.min(size, MANIFEST_BYTES_MAX) });
    const kind = kindOf(start);
    if (kind === "unknown") throw new DecodeError("manifest", "it begins neither as a manifest nor as an image");
    if (kind === "manifest") {
      if (size > MANIFEST_BYTES_MAX) throw new DecodeError("manifest", `${size} bytes are too many`);
      return { kind: "manifest", segments: decodeManifest(start) };
    }
    if (size > PIECE_BYTES_MAX) throw new Error(`Cannot read an image: ${size} bytes are over ${PIECE_BYTES_MAX}`);
    return { kind: "piece", bytes: await file.read({ from: 0, bytes: size }) };
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
