import { IMAGE_LIMITS, SYNC_LIMITS } from "../protocols/limits.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { copyBytesOf, memoriesOf, warmBytesOf } from "../protocols/table-memories.ts";
import { type LoadedImage, loadImage } from "../protocols/sync/image.ts";
import { createImageLoader } from "../protocols/sync/load-image.ts";
import { createReplica, type Primary, type Replica } from "../protocols/sync/replica.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { LOST_SNAPSHOTS, seenBeforeLoss } from "../protocols/sync/stamper.ts";
import { buildWriterId, type WriterId } from "../protocols/sync/version.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type ActorRef, type Address, type Context } from "../runtime/actor.ts";
import { type FileStoreProtocol, type StoredImage, type StoredSegment } from "../runtime/file-store-protocol.ts";
import { openScratch, type Scratch } from "../runtime/compute/table/scratch.ts";
import { createSpreadRowStore } from "../runtime/compute/table/spread-row-store.ts";
import { rowsOf } from "./shard-digest.ts";
import { type ShardConfig } from "./shard-config.ts";
import { peerText } from "./shard-name.ts";
import { type ShardProtocol } from "./shard-protocol.ts";
import { drawNonce } from "./writer-nonce.ts";

/** For one step of loading an image. */
const STEP_MS_MAX = 60_000;
/** Asks for some blocks each that are on their way at once. */
const READS_AHEAD = 2;

/** The segments that the next increment follows; none where the next one is whole. */
export interface ImageChain {
  last: string | undefined;
  wholeBytes: number;
  incrementBytes: number;
  segments: number;
}

export interface OpenedReplica {
  readonly replica: Replica;
  readonly chain: ImageChain;
  /** Its rows on disk, where it has any. */
  readonly scratch: Scratch | undefined;
}

/** The replica as the newest whole image has it, or empty; always as a new writer. */
export async function openReplica(config: ShardConfig, context: Context<ShardProtocol>): Promise<OpenedReplica> {
  const writer = newWriter(config, context, 0);
  const { jumpMs, urgentHoldMs, orphanMs } = config;
  const layout = modelLayout(config.model);
  const limits = { ...SYNC_LIMITS, jumpMs, urgentHoldMs, orphanMs, copyBytesMax: copyBytesOf(layout) };
  const known = primaryOf(config.primaryAt, context.self);
  // Whether this one is, its role says: another region may train by now.
  const primary = known.kind === "self" ? undefined : known;
  const warm = warmBytesOf(layout);
  let scratch: Scratch | undefined;
  function createStore(): RowStore {
    const stored = { state: config.full, memories: memoriesOf(layout) };
    // What a store before this one had there goes.
    scratch = config.scratch === undefined || warm.every(isUndefined) ? undefined : openScratch(config.scratch);
    return createSpreadRowStore(layout.tables, { ...stored, cold: scratch && { bytes: warm, scratch } });
  }
  const files = context.ref<FileStoreProtocol>(config.files);
  const { images } = await files.ask("load", { name: config.name }, { signal: context.deadline(STEP_MS_MAX) });
  let why = "";
  for (const [age, image] of images.entries()) {
    // One segment less with each try: what was damaged last is left out.
    for (let left = image.kind === "piece" ? 1 : image.segments.length; left > 0;) {
      const store = createStore();
      const outcome = await tryImage(image, { left, store, name: config.name, files, context });
      if (outcome.kind === "loaded") {
        const { loaded } = outcome;
        context.log.info("A shard was restored from its image", { shard: config.name, rows: rowsOf(store) });
        // Full ones may have been primaries, or become them.
        const lostMs = config.full ? LOST_SNAPSHOTS * config.snapshotMs : 0;
        const greatestSeen = seenBeforeLoss(loaded.greatestSeen, { lostMs });
        const isCurrent = age === 0 && left === outcome.segments.length;
        return {
          replica: createReplica({ writer, limits, primary, ...loaded, greatestSeen }),
          chain: isCurrent && image.kind === "segments" && !image.isDamaged ? chainOf(image.segments) : chainOf([]),
          scratch,
        };
      }
      ({ why } = outcome);
      left = outcome.usable;
      context.metrics.count("freshet_images_refused_total");
      context.log.error("An image, or the end of one, cannot be used; trying what is before", {
        shard: config.name,
        why,
      });
    }
  }
  // Starting empty over images that exist would overwrite them: that is for a person to decide.
  if (images.length > 0) throw new ImagesUnusable(config.name, why);
  const store = createStore();
  return { replica: createReplica({ writer, limits, primary, store }), chain: chainOf([]), scratch };
}

interface LoadOptions {
  /** Segments to load. */
  readonly left: number;
  readonly store: RowStore;
  readonly name: string;
  readonly files: ActorRef<FileStoreProtocol>;
  readonly context: Context<ShardProtocol>;
}

type Tried =
  | { readonly kind: "loaded"; readonly loaded: LoadedImage; readonly segments: readonly StoredSegment[] }
  /** So many of its segments may be tried again. */
  | { readonly kind: "unusable"; readonly why: string; readonly usable: number };

async function tryImage(image: StoredImage, options: LoadOptions): Promise<Tried> {
  const { left, store } = options;
  let at = 0;
  try {
    if (image.kind === "piece") return { kind: "loaded", loaded: loadImage(image.bytes, store), segments: [] };
    const loader = createImageLoader(store);
    const rooms: Uint8Array<ArrayBuffer>[] = [];
    for (; at < left; at += 1) {
      const segment = image.segments[at];
      if (segment === undefined) break;
      loader.begin(segment.head);
      for await (const block of blocksOf(segment, rooms, options)) loader.add(block);
    }
    return { kind: "loaded", loaded: loader.finish(), segments: image.segments };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { kind: "unusable", why: error.message, usable: at };
  }
}

/** The blocks of a segment in their order, each until the next; some are read and unpacked while others are loaded. What they were read into is used again, and left in `rooms`. */
async function* blocksOf(
  segment: StoredSegment,
  rooms: Uint8Array<ArrayBuffer>[],
  { name, files, context }: LoadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  function readNext() {
    const from = next;
    let bytes = 0;
    do {
      bytes += segment.blocks[next]?.bytes ?? 0;
      next += 1;
    } while (bytes + (segment.blocks[next]?.bytes ?? Infinity) <= IMAGE_LIMITS.readBytes);
    const room = rooms.pop() ?? new Uint8Array(Math.min(segment.bytes, IMAGE_LIMITS.readBytes));
    const request = { name, segment, from, to: next, room };
    const reading = files.ask("read", request, { signal: context.deadline(STEP_MS_MAX) });
    reading.catch(() => undefined); // told to whoever comes to it
    return { reading, room };
  }
  const ahead: ReturnType<typeof readNext>[] = [];
  let next = 0;
  while (next < segment.blocks.length || ahead.length > 0) {
    while (ahead.length < READS_AHEAD && next < segment.blocks.length) ahead.push(readNext());
    const first = ahead.shift();
    if (first === undefined) break;
    const { blocks, problem } = await first.reading;
    if (problem !== undefined) throw new DecodeError("image", problem);
    yield* blocks;
    rooms.push(first.room);
  }
}

function isUndefined(bytes: number | undefined): boolean {
  return bytes === undefined;
}

function chainOf(segments: readonly StoredSegment[]): ImageChain {
  const [whole, ...increments] = segments;
  return {
    last: segments.at(-1)?.id,
    wholeBytes: whole?.bytes ?? 0,
    incrementBytes: increments.reduce((sum, { bytes }) => sum + bytes, 0),
    segments: segments.length,
  };
}

/** Who writes in an epoch from now on; its name was never used. */
export function newWriter({ region, node }: ShardConfig, context: Context<ShardProtocol>, epoch: number): WriterId {
  return buildWriterId({ epoch, region, node, nonce: drawNonce(context) });
}

/** The replica at this address as the one at `self` knows it. */
export function primaryOf(at: Address, self: Address): Primary {
  return at.region === self.region && at.id === self.id ? { kind: "self" } : { kind: "peer", peer: peerText(at) };
}

/** No image of a shard can be loaded, though there are some. */
class ImagesUnusable extends Error {
  override readonly name = "ImagesUnusable";

  constructor(name: string, why: string) {
    super(
      `Cannot restore shard '${name}': none of its images can be used (${why}). Undo the change to the model's declaration; or give the model a new name, and ` +
        "trainer.warmStart this state folder and the old name, so that it begins with the rows of these images, over any number of shards; or restore a backup, " +
        "where they are damaged; or move the images of the shard out of the state folder's 'shards' to start it empty: it then pulls what its peers hold, and " +
        "where none does, as in a region that trains alone, it learns anew",
    );
  }
}
