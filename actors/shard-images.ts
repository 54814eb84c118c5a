/*
 * A shard's images: written now and then, at most one at a time. What an image holds is of one moment, between two messages; its rows
 * are copied out block by block between later ones. What a trainer is told is durable, is in one that reached the disk.
 */
import { IMAGE_LIMITS } from "../protocols/limits.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { takeImage, type TakenImage } from "../protocols/sync/take-image.ts";
import { type Context, type Outcome } from "../runtime/actor.ts";
import { type FileStoreProtocol, type SaveOutcome } from "../runtime/file-store-protocol.ts";
import { type ImageChain, type OpenedReplica } from "./open-replica.ts";
import { type ShardConfig } from "./shard-config.ts";
import { type ShardProtocol } from "./shard-protocol.ts";

/** For one step of writing an image. */
const STEP_MS_MAX = 60_000;
/** For its turn among the shards of the node to write. */
const TURN_MS_MAX = 600_000;

/** What had to be durable is not. The actor's next life goes on from the last image, of which others may know. */
class ImageNotWritten extends Error {
  override readonly name = "ImageNotWritten";

  constructor(name: string) {
    super(`Cannot go on with shard '${name}': its image must be on disk first, and could not be written`);
  }
}

/** Images of a replica: at most one being written, and the trainers' positions of the last one that reached the disk. */
export interface ShardImages {
  /** Something changed that the last image lacks. */
  note(): void;
  durable(trainer: string): number;
  saveIfChanged(): void;
  /** Whether all is on disk now. */
  saveNow(): Promise<boolean>;
  /** Fulfilled once the replica is on disk as it is now; rejects with `ImageNotWritten`. Take no other message meanwhile. */
  mustSave(): Promise<void>;
  saved(outcome: Outcome<SaveOutcome>): void;
}

/** The images of one shard actor's replica. */
export function createImages(
  config: ShardConfig,
  context: Context<ShardProtocol>,
  { replica, chain }: Pick<OpenedReplica, "replica" | "chain">,
): ShardImages {
  const { name } = config;
  const files = context.ref<FileStoreProtocol>(config.files);
  const labels = { shard: name };
  let durable: ReadonlyMap<string, number> = new Map(replica.applied);
  let changed = false;
  let saving: Promise<SaveOutcome> | undefined;

  function step(): { readonly signal: AbortSignal } {
    return { signal: context.deadline(STEP_MS_MAX) };
  }

  async function save(): Promise<SaveOutcome> {
    const begun = await files.ask("begin", { name }, { signal: context.deadline(TURN_MS_MAX) });
    if (begun.kind === "failed") return begun;
    const { segment } = begun;
    changed = false;
    const image = takeImage(replica, { what: isWholeDue(chain, replica.store) ? "all" : "changed" });
    const after = image.whole ? undefined : chain.last;
    let outcome: SaveOutcome | undefined;
    try {
      outcome =
        (await writeBlocks(image, segment)) ??
        (await files.ask("commit", { name, segment, head: image.head, after }, step()));
      return outcome;
    } finally {
      const isSaved = outcome?.kind === "saved";
      image.close(isSaved ? "kept" : "lost");
      if (outcome?.kind === "saved") noteSegment(image, { segment, bytes: outcome.bytes });
      else {
        changed = true;
        files.tell("abandon", { name, segment });
      }
    }
  }

  /** All blocks of an image, each in a turn of its own; gives what went wrong. */
  async function writeBlocks(image: TakenImage, segment: string): Promise<SaveOutcome | undefined> {
    for (let block = nextBlock(image); block !== undefined; block = nextBlock(image)) {
      const outcome = await files.ask("append", { name, segment, block }, step());
      if (outcome.kind === "failed") return outcome;
    }
    return undefined;
  }

  /** What one block holds the shard up for, is measured. */
  function nextBlock(image: TakenImage): Uint8Array | undefined {
    const beganMs = context.upMs();
    const block = image.next();
    context.metrics.observe("freshet_image_block_seconds", (context.upMs() - beganMs) / 1000, labels);
    return block;
  }

  function noteSegment({ whole, applied }: TakenImage, of: { readonly segment: string; readonly bytes: number }): void {
    durable = applied;
    chain.last = of.segment;
    chain.wholeBytes = whole ? of.bytes : chain.wholeBytes;
    chain.incrementBytes = whole ? 0 : chain.incrementBytes + of.bytes;
    chain.segments = whole ? 1 : chain.segments + 1;
    context.metrics.gauge("freshet_image_bytes", chain.wholeBytes + chain.incrementBytes, labels);
    context.metrics.gauge("freshet_image_segments", chain.segments, labels);
  }

  /** One at a time. */
  function begin(): Promise<SaveOutcome> {
    saving = save().finally(() => {
      saving = undefined;
    });
    return saving;
  }

  function settle(outcome: Outcome<SaveOutcome>): void {
    if (outcome.kind === "done" && outcome.value.kind === "saved") return;
    // The last image stays, nothing is lost but time: trainers are told what is durable, and keep the rest.
    const why =
      outcome.kind === "failed" ? outcome.error.message : outcome.value.kind === "failed" ? outcome.value.message : "";
    changed = true;
    context.metrics.count("freshet_image_failures_total", 1, labels);
    context.log.error("An image could not be written; the last one stays and the next turn tries again", {
      ...labels,
      why,
    });
  }

  async function saveNow(): Promise<boolean> {
    await saving?.catch(() => undefined); // told to whoever began it
    if (!changed) return true;
    try {
      const outcome = await begin();
      settle({ kind: "done", value: outcome });
      return outcome.kind === "saved";
    } catch (error) {
      settle({ kind: "failed", error: error instanceof Error ? error : new Error(String(error)) });
      return false;
    }
  }

  return {
    note: () => {
      changed = true;
    },
    durable: (trainer: string) => durable.get(trainer) ?? 0,
    saveIfChanged: () => {
      if (changed && saving === undefined) context.pipe(begin(), "saved", (outcome) => ({ outcome }));
    },
    saveNow,
    mustSave: async (): Promise<void> => {
      changed = true;
      if (!(await saveNow())) throw new ImageNotWritten(name);
    },
    saved: settle,
  };
}

/** Whether increments have become as many as a whole image is worth, or would now. */
function isWholeDue({ last, wholeBytes, incrementBytes, segments }: ImageChain, store: RowStore): boolean {
  if (last === undefined || segments >= IMAGE_LIMITS.segmentsMax) return true;
  const rows = store.tables.reduce((sum, _, table) => sum + store.rows(table), store.tombstones);
  if (store.changes > rows * IMAGE_LIMITS.incrementShare) return true;
  return incrementBytes > Math.max(IMAGE_LIMITS.incrementBytes, wholeBytes * IMAGE_LIMITS.incrementShare);
}
