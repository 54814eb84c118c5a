/*
 * The images of a backup, put into a state folder that has none: all of them at once, by one rename of the folder that they were unpacked to,
 * after every byte was checked and is on the disk. Whoever is killed before that leaves the state folder as it was, but for that folder.
 */
import { type BigIntStats, createReadStream } from "node:fs";
import { lstat, readdir, rm, rmdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Disk, nodeDisk } from "../../runtime/disk.ts";
import { errorCode } from "../../runtime/error-code.ts";
import { imagePath } from "../../runtime/image-files.ts";
import { lockStateFolder } from "../../runtime/state-lock.ts";
import { restoringFolder } from "./image-names.ts";
import { troubleOf } from "./saving.ts";
import { NotABackup, unpackBackup } from "./unpack.ts";
import { type Verdict, verifyImage, type VerifyOptions } from "./verify.ts";

const READ_BYTES = 1024 * 1024;

/** What was not restored, and why. */
class RestoreRefused extends Error {
  override readonly name = "RestoreRefused";
}

/** Puts the images of a backup into a state folder that has none; gives what was found in them, all of it checked. `progress` is told of each step. */
export async function restore(file: string, state: string, options: VerifyOptions): Promise<Verdict[]> {
  const folder = resolve(state);
  await checkFile(file);
  // Held until all is in place: no node starts meanwhile, and none is running.
  await using held = new AsyncDisposableStack();
  held.use(await lockStateFolder(folder, { owner: "freshet restore" }));
  const shards = join(folder, "shards");
  await checkEmpty(shards, folder);
  const unpacked = restoringFolder(folder);
  try {
    await rm(unpacked, { recursive: true, force: true });
    options.progress("unpacking");
    const names = await unpackBackup(bytesOf(file), { disk: nodeDisk, folder: unpacked, signal: options.signal });
    const verdicts: Verdict[] = [];
    for (const name of names) {
      options.progress(`checking ${name}`);
      const verdict = await verifyImage({ disk: nodeDisk, folder: unpacked, name }, options);
      const [problem] = verdict.problems;
      if (problem !== undefined) throw new NotABackup(`shard '${name}' in it is damaged: ${problem}`);
      verdicts.push(verdict);
    }
    options.progress("putting them in place");
    options.signal.throwIfAborted();
    await rmdir(shards).catch((error: unknown) => {
      if (errorCode(error) !== "ENOENT") throw error;
    });
    await putInPlace(nodeDisk, { from: unpacked, to: shards, names });
    return verdicts;
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof RestoreRefused) throw error;
    if (error instanceof NotABackup) throw new RestoreRefused(`Cannot restore from '${file}': ${error.message}`);
    if (errorCode(error) !== undefined) {
      throw new RestoreRefused(`Cannot restore into '${folder}': ${troubleOf(error)}`, { cause: error });
    }
    throw new RestoreRefused(
      `Cannot restore from '${file}': it is no backup, or damaged: if it was copied here, copy it again`,
      { cause: error },
    );
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

/** Renames a folder of images that are on the disk to where there is none, durably: a crash leaves all of them there, or none. */
export async function putInPlace(
  disk: Disk,
  { from, to, names }: { readonly from: string; readonly to: string; readonly names: readonly string[] },
): Promise<void> {
  for (const name of names.slice(0, 1)) await disk.syncNames(imagePath({ folder: from, name }, "current"));
  await disk.rename(from, to);
  await disk.syncNames(to);
}

async function checkFile(file: string): Promise<void> {
  const found = await lstatOf(resolve(file));
  if (found === undefined) throw new RestoreRefused(`Cannot restore from '${file}': there is no such file`);
  if (found.isDirectory()) {
    throw new RestoreRefused(`Cannot restore from '${file}': it is a folder. Give a backup's file`);
  }
}

/** Rejects where a folder cannot take the place of what is there. */
async function checkEmpty(shards: string, state: string): Promise<void> {
  const found = await lstatOf(shards);
  if (found === undefined) return;
  const names = found.isDirectory() ? await readdir(shards) : [];
  if (names.some((name) => name.startsWith("image-"))) {
    throw new RestoreRefused(`Cannot restore into '${state}': its 'shards' has images. Move them away first`);
  }
  const own = await lstatOf(state);
  if (!found.isDirectory() || found.dev !== own?.dev) {
    throw new RestoreRefused(
      `Cannot restore into '${state}': its 'shards' is no folder on the same disk. Restore into another folder, and copy what its 'shards' has then`,
    );
  }
  const [first] = names;
  if (first !== undefined) {
    throw new RestoreRefused(
      `Cannot restore into '${state}': its 'shards' has ${JSON.stringify(first)}. Move it away first`,
    );
  }
}

async function lstatOf(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw new RestoreRefused(`Cannot look at '${path}': ${troubleOf(error)}`, { cause: error });
  }
}

async function* bytesOf(file: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* createReadStream(file, { highWaterMark: READ_BYTES });
  } catch (error) {
    throw new RestoreRefused(`Cannot read '${file}': ${troubleOf(error)}`, { cause: error });
  }
}
