// Goal: what a node knows of a lease after each thing it hears. Method: one step at a time, at each bound of time.
import { expect, test } from "vitest";
import { isHeld, leaderOf, type LeaseState, newLease, stepLease } from "../protocols/leadership/lease.ts";

const DURATION = 1_000;
const fresh = newLease({ self: "a", durationMs: DURATION });

function record(
  state: LeaseState,
  holder: string,
  { revision, nowMs }: { revision: number; nowMs: number },
): LeaseState {
  return stepLease(state, { kind: "record", record: { holder, revision } }, nowMs).state;
}

/** A node that took the lease at 100: as revision 5. */
function holding(): LeaseState {
  const asked = stepLease(record(fresh, "b", { revision: 4, nowMs: -2_000 }), { kind: "tick" }, 100);
  expect(asked.effects).toEqual([{ kind: "write", revision: 4 }]);
  return stepLease(asked.state, { kind: "written", revision: 5 }, 150).state;
}

test("another's lease counts from when its revision was first seen, for its duration", () => {
  const seen = record(fresh, "b", { revision: 3, nowMs: 100 });
  const again = record(seen, "b", { revision: 3, nowMs: 900 });
  expect(leaderOf(again, 1_099)).toEqual({ holder: "b", term: 3 });
  expect(leaderOf(again, 1_100)).toBeUndefined();
  expect(leaderOf(fresh, 0)).toBeUndefined();
  expect(isHeld(again, 100)).toBe(false);
  expect(stepLease(again, { kind: "tick" }, 1_099).effects).toEqual([{ kind: "read" }]);
  expect(stepLease(again, { kind: "tick" }, 1_100).effects).toEqual([{ kind: "write", revision: 3 }]);
});

test("our own lease counts from when we asked, ends a fifth early, and is renewed after a third", () => {
  const held = holding();
  expect(leaderOf(held, 899)).toEqual({ holder: "a", term: 5 });
  expect(leaderOf(held, 900)).toBeUndefined();
  const third = 100 + DURATION / 3;
  expect(stepLease(held, { kind: "tick" }, third - 1).effects).toEqual([]);
  expect(stepLease(held, { kind: "tick" }, 100 + Math.ceil(DURATION / 3)).effects).toEqual([
    { kind: "write", revision: 5 },
  ]);
  const exact: LeaseState = { ...held, durationMs: 900 };
  expect(stepLease(exact, { kind: "tick" }, 400).effects).toEqual([{ kind: "write", revision: 5 }]);
});

test("nothing is asked while a question is open; when it failed, the record is read", () => {
  const asked = stepLease(fresh, { kind: "tick" }, 0);
  expect(asked.effects).toEqual([{ kind: "write", revision: 0 }]);
  expect(stepLease(asked.state, { kind: "tick" }, 99_000).effects).toEqual([]);
  const failed = stepLease(asked.state, { kind: "not-written" }, 10);
  expect(failed).toEqual({ state: fresh, effects: [{ kind: "read" }] });
});

test("an answer to nothing, or one that was overtaken, gives no lease", () => {
  expect(stepLease(fresh, { kind: "written", revision: 9 }, 10).state).toEqual(fresh);
  const asked = stepLease(fresh, { kind: "tick" }, 0).state;
  const overtaken = record(asked, "b", { revision: 6, nowMs: 5 });
  const after = stepLease(overtaken, { kind: "written", revision: 6 }, 10).state;
  expect([leaderOf(after, 11), isHeld(after, 11)]).toEqual([{ holder: "b", term: 6 }, false]);
});

test("an older record, or none, is not believed while a lease runs, and is after it: the store was made anew", () => {
  for (const held of [holding(), record(fresh, "b", { revision: 5, nowMs: 100 })]) {
    expect(record(held, "c", { revision: 2, nowMs: 1_099 })).toBe(held);
    expect(stepLease(held, { kind: "record" }, 1_099).state).toBe(held);
    expect(leaderOf(record(held, "c", { revision: 2, nowMs: 1_100 }), 1_101)).toEqual({ holder: "c", term: 2 });
    expect(stepLease(held, { kind: "record" }, 1_100).state).toEqual(fresh);
  }
});

test("a newer record of another ends our lease at once; one of our own leaves its time as it was", () => {
  const taken = record(holding(), "b", { revision: 6, nowMs: 300 });
  expect([isHeld(taken, 301), leaderOf(taken, 301)]).toEqual([false, { holder: "b", term: 6 }]);
  const ours = record(holding(), "a", { revision: 6, nowMs: 300 });
  expect([isHeld(ours, 899), isHeld(ours, 900)]).toEqual([true, false]);
});
