/*
 * What is settled and what has expired: which horizon is later, what of two is kept, and who may take one on.
 */
import { expect, test } from "vitest";
import { T_MAX } from "../protocols/limits.ts";
import {
  foldKnowledge,
  isLate,
  isLater,
  isWithinReach,
  joinHorizons,
  latestOf,
  sameHorizon,
  sameSettled,
  settledOf,
} from "../protocols/sync/horizon.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { A, B, horizonOf, LAST, NEXT } from "./horizons.ts";

test("all that a writer of an earlier epoch stamped is settled, of this one up to the settled time, of a later one nothing", () => {
  const settled = { epoch: 1, settled: 7 };
  expect([A, NEXT, LAST].map((writer) => settledOf(settled, writer))).toEqual([T_MAX, 7, 0]);
});

test("horizons come in order of their epochs, then of their settled times", () => {
  const rising = [
    { epoch: 0, settled: 0 },
    { epoch: 0, settled: 9 },
    { epoch: 1, settled: 1 },
    { epoch: 1, settled: 5 },
  ];
  for (const [at, a] of rising.entries()) {
    for (const [other, b] of rising.entries()) {
      expect(isLater(a, b)).toBe(at > other);
      expect(sameSettled(a, b)).toBe(at === other);
    }
  }
});

test("the later of two horizons has of each expiry the later, but for those of an earlier epoch", () => {
  const early = horizonOf({
    settled: 5,
    expired: new Map([
      [0, 3],
      [1, 9],
    ]),
  });
  const late = horizonOf({
    settled: 8,
    before: 5,
    graveyard: new Map([[A, 7]]),
    expired: new Map([
      [0, 4],
      [1, 8],
      [2, 1],
    ]),
  });
  const joined = {
    ...late,
    expired: new Map([
      [0, 4],
      [1, 9],
      [2, 1],
    ]),
  };
  expect(joinHorizons(early, late)).toEqual(joined);
  expect(joinHorizons(late, early)).toEqual(joined);
  const next = horizonOf({ epoch: 1, settled: 2, expired: new Map([[0, 1]]) });
  expect([joinHorizons(early, next), joinHorizons(next, early)]).toEqual([next, next]);
});

test("horizons are the same that settle the same, and let the same expire", () => {
  const horizon = horizonOf({ settled: 5, expired: new Map([[0, 3]]) });
  expect(sameHorizon(horizon, { ...horizon, before: 4 })).toBe(true);
  for (const other of [
    { ...horizon, settled: 6 },
    { ...horizon, epoch: 1 },
    { ...horizon, expired: new Map([[0, 4]]) },
    { ...horizon, expired: new Map([[1, 3]]) },
    { ...horizon, expired: new Map() },
    {
      ...horizon,
      expired: new Map([
        [0, 3],
        [1, 1],
      ]),
    },
  ]) {
    expect([sameHorizon(horizon, other), sameHorizon(other, horizon)]).toEqual([false, false]);
  }
});

test("a horizon is within reach of who stands where it began and knows what it settled, and of who is beyond it", () => {
  const horizon = horizonOf({
    epoch: 1,
    settled: 9,
    before: 4,
    graveyard: new Map([
      [NEXT, 8],
      [LAST, 6],
    ]),
  });
  const knowledge = new Map([
    [NEXT, 8],
    [LAST, 7],
  ]);
  const known = { epoch: 1, settled: 4, knowledge };
  expect(isWithinReach(horizon, known)).toBe(true);
  expect(isWithinReach(horizon, { ...known, settled: 3 })).toBe(false);
  expect(isWithinReach(horizon, { ...known, settled: 5 })).toBe(false);
  expect(
    isWithinReach(horizon, {
      ...known,
      knowledge: new Map([
        [NEXT, 7],
        [LAST, 7],
      ]),
    }),
  ).toBe(false);
  expect(isWithinReach(horizon, { ...known, knowledge: new Map([[NEXT, 8]]) })).toBe(false);
  expect(isWithinReach(horizon, { epoch: 1, settled: 9, knowledge: new Map() })).toBe(true);
  expect(isWithinReach(horizon, { epoch: 2, settled: 1, knowledge: new Map() })).toBe(true);
  // The first of its epoch follows an earlier one, at the same time.
  expect(isWithinReach(horizon, { ...known, epoch: 0 })).toBe(false);
  expect(isWithinReach(horizon, { ...known, epoch: 0 }, 0)).toBe(true);
  expect(isWithinReach(horizon, known, 0)).toBe(false);
});

test("late is what lies beyond the horizon before, up to this one, and is not in its graveyard", () => {
  const horizon = horizonOf({ settled: 9, before: 4, graveyard: new Map([[A, 7]]) });
  const since = { epoch: 0, settled: 4 };
  expect([4, 5, 7, 8, 9, 10].map((t) => isLate(horizon, since, { t, writer: A }))).toEqual([
    false,
    false,
    false,
    true,
    true,
    false,
  ]);
  expect([4, 5, 9, 10].map((t) => isLate(horizon, since, { t, writer: B }))).toEqual([false, true, true, false]);
  // Of an earlier epoch all is, however late its time.
  const next = horizonOf({ epoch: 1, settled: 9, before: 4, graveyard: new Map([[A, 7]]) });
  expect([4, 7, 8, 99].map((t) => isLate(next, since, { t, writer: A }))).toEqual([false, false, true, true]);
});

test("entries that say no more than what is settled go", () => {
  const knowledge = new Map([
    [A, 99],
    [NEXT, 9],
    [parseWriterId("1.c.n.x"), 10],
    [LAST, 1],
  ]);
  foldKnowledge(knowledge, { epoch: 1, settled: 9 });
  expect([...knowledge]).toEqual([
    ["1.c.n.x", 10],
    [LAST, 1],
  ]);
});

test("a horizon speaks of times up to its settled one, and its expiries", () => {
  expect(latestOf(horizonOf({ settled: 5 }))).toBe(5);
  expect(
    latestOf(
      horizonOf({
        settled: 5,
        expired: new Map([
          [0, 7],
          [1, 6],
        ]),
      }),
    ),
  ).toBe(7);
});
