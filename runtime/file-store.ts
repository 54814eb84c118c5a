/*
 * Keeps images of a folder for behaviours that may touch no files (`FileStoreProtocol`). image-files.ts says how they lie there.
 *
 * What holds, of each name:
 * 1. One segment at a time is being written; a new one, or whoever loads, ends it for good. So of two lives of a behaviour only the last writes.
 * 2. An increment is committed only behind the segment that it follows.
 */
import { isToken } from "../protocols/subjects.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type NamedSegment } from "../protocols/wire/manifest.ts";
import { messageOf } from "../protocols/wire/error-message.ts";
import { type Context, defineActor, type Later, Refused } from "./actor.ts";
import { nodeDisk } from "./disk.ts";
import { errorCode } from "./error-code.ts";
import { type FileStoreProtocol, type NotWritten, type SaveOutcome, type StoredImage } from "./file-store-protocol.ts";
import { commitSegment } from "./commit-image.ts";
import { type ImagePlace, prepareImageFolder, segmentPath } from "./image-files.ts";
import { loadImages } from "./image-loading.ts";
import { readBlocks, SegmentWriter } from "./segment-files.ts";

export interface FileStoreConfig {
  /** Made where it is missing, open to its owner only. One store at a time may use it. */
  readonly folder: string;
}

/** Names that wait for their turn to write. */
const WAITING_MAX = 1024;
/** Segments that are written at one time: what waits for the disk is kept in memory. Node has four threads for files. */
const WRITING_MAX = 4;

/** What is known of one name. */
interface Kept {
  readonly place: ImagePlace;
  /** The image as it was loaded or committed last; empty where there is none, or none that an increment may follow. */
  segments: readonly NamedSegment[];
  /** The segment that is begun, or waits to be. */
  writing: Writing | undefined;
  /** Nobody may take the segment away any more. */
  committing: Promise<unknown> | undefined;
  /** The last that was ended, or is about to be. */
  ending: Promise<void> | undefined;
}

interface Writing {
  writer: SegmentWriter | undefined;
  hasPlace: boolean;
  isOver: boolean;
}

export const fileStore = defineActor<FileStoreProtocol, FileStoreConfig>({
  kind: "files",
  messages: ["begin", "append", "commit", "abandon", "load", "read"],
  async setup({ folder }, context) {
    await prepareImageFolder(nodeDisk, folder);
    const names = new Map<string, Kept>();
    const waiting: (() => void)[] = [];
    const work = new Set<Promise<unknown>>();
    let writing = 0;

    function keptOf(name: string): Kept {
      if (!isToken(name)) throw new Refused(`Cannot use ${JSON.stringify(name.slice(0, 80))} as a name: no token`);
      const known = names.get(name);
      if (known !== undefined) return known;
      const kept: Kept = {
        place: { disk: nodeDisk, folder, name },
        segments: [],
        writing: undefined,
        committing: undefined,
        ending: undefined,
      };
      names.set(name, kept);
      return kept;
    }

    function writerOf(name: string, segment: string): { kept: Kept; writer: SegmentWriter } {
      const kept = keptOf(name);
      const writer = kept.writing?.writer;
      if (writer?.id !== segment) throw new Refused(`Cannot write image '${name}': segment ${segment} is not begun`);
      return { kept, writer };
    }

    function later<Reply>(promise: Promise<Reply>): Later<Reply> {
      const answer = context.later<Reply>();
      track(
        promise.then(answer.resolve, (error: unknown) =>
          answer.reject(error instanceof Error ? error : new Error(String(error))),
        ),
      );
      return answer.reply;
    }

    function track(promise: Promise<void>): void {
      const mine: Promise<void> = promise.finally(() => work.delete(mine));
      work.add(mine);
    }

    function giveUpPlace(): void {
      const next = waiting.shift();
      if (next === undefined) writing -= 1;
      else next(); // which takes over this one's place
    }

    /** Ends what a name has begun, or only this, once it is not being committed. */
    function end(kept: Kept, only?: Writing): Promise<void> {
      kept.ending = endAfter(kept, { before: kept.ending, only });
      return kept.ending;
    }

    async function endAfter(
      kept: Kept,
      { before, only }: { readonly before: Promise<void> | undefined; readonly only: Writing | undefined },
    ): Promise<void> {
      await before;
      await kept.committing;
      const old = kept.writing;
      if (old === undefined || (only !== undefined && old !== only)) return;
      kept.writing = undefined;
      old.isOver = true;
      await old.writer?.[Symbol.asyncDispose]();
      if (old.hasPlace) giveUpPlace();
    }

    async function begin(kept: Kept): Promise<{ kind: "begun"; segment: string } | NotWritten> {
      await end(kept);
      const mine: Writing = { writer: undefined, hasPlace: false, isOver: false };
      kept.writing = mine;
      if (writing < WRITING_MAX) writing += 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      if (mine.isOver) {
        giveUpPlace();
        throw new Refused(`Cannot write image '${kept.place.name}': another was begun meanwhile`);
      }
      mine.hasPlace = true;
      try {
        const writer = await SegmentWriter.open(kept.place);
        mine.writer = writer;
        if (!mine.isOver) return { kind: "begun", segment: writer.id };
        await writer[Symbol.asyncDispose]();
      } catch (error) {
        await end(kept, mine);
        return failed(kept, error);
      }
      throw new Refused(`Cannot write image '${kept.place.name}': another was begun meanwhile`);
    }

    async function append(kept: Kept, step: { writer: SegmentWriter; block: Uint8Array }) {
      try {
        await step.writer.append(step.block);
        return { kind: "taken" as const };
      } catch (error) {
        return failed(kept, error);
      }
    }

    async function commit(
      kept: Kept,
      step: { writer: SegmentWriter; head: Uint8Array; after: string | undefined },
    ): Promise<SaveOutcome> {
      const { writer, head, after } = step;
      const before = after === undefined ? [] : kept.segments;
      if (after !== undefined && before.at(-1)?.id !== after) {
        throw new Refused(`Cannot write image '${kept.place.name}': its last segment is not ${after}`);
      }
      try {
        kept.segments = await commitSegment(kept.place, { writer, head, before });
        const bytes = kept.segments.at(-1)?.bytes ?? 0;
        context.metrics.count("freshet_images_saved_total", 1, {
          segment: after === undefined ? "whole" : "increment",
        });
        context.metrics.count("freshet_images_saved_bytes_total", bytes);
        return { kind: "saved", bytes };
      } catch (error) {
        return failed(kept, error);
      }
    }

    function failed(kept: Kept, error: unknown): NotWritten {
      const code = failureCode(error);
      const why = messageOf(error);
      context.metrics.count("freshet_images_not_saved_total", 1, { code });
      return { kind: "failed", code, message: `Cannot save image '${kept.place.name}' in '${folder}': ${why}` };
    }

    return {
      handlers: {
        begin({ name }) {
          if (waiting.length >= WAITING_MAX) throw new Refused(`Cannot take more work: ${waiting.length} images wait`);
          return later(begin(keptOf(name)));
        },
        append({ name, segment, block }) {
          const { kept, writer } = writerOf(name, segment);
          return later(append(kept, { writer, block }));
        },
        commit({ name, segment, head, after }) {
          const { kept, writer } = writerOf(name, segment);
          if (kept.committing !== undefined) throw new Refused(`Cannot write image '${name}': it is being committed`);
          const mine = kept.writing;
          const committed = commit(kept, { writer, head, after });
          kept.committing = settled(committed).then(() => (kept.committing = undefined));
          return later(
            settled(committed)
              .then(() => end(kept, mine))
              .then(() => committed),
          );
        },
        abandon({ name, segment }) {
          const kept = keptOf(name);
          if (kept.writing?.writer?.id === segment) track(end(kept));
        },
        load({ name }) {
          const kept = keptOf(name);
          return later(end(kept).then(() => load(kept, context)));
        },
        read: ({ name, ...request }) => later(read(keptOf(name).place, request, context)),
      },
      async stop() {
        await Promise.all(work);
        for (const kept of names.values()) await end(kept);
      },
    };
  },
});

/** Fulfilled when it is over, however. */
async function settled(work: Promise<unknown>): Promise<void> {
  await Promise.allSettled([work]);
}

/** Takes up what is there. */
async function load(
  kept: Kept,
  { log, metrics }: Context<FileStoreProtocol>,
): Promise<{ images: readonly StoredImage[] }> {
  const { images, segments, problems } = await loadImages(kept.place);
  kept.segments = segments;
  for (const { age, error } of problems) {
    log.error("an image cannot be read", { image: kept.place.name, age, error });
    metrics.count("freshet_images_not_read_total", 1, { age });
  }
  const [problem] = problems;
  if (images.length === 0 && problem !== undefined) {
    throw new Refused(`Cannot load image '${kept.place.name}' from '${kept.place.folder}': ${problem.error.message}`);
  }
  return { images };
}

async function read(
  place: ImagePlace,
  { segment, from, to, room }: Omit<FileStoreProtocol["read"]["request"], "name">,
  { log, metrics }: Context<FileStoreProtocol>,
): Promise<{ blocks: readonly Uint8Array[]; problem: string | undefined }> {
  try {
    await using file = await place.disk.open(segmentPath(place, segment.id));
    const range = { blocks: segment.blocks, from, to, ...(room && { room }) };
    return { blocks: await readBlocks(file, range), problem: undefined };
  } catch (error) {
    log.error("a part of an image cannot be read", { image: place.name, segment: segment.id, from, to, error });
    metrics.count("freshet_images_not_read_total", 1, { age: error instanceof DecodeError ? "damaged" : "unreadable" });
    return { blocks: [], problem: messageOf(error) };
  }
}

function failureCode(error: unknown): NotWritten["code"] {
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
