import { DecodeError } from "../wire/decode-error.ts";
import { declaredDifference } from "./declared-difference.ts";
import { declarationDigest } from "./declaration.ts";
import { type LoadedImage } from "./image.ts";
import { decodeBlocks } from "./image-block.ts";
import { decodeHead, type ImageHead } from "./image-head.ts";
import { type Knowledge } from "./knowledge.ts";
import { type RowStore } from "./row-store.ts";

/** Fills an empty store from the segments of an image, in their order. Whatever throws `DecodeError` leaves a store of no use. */
export interface ImageLoader {
  /** The next segment has this head. */
  begin(head: Uint8Array): void;
  /** The next stored block of it, of which nothing is kept. */
  add(block: Uint8Array): void;
  /** All is there. What was loaded does not count as changed. */
  finish(): LoadedImage;
}

export function createImageLoader(store: RowStore): ImageLoader {
  let head: (ImageHead & { readonly knowledge: Knowledge }) | undefined;
  /** By index of the head's dictionary: the store's, once a row has it. Writers of whom no row is left are not kept. */
  let indexes: number[] = [];

  function indexOf(index: number): number {
    const id = head?.writers[index];
    return (indexes[index] ??= id === undefined ? 0 : store.writerIndex(id));
  }

  function indexesOf(writers: Uint16Array): Uint16Array {
    const mine = new Uint16Array(writers.length);
    for (let row = 0; row < mine.length; row += 1) {
      const writer = writers[row] ?? 0;
      mine[row] = indexes[writer] ?? indexOf(writer);
    }
    return mine;
  }

  return {
    begin: (bytes) => {
      const next = decodeHead(bytes);
      checkFit(next, store);
      if (next.whole !== (head === undefined)) {
        throw new DecodeError(
          "image",
          next.whole ? "a whole segment follows another" : "its first segment is not whole",
        );
      }
      head = next;
      indexes = [];
    },
    add: (bytes) => {
      if (head === undefined) throw new RangeError("Cannot load a block: no segment was begun");
      const { hasState, writers, rows } = head;
      for (const block of decodeBlocks(bytes, { tables: store.tables, hasState, writers: writers.length })) {
        if (block.kind === "dropped") store.dropKeys(block.dropped);
        else {
          const { table } = block.rows;
          store.load({ ...block.rows, writers: indexesOf(block.rows.writers) }, { rows: rows[table] ?? 0 });
        }
      }
    },
    finish: () => {
      if (head === undefined) throw new DecodeError("image", "it has no segment");
      store.freeze("changed").close("kept"); // keys that were dropped do not count either
      const { knowledge, horizon, greatestSeen, applied } = head;
      return { store, knowledge, horizon, greatestSeen, applied };
    },
  };
}

function checkFit({ hasState, declared }: ImageHead, store: RowStore): void {
  if (hasState !== store.hasState) {
    throw new DecodeError(
      "image",
      hasState ? "it is a full replica's and this one is serving" : "it is a serving replica's and this one is full",
    );
  }
  if (declarationDigest(declared) === declarationDigest(store.declared)) return;
  throw new DecodeError(
    "image",
    `its tables are declared otherwise than these: ${declaredDifference(declared, store.declared)}`,
  );
}
