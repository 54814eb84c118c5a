import { expect, test } from "vitest";
import { createRandom } from "../protocols/random.ts";
import { drawDelay, fitDelays, TALKINGDATA } from "./bench/delays/fit.ts";
import { simulate, WAYS } from "./bench/delays/simulate.ts";

test("fitDelays() finds the mixture that delays were drawn from", () => {
  const random = createRandom(5);
  const drawn = Array.from({ length: 20_000 }, () => drawDelay(TALKINGDATA, 1e9, random));
  const { share, means, deviations } = fitDelays(drawn);
  expect(share).toBeCloseTo(TALKINGDATA.share, 1);
  for (const at of [0, 1] as const) {
    expect(Math.abs(means[at] - TALKINGDATA.means[at])).toBeLessThan(0.15);
    expect(Math.abs(deviations[at] - TALKINGDATA.deviations[at])).toBeLessThan(0.1);
  }
});

test("simulate(): weighed labels have the true rate, plain ones have not, and the oracle is beaten by none", () => {
  const { results } = simulate({ seed: 2, delays: TALKINGDATA, impressions: 100_000, days: 4, drift: 0 });
  for (const [at, { correct, name }] of WAYS.entries()) {
    const { predicted, truth, logLoss } = results[at] ?? { predicted: 0, truth: 1, logLoss: 0 };
    const isRight = correct === "weights" || correct === "calibration" || at < 2;
    expect([name, Math.abs(predicted / truth - 1) < 0.02]).toEqual([name, isRight]);
    expect(logLoss / (results[0]?.logLoss ?? 1)).toBeGreaterThan(0.999);
  }
});
