import { decodeBlocks, type ImageBlock } from "../../protocols/sync/image-block.ts";
import { decodeHead, type ImageHead } from "../../protocols/sync/image-head.ts";
import { createImageLoader } from "../../protocols/sync/load-image.ts";
import { type RowStore, type TableSpec } from "../../protocols/sync/row-store.ts";
import { memoriesForRows } from "../../protocols/table-memories.ts";
import { DecodeError } from "../../protocols/wire/decode-error.ts";
import { createSpreadRowStore } from "../../runtime/compute/table/spread-row-store.ts";
import { type StoredImage, type StoredSegment } from "../../runtime/file-store-protocol.ts";
import { type ImagePlace, segmentPath } from "../../runtime/image-files.ts";
import { loadImages } from "../../runtime/image-loading.ts";
import { readBlocks } from "../../runtime/segment-files.ts";

/** A node that writes may take a segment away between a look at the manifest and one at the segment; then there is a newer manifest. */
const TRIES = 5;
const BLOCKS_AT_ONCE = 4;

/** What is stored of one shard, newest first, and what of it cannot be used. */
export async function readImages(place: ImagePlace): Promise<Awaited<ReturnType<typeof loadImages>>> {
  for (let left = TRIES; ; left -= 1) {
    const loaded = await loadImages(place);
    if (left === 1 || loaded.problems.length === 0) return loaded;
  }
}

/** The segments of the newest image; none where it is in one piece, as old versions wrote it. */
export function newestSegments(images: readonly StoredImage[]): readonly StoredSegment[] {
  const [image] = images;
  return image?.kind === "segments" ? image.segments : [];
}

/** The tables as an image holds them. */
function heldTables({ declared, hasState }: ImageHead): TableSpec[] {
  return declared.map((table) => (hasState ? table : { ...table, stateBytes: 0 }));
}

/** Each block of a segment in its order, checked and decoded. Throws `DecodeError`. */
export async function* blocksOf(
  place: ImagePlace,
  segment: StoredSegment,
): AsyncGenerator<{ readonly head: ImageHead; readonly bytes: Uint8Array; readonly blocks: readonly ImageBlock[] }> {
  const head = decodeHead(segment.head);
  const options = { tables: heldTables(head), hasState: head.hasState, writers: head.writers.length };
  await using file = await place.disk.open(segmentPath(place, segment.id));
  for (let from = 0; from < segment.blocks.length; from += BLOCKS_AT_ONCE) {
    const to = Math.min(from + BLOCKS_AT_ONCE, segment.blocks.length);
    for (const bytes of await readBlocks(file, { blocks: segment.blocks, from, to })) {
      yield { head, bytes, blocks: [...decodeBlocks(bytes, options)] };
    }
  }
}

/** An image that cannot be put together. */
class ImageUnreadable extends Error {
  override readonly name = "ImageUnreadable";
}

/** What a model's tables are keyed by, as its image says beside the first of them (protocols/model-layout.ts). Index 0 is the second table. */
export function keysOf(declared: readonly TableSpec[]): readonly string[] {
  const meaning: unknown = JSON.parse(declared[0]?.optimizer ?? "{}");
  const keys = typeof meaning === "object" && meaning !== null && "keys" in meaning ? meaning.keys : undefined;
  return Array.isArray(keys) ? keys.map(String) : [];
}

/** All rows of a shard's newest image. `progress` is told of each segment. Throws `ImageUnreadable` where it is damaged, with the shard's name. */
export async function loadStore(
  place: ImagePlace,
  { signal, progress }: { readonly signal?: AbortSignal; readonly progress?: (line: string) => void } = {},
): Promise<RowStore> {
  const { images, problems } = await readImages(place);
  const segments = newestSegments(images);
  const [first] = segments;
  const [problem] = problems;
  if (problem !== undefined || first === undefined) {
    const why = problem?.error.message ?? "it is in one piece, from an older version: start the node once to renew it";
    throw new ImageUnreadable(`Cannot read the image of shard '${place.name}': ${why}`);
  }
  const head = decodeHead(first.head);
  // Increments may have brought more rows than the whole image before them.
  const heads = segments.map((segment) => decodeHead(segment.head));
  const rows = head.declared.map((_, table) => Math.max(...heads.map((each) => each.rows[table] ?? 0)));
  const memories = memoriesForRows(heldTables(head), rows);
  const store = createSpreadRowStore(head.declared, { state: head.hasState, memories });
  const loader = createImageLoader(store);
  for (const [at, segment] of segments.entries()) {
    try {
      loader.begin(segment.head);
      for await (const { bytes } of blocksOf(place, segment)) {
        signal?.throwIfAborted();
        loader.add(bytes);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      const which = `segment ${at + 1} of ${segments.length}`;
      throw new ImageUnreadable(`Cannot read the image of shard '${place.name}': ${which}: ${error.message}`);
    }
    progress?.(`${place.name}: ${at + 1} of ${segments.length} segments read`);
  }
  loader.finish();
  return store;
}
