// Goal: what comes off a heap is always what goes first. Method: drawn pushes and pops against a sorted list.
import fc from "fast-check";
import { expect, test } from "vitest";
import { popHeap, pushHeap } from "../protocols/binary-heap.ts";

function before(a: number, b: number): boolean {
  return a < b;
}

test("a heap gives the least of what it holds, and nothing when it is empty", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 40 })), { maxLength: 60, size: "max" }), (steps) => {
      const heap: number[] = [];
      const model: number[] = [];
      for (const step of steps) {
        if (step === null) {
          expect(popHeap(heap, before)).toBe(model.shift());
        } else {
          pushHeap(heap, step, before);
          model.push(step);
          model.sort((a, b) => a - b);
        }
        expect(heap).toHaveLength(model.length);
      }
      expect(Array.from(model, () => popHeap(heap, before))).toEqual(model);
      expect(popHeap(heap, before)).toBeUndefined();
    }),
  );
});
