// A set of row numbers is a set: whatever is put in, taken out, joined and copied, and in whatever order it is asked.
import fc from "fast-check";
import { expect, test } from "vitest";
import { RowBits } from "../protocols/sync/row-bits.ts";

const row = fc.nat({ max: 200 });
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom("add" as const, "delete" as const), row }),
  fc.record({ kind: fc.constant("add all" as const), rows: fc.array(row, { maxLength: 80 }) }),
  fc.record({ kind: fc.constant("fill" as const), end: row }),
  fc.record({ kind: fc.constant("copy" as const) }),
);

test("RowBits holds what a Set of the same rows holds", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), row, row, (steps, from, most) => {
      let bits = new RowBits();
      const rows = new Set<number>();
      for (const each of steps) {
        if (each.kind === "add") {
          bits.add(each.row);
          rows.add(each.row);
        } else if (each.kind === "delete") {
          expect(bits.delete(each.row)).toBe(rows.delete(each.row));
        } else if (each.kind === "add all") {
          const others = new RowBits();
          for (const other of each.rows) others.add(other);
          bits.addAll(others);
          for (const other of each.rows) rows.add(other);
          expect(others.size).toBe(new Set(each.rows).size);
        } else if (each.kind === "fill") {
          bits.fill(each.end);
          rows.clear();
          for (let below = 0; below < each.end; below += 1) rows.add(below);
        } else {
          const before = bits;
          bits = before.copy();
          // What becomes of the one is nothing to the other.
          before.fill(201);
        }
        expect(bits.size).toBe(rows.size);
        const inOrder = [...rows].toSorted((a, b) => a - b);
        const copy = bits.copy();
        const room = new Uint32Array(most);
        const taken = copy.take(from, room);
        const expected = inOrder.filter((held) => held >= from).slice(0, most);
        expect([...room.subarray(0, taken)]).toEqual(expected);
        expect(copy.size).toBe(rows.size - taken);
        const all = new Uint32Array(rows.size);
        expect(copy.take(0, all)).toBe(rows.size - taken);
        expect([...all.subarray(0, rows.size - taken)]).toEqual(inOrder.filter((held) => !expected.includes(held)));
      }
      for (let each = 0; each <= 300; each += 1) expect(bits.has(each)).toBe(rows.has(each));
    }),
  );
});
