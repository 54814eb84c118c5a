import { nextFloat } from "../../protocols/random.ts";
import { POLL_LIMITS, type PollLimits, SYNC_LIMITS, type SyncLimits } from "../../protocols/limits.ts";
import { type LoadedImage, loadImage } from "../../protocols/sync/image.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createPoller, type Poller } from "../../protocols/sync/poll.ts";
import { createReplica, type Replica } from "../../protocols/sync/replica.ts";
import { type RowStore } from "../../protocols/sync/row-store.ts";
import { type WriterId } from "../../protocols/sync/version.ts";
import { SimulatedScratch } from "../simulated-scratch.ts";
import { createTableRowStore } from "../../runtime/compute/table/table-row-store.ts";
import { drawPullId } from "../../protocols/wire/pull.ts";
import { DecodeError } from "../../protocols/wire/decode-error.ts";
import { type SavedImage } from "./disk.ts";
import { type Knobs } from "./knobs.ts";
import { type Surroundings } from "./surroundings.ts";
import { EVICT_SLACK } from "./evictions.ts";
import { tablesOf } from "./tables.ts";
import { WatchedStore } from "./watched-store.ts";

/** A replica as a node of this index starts it from an image of its disk. */
export function startShard(
  world: Surroundings,
  start: {
    readonly index: number;
    readonly writer: WriterId;
    readonly image: SavedImage | undefined;
    readonly where: string;
  },
): Replica {
  const { index, writer } = start;
  // All write, and one of them is whom the others tell of rows left early.
  const primary = world.promotions.primaryAt(index);
  const { knobs } = world;
  const state = !(knobs.serving && index === knobs.nodes - 1);
  const loaded = load(world, { ...start, state });
  const greatestSeen = Math.max(
    "greatestSeen" in loaded ? loaded.greatestSeen : 0,
    world.promotions.greatestStamped(index),
  );
  return createReplica({ writer, limits: limitsOf(knobs), primary, ...loaded, greatestSeen });
}

function limitsOf(knobs: Knobs): SyncLimits {
  return {
    ...SYNC_LIMITS,
    frameBytes: knobs.frameBytes,
    answersMax: knobs.answersMax,
    answerIdleMs: knobs.answerIdleMs,
    heldMax: knobs.answersMax,
    retryMs: knobs.retryMs,
    retriesMax: knobs.retriesMax,
    cacheRowsMax: knobs.cacheRowsMax,
    cacheAgeMs: knobs.cacheAgeMs,
    cacheAgeMsMin: 50,
    cacheAgeMsMax: 10_000,
    urgentRowsMax: knobs.urgentRowsMax,
    urgentHoldMs: knobs.urgentHoldMs,
    orphanMs: knobs.orphanMs,
    windowFrames: 2,
    entriesKept: knobs.entriesKept,
    evictRowsMax: knobs.evictRowsMax,
    evictShare: 0,
    evictSlack: EVICT_SLACK,
  };
}

/** The poller of a node of this index. */
export function startPoller(
  world: Surroundings,
  { index, writer }: { readonly index: number; readonly writer: WriterId },
): Poller {
  function draw(): string {
    return drawPullId(() => nextFloat(world.random));
  }
  return createPoller(writer, draw, pollLimitsOf(world.knobs), world.leases.leaderOf(index));
}

/** The bounds of a node's poller. Frames here are small: what is long elsewhere would never be. */
function pollLimitsOf({
  patienceMs,
  frameBytes,
  calm,
  standMs,
  standPatienceMs,
  framesMin,
  changesMax,
}: Knobs): PollLimits {
  return {
    ...POLL_LIMITS,
    changesMax,
    patienceMs,
    farPollMs: 300,
    pullMs: 20_000,
    frameBytes,
    framesAtFirst: framesMin,
    framesMin,
    standMs,
    standPatienceMs,
    openingBytes: 40,
    unknownBytes: 40,
    openingFramesMax: 2,
    shortFramesMax: 1,
    pullsMax: 2,
    // Who is put off opens twice.
    longMax: calm ? 8 : 1,
  };
}

/** Contents of a row take so many bytes at most; their log has regions of four rows, and is written two at a time. */
const ROW_BYTES = 16;
const CUT = { regionBytes: 4 * (8 + ROW_BYTES), bufferBytes: 2 * (8 + ROW_BYTES) };

/** What an image of the disk holds; nothing when it is damaged, which S13 says must be noticed. */
function load(
  world: Surroundings,
  { image, state, where }: { readonly image: SavedImage | undefined; readonly state: boolean; readonly where: string },
): LoadedImage | { readonly store: RowStore } {
  const tables = tablesOf(world.knobs);
  const { compiled, warmRows } = world.knobs;
  if (compiled) world.count("start with compiled tables");
  if (compiled && warmRows > 0) world.count("start with rows on disk");
  function create(): WatchedStore {
    if (!compiled) return new WatchedStore(createMapRowStore(tables, { state }));
    const bytes = warmRows * ROW_BYTES;
    const cold = { ...CUT, bytes: [bytes], scratch: new SimulatedScratch() };
    return new WatchedStore(createTableRowStore(tables, { state, ...(warmRows > 0 && { cold }) }));
  }
  const store = create();
  if (image === undefined) return { store };
  try {
    const loaded = loadImage(image.bytes, store);
    if (image.damaged) world.judge.breach("S13", `${where} loaded a damaged image`);
    return loaded;
  } catch (error) {
    if (!image.damaged || !(error instanceof DecodeError)) throw error;
    world.count("restart with a damaged image");
    return { store: create() };
  }
}
