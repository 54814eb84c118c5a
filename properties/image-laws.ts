/*
 * The law of images: whole segments and the increments after them restore the moment of the last one that was kept, whatever was written while
 * its blocks were read. Apart from its test, so that planted bugs can be tried on it in a thread of their own.
 */
import { inspect, isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { type LoadedImage } from "../protocols/sync/image.ts";
import { createImageLoader } from "../protocols/sync/load-image.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, stepReplica } from "../protocols/sync/replica.ts";
import { type RowEdit, type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { takeImage, type TakenImage } from "../protocols/sync/take-image.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";

export const TABLES: readonly TableSpec[] = [
  { name: "floats", dim: 2, valueBytes: 8, stateBytes: 4, precision: "f32", optimizer: "adagrad" },
  { name: "bytes", dim: 3, valueBytes: 3, stateBytes: 0, precision: "bytes", optimizer: "" },
  { name: "halves", dim: 2, valueBytes: 4, stateBytes: 12, precision: "f16", optimizer: "adagrad" },
  { name: "scaled", dim: 2, valueBytes: 6, stateBytes: 12, precision: "i8", optimizer: "adagrad" },
];
export const FULL = { state: true };

type Step =
  | { readonly kind: "write"; readonly table: number; readonly keys: readonly bigint[] }
  | { readonly kind: "delete" | "drop"; readonly key: bigint }
  | { readonly kind: "take"; readonly what: "all" | "changed" }
  | { readonly kind: "block" }
  | { readonly kind: "close"; readonly outcome: "kept" | "lost" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      table: fc.nat(3),
      keys: fc.array(fc.bigInt(0n, 30n), { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("delete", "drop"), key: fc.bigInt(0n, 30n) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("take" as const), what: fc.constantFrom("all", "changed") }) },
  { weight: 4, arbitrary: fc.constant({ kind: "block" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("close" as const), outcome: fc.constantFrom("kept", "lost") }),
  },
);

/** Throws what is wrong first. */
export function checkMoments(): void {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: "max" }), fc.constantFrom(1, 40, 1e6), (steps, blockBytes) => {
      const replica = createReplica({ writer: parseWriterId("0.a.n.x"), store: createTableRowStore(TABLES, FULL) });
      let id = 0;
      let open: { image: TakenImage; blocks: Uint8Array[]; expected: unknown } | undefined;
      let segments: { readonly head: Uint8Array; readonly blocks: readonly Uint8Array[] }[] = [];
      function close(outcome: "kept" | "lost"): void {
        if (open === undefined) return;
        const { image, blocks, expected } = open;
        open = undefined;
        if (outcome === "kept") {
          for (let block = image.next(); block !== undefined; block = image.next()) blocks.push(block.slice());
          segments = [...(image.whole ? [] : segments), { head: image.head, blocks }];
          for (const create of [createMapRowStore, createTableRowStore]) {
            const loaded = loadSegments(segments, create(TABLES, FULL));
            if (loaded.store.changes !== 0) throw new Error("What was loaded counts as changed");
            const found = contentsOf(loaded);
            if (!isDeepStrictEqual(found, expected)) {
              throw new Error(`Restored ${inspect(found)}, not ${inspect(expected)}`);
            }
          }
        }
        image.close(outcome);
      }
      for (const [at, { kind, ...options }] of steps.entries()) {
        if (kind === "write" && "keys" in options) {
          id += 1;
          const { table, keys } = options;
          const writes = [{ table, keys: BigUint64Array.from(keys), mutate: fillWith(id % 100) }];
          stepReplica(replica, { kind: "write", writes, batch: { trainer: `t${id % 3}`, id } }, 1_760_000_000_000);
        } else if (kind === "delete" && "key" in options) {
          const writes = [{ table: 1, keys: BigUint64Array.of(options.key), mutate: () => "delete" as const }];
          stepReplica(replica, { kind: "write", writes }, 1_760_000_000_000);
        } else if (kind === "drop" && "key" in options) {
          replica.store.dropWhere(({ key }) => key === options.key);
          replica.early.clear();
        } else if (kind === "take" && "what" in options) {
          close("kept");
          const { stamper, store, knowledge, horizon, applied } = replica;
          const expected = contentsOf({ store, knowledge, horizon, applied, greatestSeen: stamper.last });
          const what = segments.length === 0 ? "all" : options.what;
          open = { image: takeImage(replica, { what, blockBytes }), blocks: [], expected };
        } else if (kind === "block") {
          const block = open?.image.next();
          if (block !== undefined) open?.blocks.push(block.slice());
        } else if (kind === "close" && "outcome" in options) close(options.outcome);
        if (at === steps.length - 1) close("kept");
      }
    }),
    { numRuns: 200 },
  );
}

/** Writes a number into a row. */
export function fillWith(number: number): (row: RowEdit) => void {
  return ({ bytes, state }) => void [bytes.fill(number), state.fill(number)];
}

/** What the segments of an image restore. */
export function loadSegments(
  segments: readonly { readonly head: Uint8Array; readonly blocks: readonly Uint8Array[] }[],
  store: RowStore,
): LoadedImage {
  const loader = createImageLoader(store);
  for (const { head, blocks } of segments) {
    loader.begin(head);
    // As they come from the disk: two in one, a part of something larger, at any byte.
    for (let at = 0; at < blocks.length; at += 2) {
      loader.add(Buffer.concat([Uint8Array.of(0), ...blocks.slice(at, at + 2)]).subarray(1));
    }
  }
  return loader.finish();
}

/** All that an image restores, in an order of its own. */
function contentsOf({ store, knowledge, horizon, applied, greatestSeen }: LoadedImage): unknown {
  const list = store.collect(new Float64Array());
  const rows = store
    .pack(list, { from: 0, to: list.slots.length })
    .flatMap(({ table, keys, state = new Uint8Array() }) => {
      const width = state.length / keys.length;
      return Array.from(keys, (key, at) => `${table} ${key} ${state.subarray(at * width, (at + 1) * width).join()}`);
    });
  store.release(list);
  const digest = store.digest();
  return structuredClone({ digest, rows: rows.sort(), knowledge, horizon, applied, greatestSeen });
}
