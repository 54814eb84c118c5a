/* Sets of slots and numbers by slot behave as the Set and the Map that they stand for, in order of coming too. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { SlotNumbers } from "../protocols/sync/slot-numbers.ts";
import { SlotSet } from "../protocols/sync/slot-set.ts";

// Close to each other and far apart, so that homes collide; often enough the same again.
const slot = fc.oneof(fc.nat(40), fc.nat(2 ** 20), fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 - 12));
const step = fc.record({
  verb: fc.constantFrom("add", "add", "add", "delete", "delete", "clear"),
  slot,
  much: fc.nat(60),
});
const steps = fc.array(step, { maxLength: 200, size: "max" });

test("SlotSet keeps what a Set keeps, in its order", () => {
  fc.assert(
    fc.property(steps, (drawn) => {
      const set = new SlotSet();
      const model = new Set<number>();
      for (const { verb, slot: one, much } of drawn) {
        if (verb === "clear" && much > 5) continue;
        if (verb === "clear") for (const each of [set, model]) each.clear();
        else if (verb === "delete") expect(set.delete(one)).toBe(model.delete(one));
        else for (const each of [set, model]) for (let more = 0; more <= much % 9; more += 1) each.add(one + more);
        expect([set.size, set.has(one)]).toEqual([model.size, model.has(one)]);
      }
      expect([...set]).toEqual([...model]);
      expect([...set.column()]).toEqual([...model]);
    }),
  );
});

test("SlotNumbers keeps what a Map keeps", () => {
  fc.assert(
    fc.property(steps, (drawn) => {
      const numbers = new SlotNumbers();
      const model = new Map<number, number>();
      for (const { verb, slot: one, much } of drawn) {
        if (verb === "clear" && much > 5) continue;
        if (verb === "clear") for (const each of [numbers, model]) each.clear();
        else if (verb === "delete") expect(numbers.delete(one)).toBe(model.delete(one));
        else for (const each of [numbers, model]) each.set(one, much + 1);
        expect([numbers.size, numbers.get(one), numbers.has(one)]).toEqual([
          model.size,
          model.get(one) ?? 0,
          model.has(one),
        ]);
      }
      for (const [one, number] of model) expect(numbers.get(one)).toBe(number);
    }),
  );
});
