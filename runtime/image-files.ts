/*
 * Images of one folder, each written whole or not at all. One image of a name is written at a time and never in place:
 *
 *   1. write `saving` through to the disk    2. current -> previous    3. saving -> current    4. make the names durable
 *
 * A crash before 2 leaves current and previous as they were. Between 2 and 3 there is no current, and previous is the image that was
 * current. From 3 on current is the new image. A name only ever points to a file whose bytes were on the disk before it got that name,
 * so nothing half-written can be loaded; what 1 left behind is removed at the next start. Step 4 makes it true after a power failure
 * that the image was saved; without it the one before would be found, whole.
 *
 * Node refuses fsync to a thread that has permissions, whatever they are. So files are written with O_SYNC, which is fsync with each
 * write; and where the folder cannot be synced, the last byte of the renamed file is written once more. To sync a file after its
 * rename also makes its new name durable where the journal keeps order (ext4, XFS, APFS, NTFS) or logs a file's name with it (Btrfs).
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "./error-code.ts";

/** Bytes of one write: large, since each one waits for the disk. */
const WRITE_BYTES = 8 * 1024 * 1024;
// Windows has no O_SYNC flag in Node; there the bytes are in the system's cache when the name changes.
const SYNCHRONOUS = constants.O_WRONLY | (constants.O_SYNC ?? 0);

/** The file of an image. The prefix keeps names that Windows reserves (`nul`) harmless. */
export function imagePath(folder: string, name: string, age: "current" | "previous"): string {
  return join(folder, `image-${name}.${age}`);
}

/** Makes the folder, open to its owner only, and removes what writers that were killed left half-written. */
export async function prepareImageFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const unfinished = (await readdir(folder)).filter((file) => /^image-.*\.saving$/.test(file));
  for (const file of unfinished) await rm(join(folder, file), { force: true });
}

/** Replaces the image of `name`, durably and at once. Rejects with Node's error, and then an image from before is still there. */
export async function writeImage(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  // A name of its own: a writer that outlived its actor can fail to rename its file, but never rename another's half-written one.
  const saving = join(folder, `image-${name}.${randomUUID()}.saving`);
  const current = imagePath(folder, name, "current");
  try {
    await writeFileThrough(saving, bytes);
    await rename(current, imagePath(folder, name, "previous")).catch((error: unknown) => {
      if (errorCode(error) !== "ENOENT") throw error; // the first image of this name, or the first after a crash between 2 and 3
    });
    await rename(saving, current);
  } catch (error) {
    // A full disk needs the space back. If even this fails, the next start removes it.
    await rm(saving, { force: true }).catch(() => undefined);
    throw error;
  }
  if (!(await syncFolder(folder))) await syncAgain(current, bytes);
}

/** The bytes of an image, or undefined where there is none. Rejects where there is one that cannot be read, or none that we would write. */
export async function readImage(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  await using opened = file;
  const stats = await opened.stat();
  if (!stats.isFile()) throw new Error(`Cannot read image '${path}': it is not a file`);
  if (stats.size > bytesMax) throw new Error(`Cannot read image '${path}': ${stats.size} bytes are over ${bytesMax}`);
  const bytes = new Uint8Array(stats.size);
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesRead } = await opened.read(bytes, offset, Math.min(bytes.length - offset, WRITE_BYTES), offset);
    if (bytesRead === 0) throw new Error(`Cannot read image '${path}': it ended at ${offset} of ${bytes.length} bytes`);
    offset += bytesRead;
  }
  return bytes;
}

async function writeFileThrough(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, SYNCHRONOUS | constants.O_CREAT | constants.O_EXCL, 0o600);
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesWritten } = await file.write(bytes, offset, Math.min(bytes.length - offset, WRITE_BYTES), offset);
    if (bytesWritten === 0) throw new Error(`Cannot write an image: the disk took ${offset} of ${bytes.length} bytes`);
    offset += bytesWritten;
  }
  await trySync(file); // says more than O_SYNC on macOS, where a disk keeps a cache, and on Windows
}

/** Whether the folder's names are durable now. */
async function syncFolder(folder: string): Promise<boolean> {
  if (process.platform === "win32") return false; // Node opens no folders there
  await using handle = await open(folder, constants.O_RDONLY);
  return await trySync(handle);
}

/** False where syncing is refused to this thread, or unknown to the file system. */
async function trySync(file: FileHandle): Promise<boolean> {
  try {
    await file.sync();
    return true;
  } catch (error) {
    if (["ERR_ACCESS_DENIED", "EINVAL", "ENOTSUP"].includes(errorCode(error) ?? "")) return false;
    throw error;
  }
}

/** Writes the last byte again, where it is: the one way in which a thread with permissions can sync a file. */
async function syncAgain(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, SYNCHRONOUS);
  await file.write(bytes, bytes.length - 1, 1, bytes.length - 1);
  await trySync(file);
}
