import { readdir, stat } from "node:fs/promises";
import { isToken } from "../protocols/subjects.ts";
import { type Context, defineActor, type Later, type Promised, Refused } from "./actor.ts";
import { errorCode } from "./error-code.ts";
import { type FileStoreProtocol, type SaveOutcome } from "./file-store-protocol.ts";
import { imagePath, prepareImageFolder, readImage, writeImage } from "./image-files.ts";

/** The newest image of one name. */
export interface StoredImage {
  readonly name: string;
  readonly bytes: number;
  readonly savedAtMs: number;
}

/**
 * What the store answers; behaviours see the part in `file-store-protocol.ts`. `saved` means that the image survives a power failure, and
 * `failed` that an image from before is still there and a later save may succeed. The bytes must not change until the answer. Saves of one
 * name keep their order. A `load` is refused where there is an image and none can be read, so that a bad disk never looks like an empty
 * one. Names are tokens (1 to 64 of a-z, 0-9, `-`, `_`), so that none leaves the folder. A name that is none, an image that is empty or too
 * large, and work beyond what may wait are refused (`AskFailed`, code `refused`).
 */
export interface ImageStoreProtocol extends FileStoreProtocol {
  /** Every name that has an image, in the order of the names. */
  readonly list: { request: Readonly<Record<string, never>>; reply: { readonly files: readonly StoredImage[] } };
}

export interface FileStoreConfig {
  /** Made where it is missing, open to its owner only. One store at a time may use it. */
  readonly folder: string;
  /** Default: 512 MiB. */
  readonly imageBytesMax?: number;
}

const IMAGE_BYTES_MAX = 512 * 1024 * 1024;
/** Saves and loads on their way, over all names. */
const WAITING_MAX = 1024;
/** Saves and loads that touch the disk at one time. Node has four threads for files. */
const RUNNING_MAX = 4;

interface Job<Reply> {
  readonly after: Promise<void> | undefined;
  readonly work: () => Promise<Reply>;
  readonly answer: Promised<Reply>;
}

/** Keeps images of a folder for behaviours that may touch no files: `ImageStoreProtocol`. */
export const fileStore = defineActor<ImageStoreProtocol, FileStoreConfig>({
  kind: "files",
  messages: ["save", "load", "list"],
  async setup({ folder, imageBytesMax = IMAGE_BYTES_MAX }, context) {
    await prepareImageFolder(folder);
    /** The last piece of work of each name that has any; these never reject. */
    const lastOf = new Map<string, Promise<void>>();
    const waiting: (() => void)[] = [];
    let accepted = 0;
    let running = 0;

    function queue<Reply>(name: string, work: () => Promise<Reply>): Later<Reply> {
      if (!isToken(name)) throw new Refused(`Cannot use ${JSON.stringify(name.slice(0, 80))} as a name: no token`);
      if (accepted >= WAITING_MAX) throw new Refused(`Cannot take more work: ${accepted} saves and loads are waiting`);
      accepted += 1;
      const answer = context.later<Reply>();
      const mine = perform({ after: lastOf.get(name), work, answer }).finally(() => {
        accepted -= 1;
        if (lastOf.get(name) === mine) lastOf.delete(name);
      });
      lastOf.set(name, mine);
      return answer.reply;
    }

    /** Works when this name has nothing before it, and the disk has room for one more. */
    async function perform<Reply>(job: Job<Reply>): Promise<void> {
      await job.after;
      if (running < RUNNING_MAX) running += 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        job.answer.resolve(await job.work());
      } catch (error) {
        job.answer.reject(error instanceof Error ? error : new Error(String(error)));
      }
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next(); // which takes over this one's place
    }

    return {
      handlers: {
        save({ name, bytes }) {
          if (bytes.length === 0 || bytes.length > imageBytesMax) {
            throw new Refused(`Cannot save an image of ${bytes.length} bytes: 1 to ${imageBytesMax} are allowed`);
          }
          return queue(name, () => save({ folder, name, bytes }, context));
        },
        load: ({ name }) => queue(name, async () => ({ images: await load({ folder, name, imageBytesMax }, context) })),
        list: async () => ({ files: await list(folder) }),
      },
      async stop() {
        await Promise.all(lastOf.values());
      },
    };
  },
});

async function save(
  { folder, name, bytes }: { folder: string; name: string; bytes: Uint8Array },
  { log, metrics }: Context<ImageStoreProtocol>,
): Promise<SaveOutcome> {
  try {
    await writeImage(folder, name, bytes);
    metrics.count("freshet_images_saved_total");
    metrics.count("freshet_images_saved_bytes_total", bytes.length);
    return { kind: "saved", bytes: bytes.length };
  } catch (error) {
    const code = failureCode(error);
    const message = `Cannot save image '${name}' in '${folder}': ${error instanceof Error ? error.message : String(error)}`;
    log.error("an image was not saved; the one from before is kept", { image: name, code, error });
    metrics.count("freshet_images_not_saved_total", 1, { code });
    return { kind: "failed", code, message };
  }
}

function failureCode(error: unknown): "full" | "denied" | "io" {
  switch (errorCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG": // the process may write no larger file
      return "full";
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "ERR_ACCESS_DENIED": // by this thread's permissions
      return "denied";
    case undefined:
    default:
      return "io";
  }
}

async function load(
  { folder, name, imageBytesMax }: { folder: string; name: string; imageBytesMax: number },
  { log, metrics }: Context<ImageStoreProtocol>,
): Promise<Uint8Array[]> {
  const images: Uint8Array[] = [];
  let unreadable: Error | undefined;
  for (const age of ["current", "previous"] as const) {
    try {
      const image = await readImage(imagePath(folder, name, age), imageBytesMax);
      if (image !== undefined) images.push(image);
    } catch (error) {
      unreadable = error instanceof Error ? error : new Error(String(error));
      log.error("an image cannot be read", { image: name, age, error });
      metrics.count("freshet_images_not_read_total", 1, { age });
    }
  }
  if (images.length === 0 && unreadable !== undefined) {
    throw new Refused(`Cannot load image '${name}' from '${folder}': ${unreadable.message}`);
  }
  return images;
}

async function list(folder: string): Promise<StoredImage[]> {
  const names = new Set<string>();
  for (const file of await readdir(folder)) {
    const name = /^image-(.+)\.(?:current|previous)$/.exec(file)?.[1];
    if (name !== undefined && isToken(name)) names.add(name);
  }
  const files: StoredImage[] = [];
  for (const name of [...names].sort()) {
    // A save may be between its two renames: whoever finds no current and then no previous finds a current.
    for (const age of ["current", "previous", "current"] as const) {
      const stats = await stat(imagePath(folder, name, age)).catch((error: unknown) => {
        if (errorCode(error) !== "ENOENT") throw error;
      });
      if (stats === undefined) continue;
      files.push({ name, bytes: stats.size, savedAtMs: stats.mtimeMs });
      break;
    }
  }
  return files;
}
