import { IMAGE_LIMITS } from "../limits.ts";
import { ByteWriter } from "../wire/bytes.ts";
import { writeDropped, writeRows } from "./image-block.ts";
import { encodeHead } from "./image-head.ts";
import { type Replica } from "./replica-state.ts";
import { type TableKeys } from "./row-store.ts";

/** The replica as it was when the image was begun, read block by block while it goes on. */
export interface TakenImage {
  /** All rows, not only those that changed since the last image that was kept. */
  readonly whole: boolean;
  readonly head: Uint8Array<ArrayBuffer>;
  /** Trainer -> highest batch applied, as the head says. */
  readonly applied: ReadonlyMap<string, number>;
  /** The next block, or some that are small, good until the next call; undefined when all were given. */
  next(): Uint8Array | undefined;
  /** Ends it: as if it had never been begun, where the image was `lost`. */
  close(outcome: "kept" | "lost"): void;
}

/**
 * Begins an image of a replica: rows, knowledge, horizon and positions are all of this moment, between two events. One at a time.
 * `blockBytes` is about how much is copied for one block.
 */
export function takeImage(
  replica: Replica,
  options: { readonly what: "all" | "changed"; readonly blockBytes?: number },
): TakenImage {
  const { what, blockBytes = IMAGE_LIMITS.blockBytes } = options;
  const { store, knowledge, horizon, stamper } = replica;
  const applied = new Map(replica.applied);
  const rows = store.freeze(what);
  const head = encodeHead({
    whole: rows.whole,
    hasState: store.hasState,
    declared: store.declared,
    rows: store.declared.map((_, table) => store.rows(table)),
    greatestSeen: Math.max(stamper.last, stamper.greatestSeen),
    horizon,
    knowledge,
    applied,
    writers: store.writers,
  });
  const dropped = rows.dropped.flatMap((keys) => cut(keys, Math.max(1, Math.floor(blockBytes / 8)))).reverse();
  const room = new ByteWriter(2 * blockBytes);
  return {
    whole: rows.whole,
    head,
    applied,
    next: () => {
      room.clear();
      // Of a table with few rows a block is small.
      while (room.length < blockBytes / 2) {
        const keys = dropped.pop();
        if (keys !== undefined) writeDropped(room, keys);
        else {
          const batch = rows.next(blockBytes);
          if (batch === undefined) break;
          writeRows(room, batch);
        }
      }
      return room.length === 0 ? undefined : room.view();
    },
    close: (outcome) => rows.close(outcome),
  };
}

function cut({ table, keys }: TableKeys, keysMax: number): TableKeys[] {
  const count = Math.ceil(keys.length / keysMax);
  return Array.from({ length: count }, (_, at) => ({ table, keys: keys.slice(at * keysMax, (at + 1) * keysMax) }));
}
