/*
 * A copy of a node's images as one tar file: of each shard the newest image that is whole, of one moment, as a running node goes on replacing
 * them. Every byte is checked before any is copied.
 */
import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { packTar, type TarSource } from "modern-tar/fs";
import { messageOf } from "../../protocols/wire/error-message.ts";
import { nodeDisk, type OldFile } from "../../runtime/disk.ts";
import { errorCode } from "../../runtime/error-code.ts";
import { type ImagePlace } from "../../runtime/image-files.ts";
import { encodeList, LIST_NAME } from "./backup-list.ts";
import { type HeldImage, holdImage } from "./held-image.ts";
import { imagePlaces } from "./image-names.ts";
import { savingPath, sweepSaving, troubleOf } from "./saving.ts";
import { verifyImage } from "./verify.ts";

const CHUNK_BYTES = 1024 * 1024;
const AGES = ["current", "previous"] as const;

/** What was not backed up, and why. */
class BackupRefused extends Error {
  override readonly name = "BackupRefused";
}

export interface BackupOptions {
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

export interface BackedUp {
  readonly shards: number;
  readonly bytes: number;
  /** Shards whose newest image is damaged; the one before is in the backup. */
  readonly older: readonly { readonly shard: string; readonly why: string }[];
}

/** Copies the images of a state folder into a new file. Where it rejects, nothing of that is left. */
export async function backUp(state: string, file: string, options: BackupOptions): Promise<BackedUp> {
  const target = resolve(file);
  const places = await imagePlaces(state);
  await using held = new AsyncDisposableStack();
  try {
    if (await exists(target)) {
      throw new BackupRefused(`Cannot back up to '${target}': it is there already. Give another name`);
    }
    await sweepSaving(dirname(target));
    options.progress("opening the images");
    const candidates = await holdAll(places, held);
    const images: HeldImage[] = [];
    const older: { shard: string; why: string }[] = [];
    for (const [at, place] of places.entries()) {
      options.progress(`checking ${place.name}`);
      const { image, why } = await firstWhole(candidates[at] ?? [], { place, state, ...options });
      images.push(image);
      if (why !== undefined) older.push({ shard: place.name, why });
    }
    options.progress(`writing ${target}`);
    return { shards: places.length, bytes: await writeArchive(images, { target, ...options }), older };
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof BackupRefused) throw error;
    throw new BackupRefused(`Cannot back up to '${target}': ${troubleOf(error)}`, { cause: error });
  }
}

/** An image of a shard, or why it cannot be used. */
type Candidate =
  | { readonly kind: "held"; readonly image: HeldImage }
  | { readonly kind: "broken"; readonly why: string };

/** What there is of each shard, newest first. All at once, so that their moments are close. */
async function holdAll(places: readonly ImagePlace[], held: AsyncDisposableStack): Promise<Candidate[][]> {
  const all: Candidate[][] = [];
  for (const place of places) {
    const candidates: Candidate[] = [];
    for (const age of AGES) {
      try {
        const image = await holdImage(place, age);
        // After a crash between two steps of a node there is no current image, and the one before is the newest.
        if (image !== undefined) candidates.push({ kind: "held", image: held.use(image) });
      } catch (error) {
        if (["EMFILE", "ENFILE"].includes(errorCode(error) ?? "")) throw error;
        candidates.push({ kind: "broken", why: messageOf(error) });
      }
    }
    all.push(candidates);
  }
  return all;
}

/** Reads all bytes of a shard's images until one is as it was written; says what was wrong with the newest, where it is not that. */
async function firstWhole(
  candidates: readonly Candidate[],
  { place, state, ...options }: BackupOptions & { readonly place: ImagePlace; readonly state: string },
): Promise<{ readonly image: HeldImage; readonly why: string | undefined }> {
  let why: string | undefined;
  for (const candidate of candidates) {
    if (candidate.kind === "broken") {
      why ??= candidate.why;
      continue;
    }
    const { problems } = await verifyImage(candidate.image.place, options);
    const [problem] = problems;
    if (problem === undefined) return { image: candidate.image, why };
    why ??= problem;
  }
  throw new BackupRefused(
    `Cannot back up '${state}': no image of shard '${place.name}' is whole: ${why ?? "it is gone"}. A node that runs writes a new one by itself; ` +
      "else restore an older backup, or move the files of that shard away, which starts it empty",
  );
}

/** Writes the archive under another name, through to the disk, and then names it; gives its bytes. */
async function writeArchive(
  images: readonly HeldImage[],
  { target, signal }: { readonly target: string; readonly signal: AbortSignal },
): Promise<number> {
  const files = images.flatMap((image) => [...image.files].map(([path, file]) => ({ name: basename(path), file })));
  const list = encodeList(files.map(({ name, file }) => ({ name, bytes: file.size })));
  const saving = savingPath(target);
  try {
    const archive = packTar([
      { type: "content", target: LIST_NAME, content: list, mode: 0o600 },
      ...files.map(({ name, file }): TarSource => {
        return { type: "stream", target: name, content: Readable.from(chunksOf(file)), size: file.size, mode: 0o600 };
      }),
    ]);
    await pipeline(archive, createWriteStream(saving, { mode: 0o600, flush: true }), { signal });
    await rename(saving, target);
    await nodeDisk.syncNames(target);
    return (await stat(target)).size;
  } finally {
    await rm(saving, { force: true });
  }
}

async function* chunksOf(file: OldFile): AsyncGenerator<Uint8Array, void, undefined> {
  for (let from = 0; from < file.size; from += CHUNK_BYTES) {
    yield await file.read({ from, bytes: Math.min(CHUNK_BYTES, file.size - from) });
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
