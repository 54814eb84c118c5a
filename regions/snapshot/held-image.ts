/*
 * An image that stays readable whatever the node that writes it does next: its files are open. Nothing is written for that, so a process that
 * is killed leaves nothing behind, and a folder that may only be read will do. A file that lost its name meanwhile is on the disk until it is closed.
 */
import { type Disk, type OldFile } from "../../runtime/disk.ts";
import { errorCode } from "../../runtime/error-code.ts";
import { imagePath, type ImagePlace, readImageFile, segmentPath } from "../../runtime/image-files.ts";

/** A node that writes may take a segment away between a look at the manifest and one at the segment; then there is a newer manifest. */
const TRIES = 20;

export interface HeldImage extends AsyncDisposable {
  /** Has this image as the current one, and no other. */
  readonly place: ImagePlace;
  /** By path in that place; the manifest first. */
  readonly files: ReadonlyMap<string, OldFile>;
}

/** Opens an image that is there now; undefined where there is none. Rejects where its manifest is damaged, or names what is not there. */
export async function holdImage(place: ImagePlace, age: "current" | "previous"): Promise<HeldImage | undefined> {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await hold(place, age);
    } catch (error) {
      if (errorCode(error) !== "ENOENT" || left === 1) throw error;
    }
  }
}

async function hold(place: ImagePlace, age: "current" | "previous"): Promise<HeldImage | undefined> {
  await using undo = new AsyncDisposableStack();
  const manifest = await openIfThere(place.disk, imagePath(place, age));
  if (manifest === undefined) return undefined;
  const files = new Map([[imagePath(place, "current"), undo.use(manifest)]]);
  const held = { ...place, disk: diskOf(place.disk, files) };
  const image = await readImageFile(held, "current");
  for (const { id } of image?.kind === "manifest" ? image.segments : []) {
    const path = segmentPath(place, id);
    files.set(path, undo.use(await place.disk.open(path)));
  }
  const opened = undo.move();
  return { place: held, files, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** A disk that has these files only; whoever opens one does not close it. */
function diskOf(disk: Disk, files: ReadonlyMap<string, OldFile>): Disk {
  return {
    ...disk,
    async open(path) {
      const file = files.get(path);
      if (file === undefined) {
        throw Object.assign(new Error(`Cannot open '${path}': it is not held`), { code: "ENOENT" });
      }
      return { ...file, [Symbol.asyncDispose]: () => Promise.resolve() };
    },
  };
}

async function openIfThere(disk: Disk, path: string): Promise<OldFile | undefined> {
  try {
    return await disk.open(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
