import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isToken } from "../../protocols/subjects.ts";
import { nodeDisk } from "../../runtime/disk.ts";
import { errorCode } from "../../runtime/error-code.ts";
import { type ImagePlace } from "../../runtime/image-files.ts";

/** There is nothing to look at. */
class NoImages extends Error {
  override readonly name = "NoImages";

  constructor(state: string, why: string) {
    super(`Cannot find images in ${JSON.stringify(state)}: ${why}. Give the state folder of a node, or its 'shards'`);
  }
}

/** Where each image of a state folder lies, in the order of their names. Throws `NoImages` where there is none. */
export async function imagePlaces(state: string): Promise<ImagePlace[]> {
  for (const folder of [join(state, "shards"), state]) {
    const names = new Set<string>();
    for (const file of await filesOf(folder, state)) {
      const name = /^image-([^.]+)\.(?:current|previous)$/.exec(file)?.[1];
      if (name !== undefined && isToken(name)) names.add(name);
    }
    if (names.size > 0) return [...names].sort().map((name) => ({ disk: nodeDisk, folder, name }));
  }
  throw new NoImages(state, "it has none");
}

/** One image by its shard's name, or all. */
export async function chosenPlaces(state: string, shard: string | undefined): Promise<ImagePlace[]> {
  const places = await imagePlaces(state);
  if (shard === undefined) return places;
  const chosen = places.filter(({ name }) => name === shard);
  if (chosen.length > 0) return chosen;
  throw new NoImages(
    state,
    `none is of shard ${JSON.stringify(shard)}; there are ${places.map(({ name }) => name).join(", ")}`,
  );
}

/** The model that a shard is of. */
export function modelOf(shard: string): string {
  return shard.slice(0, shard.lastIndexOf("-"));
}

async function filesOf(folder: string, state: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" && folder !== state) return [];
    if (code === "ENOENT") throw new NoImages(state, "there is no such folder");
    if (code === "ENOTDIR") throw new NoImages(state, "it is not a folder");
    if (code === "EACCES") throw new NoImages(state, "this user may not read it");
    throw error;
  }
}

/** When a file was written. */
export async function writtenAtMs(path: string): Promise<number> {
  return (await stat(path)).mtimeMs;
}

/** Where a restore that is not over has its files. Whoever holds the lock of the state folder may remove it. */
export function restoringFolder(state: string): string {
  return join(state, "restoring");
}
