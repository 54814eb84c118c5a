/*
 * A shard's images: opened at its start, written now and then, at most one at a time. What an image holds is of one moment
 * (protocols/sync/image.ts); what a trainer is told is durable, is in one that reached the disk.
 */
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { encodeImage, loadImage } from "../protocols/sync/image.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";
import { createReplica, type Primary, type Replica } from "../protocols/sync/replica.ts";
import { seenBeforeLoss } from "../protocols/sync/stamper.ts";
import { buildWriterId } from "../protocols/sync/version.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type Address, type Context, type Outcome } from "../runtime/actor.ts";
import { type FileStoreProtocol, type SaveOutcome } from "../runtime/file-store-protocol.ts";
import { type ShardConfig } from "./shard.ts";
import { peerText } from "./shard-name.ts";
import { type ShardProtocol } from "./shard-protocol.ts";
import { drawNonce } from "./writer-nonce.ts";

const SAVE_MS_MAX = 60_000;

/** The replica as the newest whole image has it, or empty; always as a new writer. */
export async function openReplica(config: ShardConfig, context: Context<ShardProtocol>): Promise<Replica> {
  const writer = buildWriterId({ epoch: 0, region: config.region, node: config.node, nonce: drawNonce(context) });
  const { jumpMs, urgentHoldMs, orphanMs } = config;
  const limits = { ...SYNC_LIMITS, jumpMs, urgentHoldMs, orphanMs };
  const known = primaryOf(config.primaryAt, context.self);
  // Whether this one is, its role says: another region may train by now.
  const primary = known.kind === "self" ? undefined : known;
  const layout = modelLayout(config.model);
  const files = context.ref<FileStoreProtocol>(config.files);
  const { images } = await files.ask("load", { name: config.name }, { signal: context.deadline(SAVE_MS_MAX) });
  let why = "";
  for (const image of images) {
    const store = createTableRowStore(layout.tables, { state: config.full });
    try {
      const loaded = loadImage(image, store);
      context.log.info("A shard was restored from its image", {
        shard: config.name,
        rows: store.rows(1),
        bytes: image.length,
      });
      // Full ones may have been primaries, or become them. The last turn to write may have come to nothing, so what is lost may be of two.
      const lostMs = config.full ? 2 * config.snapshotMs : 0;
      const greatestSeen = seenBeforeLoss(loaded.greatestSeen, { lostMs });
      return createReplica({ writer, limits, primary, ...loaded, greatestSeen });
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      why = error.message;
      context.metrics.count("freshet_images_refused_total");
      context.log.error("An image cannot be used; trying the one before", { shard: config.name, why });
    }
  }
  // Starting empty over images that exist would overwrite them: that is for a person to decide.
  if (images.length > 0) throw new ImagesUnusable(config.name, why);
  return createReplica({ writer, limits, primary, store: createTableRowStore(layout.tables, { state: config.full }) });
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
      `Cannot restore shard '${name}': none of its images can be used (${why}). Undo the change to the model's declaration, or move the images of the ` +
        "shard out of the state folder's 'shards' to start it empty: it then pulls what its peers hold",
    );
  }
}

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
  /** Fulfilled with the bytes on disk; 0 when there was nothing to write, or it failed. */
  saveNow(): Promise<number>;
  /** Fulfilled once the replica is on disk as it is now; rejects with `ImageNotWritten`. Take no other message meanwhile. */
  mustSave(): Promise<void>;
  saved(outcome: Outcome<SaveOutcome>): void;
}

/** The images of one shard actor's replica. */
export function createImages(config: ShardConfig, context: Context<ShardProtocol>, replica: Replica): ShardImages {
  const files = context.ref<FileStoreProtocol>(config.files);
  let durable: ReadonlyMap<string, number> = new Map(replica.applied);
  let changed = false;
  let saving: ReadonlyMap<string, number> | undefined;

  function begin(): Promise<SaveOutcome> {
    changed = false;
    saving = new Map(replica.applied);
    const bytes = encodeImage(replica);
    context.metrics.gauge("freshet_image_bytes", bytes.length, { shard: config.name });
    return files.ask(
      "save",
      { name: config.name, bytes },
      { signal: context.deadline(SAVE_MS_MAX), transfer: [bytes.buffer] },
    );
  }

  function settle(outcome: Outcome<SaveOutcome>): number {
    const positions = saving;
    saving = undefined;
    if (outcome.kind === "done" && outcome.value.kind === "saved") {
      if (positions !== undefined) durable = positions;
      return outcome.value.bytes;
    }
    // The last image stays, nothing is lost but time: trainers are told what is durable, and keep the rest.
    changed = true;
    const why =
      outcome.kind === "failed" ? outcome.error.message : outcome.value.kind === "failed" ? outcome.value.message : "";
    context.metrics.count("freshet_image_failures_total", 1, { shard: config.name });
    context.log.error("An image could not be written; the last one stays and the next turn tries again", {
      shard: config.name,
      why,
    });
    return 0;
  }

  async function saveNow(): Promise<number> {
    if (!changed) return 0;
    try {
      return settle({ kind: "done", value: await begin() });
    } catch (error) {
      return settle({ kind: "failed", error: error instanceof Error ? error : new Error(String(error)) });
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
      if ((await saveNow()) === 0) throw new ImageNotWritten(config.name);
    },
    saved: (outcome: Outcome<SaveOutcome>) => {
      settle(outcome);
    },
  };
}
