/*
 * What keeping images asks of a disk: so that the order in which they are written can be tried on a disk that crashes anywhere.
 *
 * Node refuses fsync to a thread that has permissions, whatever they are. So files are written with O_SYNC, which is fsync with each
 * write; and where the folder cannot be synced, the last byte of the renamed file is written once more. To sync a file after its
 * rename also makes its new name durable where the journal keeps order (ext4, XFS, APFS, NTFS) or logs a file's name with it (Btrfs).
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode } from "./error-code.ts";

export interface Disk {
  /** Makes a folder that only its owner may open, where there is none. */
  makeFolder(path: string): Promise<void>;
  list(folder: string): Promise<string[]>;
  /** A file that was not there before. */
  create(path: string): Promise<NewFile>;
  /** Rejects for anything but a file. */
  open(path: string): Promise<OldFile>;
  /** Of a file, or of a folder with all that is in it, at once. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, if it is there. */
  remove(path: string): Promise<void>;
  /** Makes the names in a file's folder durable, its own the last that changed. */
  syncNames(path: string): Promise<void>;
}

export interface NewFile {
  /** Resolves when all of it survives a power failure. */
  write(parts: readonly Uint8Array[]): Promise<void>;
  close(): Promise<void>;
}

export interface OldFile extends AsyncDisposable {
  readonly size: number;
  /** Bytes of the file, all of them: at the start of the room that is given, where they fit, else in memory of their own. */
  read(
    range: { readonly from: number; readonly bytes: number },
    room?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** Bytes of one read: large, since each one waits for the disk. */
const READ_BYTES = 8 * 1024 * 1024;
// Windows has no O_SYNC flag in Node; there the bytes are in the system's cache when the name changes.
const SYNCHRONOUS = constants.O_WRONLY | (constants.O_SYNC ?? 0);

/** The disk of this machine. */
export const nodeDisk: Disk = {
  makeFolder: async (path) => void (await mkdir(path, { recursive: true, mode: 0o700 })),
  list: (folder) => readdir(folder),
  create: async (path) => newFile(await open(path, SYNCHRONOUS | constants.O_CREAT | constants.O_EXCL, 0o600)),
  async open(path) {
    const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    const stats = await file.stat();
    if (stats.isFile()) return oldFile(file, stats.size);
    await file.close();
    throw new Error(`Cannot read '${path}': it is not a file`);
  },
  rename,
  remove: (path) => rm(path, { force: true }),
  async syncNames(path) {
    if (!(await syncFolder(dirname(path))) && (await stat(path)).isFile()) await syncAgain(path);
  },
};

function newFile(file: FileHandle): NewFile {
  let at = 0;
  return {
    async write(parts) {
      const bytes = parts.reduce((sum, { length }) => sum + length, 0);
      let { bytesWritten: offset } = await file.writev([...parts], at);
      for (const rest = offset < bytes ? Buffer.concat(parts) : new Uint8Array(); offset < bytes;) {
        const { bytesWritten } = await file.write(rest, offset, bytes - offset, at + offset);
        if (bytesWritten === 0) throw new Error(`Cannot write: the disk took ${at + offset} bytes and no more`);
        offset += bytesWritten;
      }
      at += bytes;
    },
    async close() {
      try {
        await trySync(file); // says more than O_SYNC on macOS, where a disk keeps a cache, and on Windows
      } finally {
        await file.close();
      }
    },
  };
}

function oldFile(file: FileHandle, size: number): OldFile {
  return {
    size,
    async read({ from, bytes }, room) {
      const read = room !== undefined && room.length >= bytes ? room.subarray(0, bytes) : new Uint8Array(bytes);
      let offset = 0;
      while (offset < bytes) {
        const { bytesRead } = await file.read(read, offset, Math.min(bytes - offset, READ_BYTES), from + offset);
        if (bytesRead === 0) {
          throw new Error(`Cannot read: the file ended at ${from + offset} of ${from + bytes} bytes`);
        }
        offset += bytesRead;
      }
      return read;
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
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
async function syncAgain(path: string): Promise<void> {
  await using file = await open(path, constants.O_RDWR | (constants.O_SYNC ?? 0));
  const { size } = await file.stat();
  if (size === 0) return;
  const { buffer } = await file.read(new Uint8Array(1), 0, 1, size - 1);
  await file.write(buffer, 0, 1, size - 1);
  await trySync(file);
}
