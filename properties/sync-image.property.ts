/*
 * The image on disk (S12, S13): what was saved comes back, and what is damaged or of another declaration does not.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeImage, loadImage } from "../protocols/sync/image.ts";
import { decodeHead, encodeHead } from "../protocols/sync/image-head.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, stepReplica } from "../protocols/sync/replica.ts";
import { type RowBatch, type RowStore } from "../protocols/sync/row-store.ts";
import { takeImage } from "../protocols/sync/take-image.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { checkMoments, fillWith, FULL, loadSegments, TABLES } from "./image-laws.ts";

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

test("a head says how many rows the tables have; one from before heads said so is still read", () => {
  const replica = createReplica({ writer: parseWriterId("0.a.n.x"), store: emptyStore() });
  const before = takeImage(replica, { what: "all" });
  before.close("lost");
  const writes = [{ table: 0, keys: BigUint64Array.of(1n, 2n, 3n), mutate: fillWith(1) }];
  const rows = [3, 0, 0, 0];
  const head = decodeHead(before.head);
  expect(head.rows).toEqual([0, 0, 0, 0]);
  stepReplica(replica, { kind: "write", writes }, 1_760_000_000_000);
  const after = takeImage(replica, { what: "all" });
  expect(decodeHead(after.head).rows).toEqual(rows);
  const named = encodeHead({ ...head, rows: [1, 1, 1, 1] });
  const old = before.head.filter((byte, at) => byte === named[at]);
  old[4] = 3;
  expect(decodeHead(old)).toEqual(head);
});

test("whole segments and the increments after them restore the moment of the last one, whatever was written while its blocks were read", () => {
  expect(checkMoments).not.toThrow();
});

test("a segment out of its order, or with a byte changed in head or block, is refused or changes what is restored; other tables are named", () => {
  const replica = createReplica({ writer: parseWriterId("0.a.n.x"), store: emptyStore() });
  const writes = [{ table: 1, keys: BigUint64Array.of(1n), mutate: fillWith(1) }];
  stepReplica(replica, { kind: "write", writes }, 1_760_000_000_000);
  function take(what: "all" | "changed"): { head: Uint8Array; blocks: Uint8Array[] } {
    const image = takeImage(replica, { what });
    const blocks = Array.from({ length: 9 }, () => image.next()?.slice()).filter((block) => block !== undefined);
    image.close("kept");
    return { head: image.head, blocks };
  }
  const [whole, increment] = [take("all"), take("changed")];
  expect(loadSegments([whole, increment], emptyStore()).store.digest()).toBe(replica.store.digest());
  for (const wrong of [[increment], [whole, whole], []]) {
    expect(() => loadSegments(wrong, emptyStore())).toThrow(DecodeError);
  }
  expect(() => loadSegments([whole], createMapRowStore(TABLES, { state: false }))).toThrow(
    "a full replica's and this one is serving",
  );
  const wider = TABLES.map((table) => (table.name === "bytes" ? { ...table, dim: 4, valueBytes: 4 } : table));
  expect(() => loadSegments([whole], createMapRowStore(wider, FULL))).toThrow("'bytes' has dim 3 in the image, now 4");
  expect(() => loadSegments([whole], createMapRowStore(TABLES.slice(1), FULL))).toThrow(
    "table 'floats' is now 'bytes'",
  );
});

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
