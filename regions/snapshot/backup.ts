/*
 * A copy of a node's images as one tar file, and back. Segments are never changed once they are written, so a link to each holds still what a
 * running node goes on replacing: manifest first, then what it names; where something is gone by then, there is a newer manifest.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { copyFile, link, mkdir, mkdtemp, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { packTar, unpackTar } from "modern-tar/fs";
import { nodeDisk } from "../../runtime/disk.ts";
import { errorCode } from "../../runtime/error-code.ts";
import { imagePath, type ImagePlace, readImageFile, segmentPath } from "../../runtime/image-files.ts";
import { lockStateFolder } from "../../runtime/state-lock.ts";
import { imagePlaces } from "./image-names.ts";
import { type Verdict, verifyImages } from "./verify.ts";

const TRIES = 20;

/** What was not done, and why. */
class BackupRefused extends Error {
  override readonly name = "BackupRefused";
}

/** Copies the newest image of each shard into a new file; gives what it holds. */
export async function backUp(
  state: string,
  file: string,
): Promise<{ readonly shards: number; readonly bytes: number }> {
  const target = resolve(file);
  if (await exists(target)) throw new BackupRefused(`Cannot back up to '${target}': it is there already`);
  const places = await imagePlaces(state);
  const held = await mkdtemp(join(places[0]?.folder ?? state, "backup-"));
  const saving = join(dirname(target), `.${basename(target)}.saving`);
  try {
    for (const place of places) await holdImage(place, held);
    await pipeline(packTar(held), createWriteStream(saving, { flags: "w", mode: 0o600 }));
    await using written = await open(saving, "r+");
    await written.sync();
    await rename(saving, target);
    return { shards: places.length, bytes: (await stat(target)).size };
  } finally {
    await rm(held, { recursive: true, force: true });
    await rm(saving, { force: true });
  }
}

/** Puts the images of a backup into a state folder that has none; gives what was found in them, all of it checked. */
export async function restore(file: string, state: string): Promise<Verdict[]> {
  const folder = resolve(state);
  if (!(await exists(file))) throw new BackupRefused(`Cannot restore from '${file}': there is no such file`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Held until all is in place: no node starts meanwhile, and none is running.
  await using held = new AsyncDisposableStack();
  held.use(await lockStateFolder(folder, { owner: "freshet restore" }));
  const shards = join(folder, "shards");
  if ((await exists(shards)) && (await readdir(shards)).some((name) => name.startsWith("image-"))) {
    throw new BackupRefused(`Cannot restore into '${folder}': its 'shards' has images. Move them away first`);
  }
  const unpacked = await mkdtemp(join(folder, "restore-"));
  try {
    try {
      await pipeline(createReadStream(file), unpackTar(unpacked, { strip: 0 }));
    } catch (error) {
      throw new BackupRefused(`Cannot restore from '${file}': it is no backup, or damaged`, { cause: error });
    }
    const strange = (await readdir(unpacked)).filter(
      (name) => !/^image-[^./]+\.(?:current|[0-9a-f]{16}\.segment)$/.test(name),
    );
    if (strange.length > 0) {
      throw new BackupRefused(
        `Cannot restore from '${file}': it holds ${JSON.stringify(strange[0])}, which no backup does`,
      );
    }
    const verdicts = await Array.fromAsync(verifyImages(unpacked, { shard: undefined, progress: () => undefined }));
    const damaged = verdicts.find(({ problems }) => problems.length > 0);
    if (damaged !== undefined) {
      throw new BackupRefused(
        `Cannot restore from '${file}': shard '${damaged.shard}' in it is damaged: ${damaged.problems[0]}`,
      );
    }
    await mkdir(shards, { recursive: true, mode: 0o700 });
    // Segments first: a manifest must never name what is not there.
    for (const kind of [".segment", ".current"]) {
      for (const name of await readdir(unpacked)) {
        if (name.endsWith(kind)) await rename(join(unpacked, name), join(shards, name));
      }
    }
    const [first] = verdicts;
    if (first !== undefined) await nodeDisk.syncNames(join(shards, `image-${first.shard}.current`));
    return verdicts;
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

/** Links what is the image now into a folder. */
async function holdImage(place: ImagePlace, folder: string): Promise<void> {
  const into = { ...place, folder };
  for (let left = TRIES; ; left -= 1) {
    try {
      await hold(imagePath(place, "current"), imagePath(into, "current"));
      const image = await readImageFile(into, "current");
      for (const { id } of image?.kind === "manifest" ? image.segments : []) {
        const path = segmentPath(into, id);
        if (!(await exists(path))) await hold(segmentPath(place, id), path);
      }
      return;
    } catch (error) {
      if (errorCode(error) !== "ENOENT" || left === 1) throw error;
      await rm(imagePath(into, "current"), { force: true });
    }
  }
}

async function hold(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!["EPERM", "ENOTSUP", "EXDEV", "EMLINK", "ENOSYS"].includes(errorCode(error) ?? "")) throw error;
    await copyFile(from, to);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}
