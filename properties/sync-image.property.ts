/*
 * The image on disk (S12, S13): what was saved comes back, and what is damaged or of another declaration does not.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeImage, type LoadedImage, loadImage } from "../protocols/sync/image.ts";
import { createImageLoader } from "../protocols/sync/load-image.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, stepReplica } from "../protocols/sync/replica.ts";
import { type RowBatch, type RowEdit, type RowStore, type TableSpec } from "../protocols/sync/row-store.ts";
import { takeImage, type TakenImage } from "../protocols/sync/take-image.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";

const TABLES: readonly TableSpec[] = [
  { name: "floats", dim: 2, valueBytes: 8, stateBytes: 4, precision: "f32", optimizer: "adagrad" },
  { name: "bytes", dim: 3, valueBytes: 3, stateBytes: 0, precision: "bytes", optimizer: "" },
  { name: "halves", dim: 2, valueBytes: 4, stateBytes: 12, precision: "f16", optimizer: "adagrad" },
];

const FULL = { state: true };

test("an image restores rows, knowledge, early rows, clock and applied batches; a damaged or foreign one is refused", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2), fc.bigInt(0n, 20n)), { maxLength: 30 }), fc.nat(), (writes, at) => {
      const replica = createReplica({ writer: parseWriterId("0.a.n.x"), store: emptyStore() });
      writes.forEach(([table, key], id) => {
        stepReplica(
          replica,
          {
            kind: "write",
            writes: [
              {
                table,
                keys: BigUint64Array.of(key),
                mutate: ({ bytes, state }) => void [bytes.fill(id % 100), state.fill(id)],
              },
            ],
            batch: { trainer: `t${id % 3}`, id },
          },
          1_760_000_000_000,
        );
      });
      // One row more than it knows of.
      const other = replica.store.writerIndex(parseWriterId("0.b.n.x"));
      replica.store.merge(earlyRow(other), new Float64Array());
      const bytes = encodeImage(replica);
      const image = loadImage(bytes, emptyStore());
      const restored = createReplica({ writer: parseWriterId("0.a.n.y"), ...image });
      expect(restored.store.digest()).toBe(replica.store.digest());
      expect([restored.knowledge, restored.applied]).toEqual([replica.knowledge, replica.applied]);
      expect([restored.early.size, restored.stamper.greatestSeen]).toEqual([1, 1_760_000_000_999_000]);
      expect(restored.version).toEqual({ counter: 1, generator: "0.a.n.y" });

      const damaged = bytes.slice();
      damaged[at % bytes.length] = (damaged[at % bytes.length] ?? 0) ^ 1;
      expect(() => loadImage(damaged, emptyStore())).toThrow(DecodeError);
      expect(() => loadImage(bytes, createMapRowStore(TABLES, { state: false }))).toThrow(DecodeError);
      expect(() => loadImage(bytes, createMapRowStore(TABLES.toReversed(), { state: true }))).toThrow(DecodeError);
    }),
    { numRuns: 50 },
  );
});

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
      table: fc.nat(2),
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

test("whole segments and the increments after them restore the moment of the last one, whatever was written while its blocks were read", () => {
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
          for (let block = image.next(); block !== undefined; block = image.next()) blocks.push(block);
          segments = [...(image.whole ? [] : segments), { head: image.head, blocks }];
          for (const create of [createMapRowStore, createTableRowStore]) {
            const loaded = load(segments, create(TABLES, FULL));
            expect(loaded.store.changes).toBe(0);
            expect(contentsOf({ ...loaded, greatestSeen: loaded.greatestSeen })).toEqual(expected);
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
          if (block !== undefined) open?.blocks.push(block);
        } else if (kind === "close" && "outcome" in options) close(options.outcome);
        if (at === steps.length - 1) close("kept");
      }
    }),
    { numRuns: 200 },
  );
});

test("a segment out of its order, or with a byte changed in head or block, is refused or changes what is restored; other tables are named", () => {
  const replica = createReplica({ writer: parseWriterId("0.a.n.x"), store: emptyStore() });
  const writes = [{ table: 1, keys: BigUint64Array.of(1n), mutate: fillWith(1) }];
  stepReplica(replica, { kind: "write", writes }, 1_760_000_000_000);
  function take(what: "all" | "changed"): { head: Uint8Array; blocks: Uint8Array[] } {
    const image = takeImage(replica, { what });
    const blocks = Array.from({ length: 9 }, () => image.next()).filter((block) => block !== undefined);
    image.close("kept");
    return { head: image.head, blocks };
  }
  const [whole, increment] = [take("all"), take("changed")];
  expect(load([whole, increment], emptyStore()).store.digest()).toBe(replica.store.digest());
  for (const wrong of [[increment], [whole, whole], []]) {
    expect(() => load(wrong, emptyStore())).toThrow(DecodeError);
  }
  expect(() => load([whole], createMapRowStore(TABLES, { state: false }))).toThrow(
    "a full replica's and this one is serving",
  );
  const wider = TABLES.map((table) => (table.name === "bytes" ? { ...table, dim: 4, valueBytes: 4 } : table));
  expect(() => load([whole], createMapRowStore(wider, FULL))).toThrow("'bytes' has dim 3 in the image, now 4");
  expect(() => load([whole], createMapRowStore(TABLES.slice(1), FULL))).toThrow("table 'floats' is now 'bytes'");
});

function fillWith(number: number): (row: RowEdit) => void {
  return ({ bytes, state }) => void [bytes.fill(number), state.fill(number)];
}

function load(
  segments: readonly { readonly head: Uint8Array; readonly blocks: readonly Uint8Array[] }[],
  store: RowStore,
): LoadedImage {
  const loader = createImageLoader(store);
  for (const { head, blocks } of segments) {
    loader.begin(head);
    // As they come from the disk: a part of something larger, at any byte.
    for (const block of blocks) loader.add(Buffer.concat([Uint8Array.of(0), block]).subarray(1));
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

function emptyStore(): RowStore {
  return createMapRowStore(TABLES, { state: true });
}

function earlyRow(writer: number): RowBatch {
  return {
    table: 0,
    keys: BigUint64Array.of(99n),
    t: Float64Array.of(1_760_000_000_999_000),
    writers: Uint16Array.of(writer),
    flags: Uint8Array.of(0),
    values: new Uint8Array(8),
    state: new Uint8Array(4),
  };
}
