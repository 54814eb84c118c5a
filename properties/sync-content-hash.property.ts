// Goal: equal contents have one digest, whatever the order, and different ones have another. Method: drawn rows; one bit changed at a time.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ContentHash, hashText } from "../protocols/sync/content-hash.ts";

const rows = fc.record({
  table: fc.nat({ max: 63 }),
  key: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  t: fc.integer({ min: 1, max: 2 ** 50 }),
  flags: fc.nat({ max: 1 }),
  values: fc.uint8Array({ maxLength: 11 }),
  writer: fc.nat({ max: 2 ** 32 - 1 }),
});
type Row = typeof rows extends fc.Arbitrary<infer T> ? T : never;

function digest(of: readonly Row[]): string {
  const hash = new ContentHash();
  for (const { writer, ...row } of of) hash.addRow(row, { writerHash: writer });
  return hash.text();
}

/** The row with one bit of one field changed. */
function changes({ table, key, t, flags, values, writer, ...rest }: Row, bit: number): Row[] {
  const row = { table, key, t, flags, values, writer, ...rest };
  return [
    { ...row, table: table ^ (1 << (bit % 6)) },
    { ...row, key: key ^ (1n << BigInt(bit % 64)) },
    { ...row, t: t >= 2 ** 49 ? t - 2 ** (bit % 49) : t + 2 ** (bit % 49) },
    { ...row, flags: flags ^ 1 },
    { ...row, writer: (writer ^ (1 << (bit % 32))) >>> 0 },
    { ...row, values: Uint8Array.of(...values, bit) },
    ...values
      .keys()
      .map((at) => ({ ...row, values: values.map((byte, i) => (i === at ? byte ^ (1 << (bit % 8)) : byte)) })),
  ];
}

test("a digest is of the rows and not of their order, and counts them", () => {
  fc.assert(
    fc.property(fc.array(rows, { maxLength: 8 }), fc.nat(), (list, by) => {
      const turned = [...list.slice(by % (list.length + 1)), ...list.slice(0, by % (list.length + 1))];
      expect(digest(turned)).toBe(digest(list));
      expect(digest(list)).toMatch(new RegExp(`^[0-9a-f]{16}-${list.length}$`));
    }),
  );
});

test("a zero byte more is another row", () => {
  const row = { table: 1, key: 1n, t: 1, flags: 0, writer: 1 };
  const digests = [[], [0], [0, 0], [0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0, 0]].map((values) =>
    digest([{ ...row, values: Uint8Array.from(values) }]),
  );
  expect(new Set(digests).size).toBe(digests.length);
});

test("a row that differs in one bit, or is there once more, gives another digest, in both of its halves", () => {
  fc.assert(
    fc.property(fc.array(rows, { minLength: 1, maxLength: 4 }), fc.nat({ max: 1_000 }), (list, bit) => {
      const [first, ...others] = list;
      if (first === undefined) return;
      const was = digest(list);
      for (const changed of changes(first, bit)) {
        const is = digest([changed, ...others]);
        expect(is.slice(0, 8)).not.toBe(was.slice(0, 8));
        expect(is.slice(8, 16)).not.toBe(was.slice(8, 16));
      }
      expect(digest([...list, first]).slice(0, 16)).not.toBe(was.slice(0, 16));
    }),
  );
});

test("digests are what they were when regions first compared them", () => {
  expect(digest([])).toBe("0000000000000000-0");
  const row = {
    table: 1,
    key: 2n ** 63n + 5n,
    t: 1_760_000_000_000_001,
    flags: 0,
    values: Uint8Array.of(1, 2, 3, 4, 5),
    writer: 7,
  };
  expect(digest([row])).toBe("781459f43f3daf01-1");
  expect(digest([{ ...row, values: row.values.subarray(0, 4) }])).toBe("af9ba5804690c40a-1");
  expect(["", "a", "0.oregon.a.x"].map(hashText)).toEqual([0, 3_585_290_796, 1_002_588_417]);
});
