// Goal: verdicts follow from the log of windows alone, move only along the listed transitions, and only on enough evidence in a row.
// Method: random logs of windows, replayed and checked against the definition of a row of windows.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Grade,
  gradeWindow,
  type HealthState,
  initialHealth,
  type Observation,
  observe,
  type QualityWindow,
  type Transition,
  TRANSITIONS,
  VERDICT_DEFAULTS as limits,
} from "../protocols/model-state/verdict.ts";

const reference: QualityWindow = { samples: 5000, nonFiniteShare: 0, logLoss: 0.3, calibration: 1 };
const examples: Record<Grade, QualityWindow> = {
  good: { samples: 1000, nonFiniteShare: 0, logLoss: 0.31, calibration: 1.1 },
  poor: { samples: 1000, nonFiniteShare: 0, logLoss: 0.4, calibration: 1.1 },
  bad: { samples: 1000, nonFiniteShare: 0, logLoss: 0.9, calibration: 1.1 },
  silent: { samples: 10, nonFiniteShare: 0, logLoss: 5, calibration: 9 },
};

const window: fc.Arbitrary<QualityWindow> = fc.record(
  {
    samples: fc.constantFrom(0, 199, 200, 5000),
    nonFiniteShare: fc.constantFrom(0, 0, 0, 0.001, 0.02),
    logLoss: fc.constantFrom(0.3, 0.34, 0.4, 1, NaN),
    calibration: fc.constantFrom(1, 0.9, 1.6, 0.2, 9),
  },
  { requiredKeys: ["samples", "nonFiniteShare"] },
);
const observation: fc.Arbitrary<Observation> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc
      .constantFrom("good", "poor", "bad", "silent")
      .map((grade): Observation => ({ kind: "window", timeMs: 0, model: examples[grade], baseline: reference })),
  },
  {
    weight: 3,
    arbitrary: window.map((model): Observation => ({ kind: "window", timeMs: 0, model, baseline: reference })),
  },
  { weight: 1, arbitrary: fc.constant<Observation>({ kind: "restored", timeMs: 0 }) },
);
const logs = fc
  .array(observation, { maxLength: 60, size: "max" })
  .map((log) => log.map((each, at) => ({ ...each, timeMs: at + 1 })));

function replay(log: readonly Observation[]): { states: HealthState[]; transitions: Transition[] } {
  let state = initialHealth(0);
  const states = [state];
  const transitions: Transition[] = [];
  for (const each of log) {
    const result = observe(state, each, limits);
    state = result.state;
    states.push(state);
    if (result.transition !== undefined) transitions.push(result.transition);
  }
  return { states, transitions };
}

test("only listed transitions occur, each joined to the last, and the same log gives the same states, also from JSON", () => {
  const met = new Set<string>();
  fc.assert(
    fc.property(logs, fc.nat(60), (log, cut) => {
      const { states, transitions } = replay(log);
      expect(replay(log)).toEqual({ states, transitions });
      let verdict = initialHealth(0).verdict;
      for (const { from, to, timeMs } of transitions) {
        expect(from).toBe(verdict);
        expect(TRANSITIONS.some((row) => row.from === from && row.to === to)).toBe(true);
        met.add(`${from} ${to}`);
        verdict = to;
        expect(states[timeMs]?.sinceMs).toBe(timeMs);
      }
      expect(states.at(-1)?.verdict).toBe(verdict);
      // A state is plain data: through JSON it loses at most fields that are undefined, and a copy goes on like the original.
      const kept = states[Math.min(cut, log.length)] ?? initialHealth(0);
      expect(JSON.parse(JSON.stringify(kept))).toEqual(kept);
      let resumed = structuredClone(kept);
      for (const each of log.slice(cut)) resumed = observe(resumed, each, limits).state;
      expect(resumed).toEqual(states.at(-1));
    }),
    { numRuns: 500 },
  );
  expect(met).toEqual(new Set(TRANSITIONS.map(({ from, to }) => `${from} ${to}`)));
});

test("a transition happens exactly when its grade has held for its number of windows, silent ones left out", () => {
  fc.assert(
    fc.property(logs, (log) => {
      const { states } = replay(log);
      const needs = { good: limits.goodWindows, poor: limits.poorWindows, bad: limits.badWindows };
      let row: Grade[] = [];
      for (const [at, each] of log.entries()) {
        const before = states[at]?.verdict;
        const moved = states[at]?.verdict !== states[at + 1]?.verdict;
        if (each.kind === "restored") {
          expect(moved).toBe(before === "corrupted");
          if (moved) row = [];
          continue;
        }
        const { grade } = gradeWindow(each, limits);
        if (grade !== "silent") row.push(grade);
        function held(count: number, is: (one: Grade) => boolean): boolean {
          return row.length >= count && row.slice(-count).every(is);
        }
        const due =
          grade === "silent"
            ? undefined
            : held(needs.bad, (one) => one === "bad")
              ? "bad"
              : held(needs.poor, (one) => one !== "good")
                ? "poor"
                : held(needs.good, (one) => one === "good")
                  ? "good"
                  : undefined;
        const expected = TRANSITIONS.find(({ from, on }) => from === before && on === due);
        expect(states[at + 1]?.verdict).toBe(expected?.to ?? before);
        if (moved) row = [];
      }
    }),
    { numRuns: 500 },
  );
});

test("gradeWindow() gives each example its grade and names the figure", () => {
  for (const grade of ["good", "poor", "bad", "silent"] as const) {
    expect(gradeWindow({ model: examples[grade], baseline: reference }, limits).grade).toBe(grade);
  }
  function graded(model: Partial<QualityWindow>): unknown {
    return gradeWindow({ model: { ...examples.good, ...model }, baseline: reference }, limits);
  }
  expect(graded({ nonFiniteShare: 0.5, samples: 3 })).toMatchObject({
    grade: "bad",
    cause: { kind: "non-finite", excess: 0.5 },
  });
  expect(graded({ nonFiniteShare: 0.001 })).toMatchObject({ grade: "poor", cause: { kind: "non-finite" } });
  expect(graded({ logLoss: NaN })).toMatchObject({ grade: "bad", cause: { kind: "log-loss" } });
  expect(graded({ calibration: 0.2 })).toMatchObject({ grade: "bad", cause: { kind: "calibration" } });
  expect(graded({ calibration: 0.6 })).toMatchObject({ grade: "poor", cause: { kind: "calibration" } });
  expect(graded({ logLoss: 0.1, calibration: 1 })).toMatchObject({ grade: "good" });
});

test("without a baseline that has enough samples the reference stands in, and without both log loss is not judged", () => {
  const thin = { ...reference, samples: 5 };
  expect(gradeWindow({ model: examples.bad, baseline: thin }, limits).grade).toBe("good");
  expect(gradeWindow({ model: examples.bad, baseline: thin }, { ...limits, logLossReference: 0.3 }).grade).toBe("bad");
});
