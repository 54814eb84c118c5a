// Is the served model healthy? A pure state machine over windows of progressive metrics: the same windows give the same verdicts, wherever they
// are replayed.

export type Verdict = "healthy" | "uncertain" | "corrupted";

/** Quality of one model over one window. Figures that are not defined (no sample, no click) are absent. */
export interface QualityWindow {
  readonly samples: number;
  readonly nonFiniteShare: number;
  readonly logLoss?: number;
  readonly calibration?: number;
}

export interface VerdictLimits {
  /** A window with fewer samples says nothing, unless its predictions are not finite. */
  readonly samplesMin: number;
  /** Log loss above the baseline's (or `logLossReference`), in nats: from here poor, from there bad. */
  readonly logLossPoor: number;
  readonly logLossBad: number;
  /** What stands in for a missing baseline window; without either, log loss is not judged. */
  readonly logLossReference?: number;
  /** abs(ln(calibration)): ln 2 means predicting twice or half the clicks. */
  readonly calibrationPoor: number;
  readonly calibrationBad: number;
  /** Share of predictions that are not finite: any is poor, from here bad. */
  readonly nonFiniteBad: number;
  /** Windows in a row that it takes to move. */
  readonly poorWindows: number;
  readonly badWindows: number;
  readonly goodWindows: number;
}

export const VERDICT_DEFAULTS: VerdictLimits = {
  samplesMin: 200,
  logLossPoor: 0.05,
  logLossBad: 0.3,
  calibrationPoor: Math.log(1.5),
  calibrationBad: Math.log(4),
  nonFiniteBad: 0.01,
  poorWindows: 3,
  badWindows: 2,
  goodWindows: 3,
};

/** What a window was judged by. `excess` is what was held against the limit; absent if it was not finite. */
export interface Cause {
  readonly kind: "non-finite" | "log-loss" | "calibration" | "recovered" | "restored";
  readonly excess?: number;
  readonly limit?: number;
}

export type Grade = "good" | "poor" | "bad" | "silent";

export type Observation =
  | {
      readonly kind: "window";
      readonly timeMs: number;
      readonly model: QualityWindow;
      readonly baseline?: QualityWindow;
    }
  /** Somebody rolled the model back or replaced it: it has to earn its verdict anew. */
  | { readonly kind: "restored"; readonly timeMs: number };

/** The verdict, and how many windows in a row were at least that bad, or good. Plain data, JSON-safe. */
export interface HealthState {
  readonly verdict: Verdict;
  readonly sinceMs: number;
  readonly cause: Cause | undefined;
  readonly good: number;
  /** Windows in a row that were poor or bad. */
  readonly poor: number;
  readonly bad: number;
}

export interface Transition {
  readonly from: Verdict;
  readonly to: Verdict;
  readonly timeMs: number;
  readonly cause: Cause;
}

/** Everything that can happen, and nothing else does. A corrupted model, restored or measuring well again, has to pass through uncertain. */
export const TRANSITIONS = [
  { from: "healthy", on: "poor", to: "uncertain" },
  { from: "healthy", on: "bad", to: "corrupted" },
  { from: "uncertain", on: "good", to: "healthy" },
  { from: "uncertain", on: "bad", to: "corrupted" },
  { from: "corrupted", on: "good", to: "uncertain" },
  { from: "corrupted", on: "restored", to: "uncertain" },
] as const satisfies readonly {
  readonly from: Verdict;
  readonly on: "good" | "poor" | "bad" | "restored";
  readonly to: Verdict;
}[];

/** A model that nobody has watched yet is uncertain. */
export function initialHealth(timeMs: number): HealthState {
  return { verdict: "uncertain", sinceMs: timeMs, cause: undefined, good: 0, poor: 0, bad: 0 };
}

/** Takes one observation in. The transition, if one happened, is what goes into the log. */
export function observe(
  state: HealthState,
  observation: Observation,
  limits: VerdictLimits,
): { readonly state: HealthState; readonly transition?: Transition } {
  if (observation.kind === "restored") return move(state, { on: "restored", observation, cause: { kind: "restored" } });
  const { grade, cause } = gradeWindow(observation, limits);
  // A silent window is no evidence: it neither adds to a row nor ends one.
  if (grade === "silent") return { state };
  const counted: HealthState = {
    ...state,
    good: grade === "good" ? state.good + 1 : 0,
    poor: grade === "good" ? 0 : state.poor + 1,
    bad: grade === "bad" ? state.bad + 1 : 0,
  };
  if (counted.bad >= limits.badWindows) return move(counted, { on: "bad", observation, cause });
  if (counted.poor >= limits.poorWindows) return move(counted, { on: "poor", observation, cause });
  if (counted.good >= limits.goodWindows) return move(counted, { on: "good", observation, cause });
  return { state: counted };
}

/** How one window looks by itself, and by which figure. The worst grade wins; of equal ones, the first of non-finite, log loss, calibration. */
export function gradeWindow(
  window: { readonly model: QualityWindow; readonly baseline?: QualityWindow },
  limits: VerdictLimits,
): { readonly grade: Grade; readonly cause: Cause } {
  const { model, baseline } = window;
  const judged = [judge("non-finite", model.nonFiniteShare, { poor: 0, bad: limits.nonFiniteBad })];
  const enough = model.samples >= limits.samplesMin;
  if (enough && model.logLoss !== undefined) {
    const trusted = baseline !== undefined && baseline.samples >= limits.samplesMin ? baseline.logLoss : undefined;
    const reference = trusted ?? limits.logLossReference;
    if (reference !== undefined) {
      judged.push(judge("log-loss", model.logLoss - reference, { poor: limits.logLossPoor, bad: limits.logLossBad }));
    }
  }
  if (enough && model.calibration !== undefined) {
    judged.push(
      judge("calibration", Math.abs(Math.log(model.calibration)), {
        poor: limits.calibrationPoor,
        bad: limits.calibrationBad,
      }),
    );
  }
  for (const grade of ["bad", "poor"] as const) {
    const found = judged.find((each) => each.grade === grade);
    if (found !== undefined) return found;
  }
  return enough ? { grade: "good", cause: { kind: "recovered" } } : { grade: "silent", cause: { kind: "recovered" } };
}

function judge(
  kind: Cause["kind"],
  excess: number,
  limits: { readonly poor: number; readonly bad: number },
): { readonly grade: Grade; readonly cause: Cause } {
  // A figure that is NaN is as bad as can be; written so that it fails the comparison. JSON has no word for it, so it is left out.
  if (!(excess < limits.bad)) {
    return { grade: "bad", cause: { kind, ...(Number.isFinite(excess) ? { excess } : {}), limit: limits.bad } };
  }
  return { grade: excess > limits.poor ? "poor" : "good", cause: { kind, excess, limit: limits.poor } };
}

function move(
  state: HealthState,
  by: { readonly on: "good" | "poor" | "bad" | "restored"; readonly observation: Observation; readonly cause: Cause },
): { readonly state: HealthState; readonly transition?: Transition } {
  const row = TRANSITIONS.find(({ from, on }) => from === state.verdict && on === by.on);
  if (row === undefined) return { state };
  const { timeMs } = by.observation;
  const moved: HealthState = { verdict: row.to, sinceMs: timeMs, cause: by.cause, good: 0, poor: 0, bad: 0 };
  return { state: moved, transition: { from: row.from, to: row.to, timeMs, cause: by.cause } };
}
