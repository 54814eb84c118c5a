/*
 * Goal: supervision neither gives up early nor restarts for ever, whatever fails when.
 * Method: failures at drawn times, forwards and backwards; the decision is compared with what the policy's words say.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decide, type Failure, recentFailures, type RestartPolicy } from "../runtime/supervisor.ts";

const policies: fc.Arbitrary<RestartPolicy> = fc.record({
  restartsMax: fc.nat({ max: 6 }),
  withinMs: fc.integer({ min: 1, max: 1000 }),
  delayMinMs: fc.integer({ min: 1, max: 50 }),
  delayMaxMs: fc.integer({ min: 50, max: 400 }),
});

function failure(atMs: number, name = "Error"): Failure {
  return { atMs, name, message: "drawn" };
}

const times = fc
  .array(fc.integer({ min: -50, max: 400 }), { minLength: 1, maxLength: 30, size: "max" })
  .map((steps) => {
    let atMs = 100_000;
    return steps.map((step) => (atMs += step));
  });

test("decide() restarts exactly while at most restartsMax failures lie within the window, with a doubling, bounded delay", () => {
  fc.assert(
    fc.property(policies, times, (policy, atMs) => {
      let kept: readonly Failure[] = [];
      for (const [index, at] of atMs.entries()) {
        const [oldest, ...later] = [...kept, failure(at)];
        const failures = recentFailures([oldest ?? failure(at), ...later], policy);
        kept = failures;
        const directive = decide(failures, policy);
        // Counted anew from everything, not from what was kept.
        const recent = atMs
          .slice(0, index + 1)
          .filter((earlier, place) => place === index || (earlier > at - policy.withinMs && earlier <= at)).length;
        expect(failures.length).toBeLessThanOrEqual(policy.restartsMax + 1);
        const monotone = atMs
          .slice(0, index + 1)
          .every((value, place, all) => place === 0 || value >= (all[place - 1] ?? 0));
        // Where time only moved forward, forgetting changes nothing.
        if (monotone) expect(directive.kind).toBe(recent > policy.restartsMax ? "escalate" : "restart");
        if (directive.kind === "restart") {
          expect(directive.delayMs).toBe(Math.min(policy.delayMaxMs, policy.delayMinMs * 2 ** (failures.length - 1)));
        }
      }
    }),
  );
});

test("decide() stops at once what trying again cannot mend, and stops instead of escalating where asked", () => {
  fc.assert(
    fc.property(policies, fc.constantFrom("ShardFull", "Error"), (policy, name) => {
      const directive = decide([failure(0, name)], { ...policy, stopOn: ["ShardFull"], whenSpent: "stop" });
      expect(directive.kind).toBe(name === "ShardFull" || policy.restartsMax === 0 ? "stop" : "restart");
    }),
  );
});
