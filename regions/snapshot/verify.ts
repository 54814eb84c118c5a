import { DecodeError } from "../../protocols/wire/decode-error.ts";
import { type ImagePlace } from "../../runtime/image-files.ts";
import { chosenPlaces } from "./image-names.ts";
import { blocksOf, newestSegments, readImages } from "./read-image.ts";

/** What was found in one shard's newest image. */
export interface Verdict {
  readonly shard: string;
  readonly segments: number;
  readonly blocks: number;
  readonly bytes: number;
  /** Rows as stored: one in the whole segment and again in an increment counts twice. */
  readonly rows: number;
  readonly problems: readonly string[];
}

export interface VerifyOptions {
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

/** Reads every byte of the newest images and checks it, shard by shard. */
export async function* verifyImages(
  state: string,
  options: VerifyOptions & { readonly shard: string | undefined },
): AsyncGenerator<Verdict> {
  for (const place of await chosenPlaces(state, options.shard)) yield await verifyImage(place, options);
}

/** The same of one. Rejects with the signal's reason. */
export async function verifyImage(place: ImagePlace, { signal, progress }: VerifyOptions): Promise<Verdict> {
  const { images, problems } = await readImages(place);
  const found = problems.map(({ age, error }) => `${age}: ${error.message}`);
  const segments = newestSegments(images);
  let [blocks, bytes, rows] = [0, 0, 0];
  const total = segments.reduce((sum, segment) => sum + segment.blocks.length, 0);
  if (images[0]?.kind === "piece") {
    found.push("it is in one piece, from an older version: start the node once to renew it");
  }
  for (const [at, segment] of segments.entries()) {
    try {
      for await (const stored of blocksOf(place, segment)) {
        signal.throwIfAborted();
        blocks += 1;
        bytes += stored.bytes.length;
        rows += stored.blocks.reduce((sum, block) => sum + (block.kind === "rows" ? block.rows.keys.length : 0), 0);
        if (blocks % 256 === 0) progress(`${place.name}: ${blocks} of ${total} blocks`);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      found.push(`segment ${at + 1} (${segment.id}): ${error.message}`);
      break;
    }
  }
  return { shard: place.name, segments: segments.length, blocks, bytes, rows, problems: found };
}
