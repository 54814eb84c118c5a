/*
 * A shard's images: written now and then, at most one at a time. What an image holds is of one moment, between two messages; its rows
 * are copied out block by block between later ones. What a trainer is told is durable, is in one that reached the disk.
 */
import { IMAGE_LIMITS } from "../protocols/limits.ts";
import { type RowStore } from "../protocols/sync/row-store.ts";
import { takeImage, type TakenImage } from "../protocols/sync/take-image.ts";
import { messageOf } from "../protocols/wire/error-message.ts";
import { type Context, type Outcome } from "../runtime/actor.ts";
import { type FileStoreProtocol, type NotWritten, type SaveOutcome } from "../runtime/file-store-protocol.ts";
import { createImageTrouble } from "./image-trouble.ts";
import { type ImageChain, type OpenedReplica } from "./open-replica.ts";
import { type ShardConfig } from "./shard-config.ts";
import { type ShardProtocol } from "./shard-protocol.ts";

/** For one step of writing an image. */
const STEP_MS_MAX = 60_000;
/** For its turn among the shards of the node to write. */
const TURN_MS_MAX = 600_000;

/** Images of a replica: at most one being written, and the trainers' positions of the last one that reached the disk. */
export interface ShardImages {
  /** Something changed that the last image lacks. */
  note(): void;
  durable(trainer: string): number;
  /** Not while the disk takes none: that is tried again by itself. */
  saveIfChanged(): void;
  /** Whether all is on disk now. */
  saveNow(): Promise<boolean>;
  /** Why the disk took no image, when that was tried last. */
  problem(): NotWritten | undefined;
  /** Whether all that was here is on disk, before something is asked for that must be there at once. Nothing is tried where the disk is known to take none. */
  isReady(): Promise<boolean>;
  /** Fulfilled once the replica is on disk as it is now, or is `isOwed`. Take no other message meanwhile. */
  mustSave(): Promise<void>;
  /** What had to be on disk before others hear of it is not, though the disk was well a moment ago. It ends with the next image that is written. */
  isOwed(): boolean;
  tryAgain(): void;
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
  const trouble = createImageTrouble(name, context);
  let changed = false;
  let owed = false;
  let saving: Promise<SaveOutcome> | undefined;
  let noted: SaveOutcome | undefined;

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

  /** One at a time. Never rejects. */
  function begin(): Promise<SaveOutcome> {
    saving = save()
      .catch((error: unknown): SaveOutcome => {
        return { kind: "failed", code: "io", message: messageOf(error) };
      })
      .finally(() => {
        saving = undefined;
      });
    return saving;
  }

  /** Whoever comes to it first. */
  function note(outcome: SaveOutcome): void {
    if (outcome === noted) return;
    noted = outcome;
    if (outcome.kind === "saved") {
      owed = false;
      trouble.saved();
    } else {
      // The last image stays, nothing is lost but time: trainers are told what is durable, and keep the rest.
      changed = true;
      // Nor is it known what that disk still has, or whether the next one is the same: nothing is added to an image there.
      if (outcome.code === "io") chain.last = undefined;
      trouble.failed(outcome);
    }
  }

  async function saveNow(): Promise<boolean> {
    // Others may wait as well.
    while (saving !== undefined) note(await saving);
    if (!changed) return true;
    const outcome = await begin();
    note(outcome);
    return outcome.kind === "saved";
  }

  function tryAgain(): void {
    if (changed && saving === undefined) context.pipe(begin(), "saved", (outcome) => ({ outcome }));
  }

  return {
    note: () => {
      changed = true;
    },
    durable: (trainer: string) => durable.get(trainer) ?? 0,
    saveIfChanged: () => {
      if (trouble.now() === undefined) tryAgain();
    },
    saveNow,
    problem: () => trouble.now(),
    isReady: async () => trouble.now() === undefined && (await saveNow()),
    async mustSave() {
      changed = true;
      owed = !(await saveNow());
      if (!owed) return;
      context.log.error("A settled time could not be written: other nodes hear nothing of this shard until it is", {
        shard: name,
      });
    },
    isOwed: () => owed,
    tryAgain,
    saved: (outcome) => {
      if (outcome.kind === "done") note(outcome.value);
    },
  };
}

/** Whether increments have become as many as a whole image is worth, or would now. */
function isWholeDue({ last, wholeBytes, incrementBytes, segments }: ImageChain, store: RowStore): boolean {
  if (last === undefined || segments >= IMAGE_LIMITS.segmentsMax) return true;
  const rows = store.tables.reduce((sum, _, table) => sum + store.rows(table), store.tombstones);
  if (store.changes > rows * IMAGE_LIMITS.incrementShare) return true;
  return incrementBytes > Math.max(IMAGE_LIMITS.incrementBytes, wholeBytes * IMAGE_LIMITS.incrementShare);
}
