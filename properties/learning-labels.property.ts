// Goal: what is learned from early and left-out negatives is the probability of a click, and each impression weighs one. Method: the
// expected loss of one impression, whose gradient by the log-odds must be 0 just at the true probability; and the learner itself, over drawn
// streams of which it is given what is kept.
import fc from "fast-check";
import { expect, test } from "vitest";
import { plain } from "../protocols/compute/plain.ts";
import {
  labelsOf,
  calibrated,
  evaluationWeight,
  isKept,
  labelWeight,
  weighLabels,
} from "../protocols/learning/label-weights.ts";
import { createLearner, learn, placeRows, planExamples } from "../protocols/learning/learner.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { createRandom, nextFloat } from "../protocols/random.ts";

const inner = fc.double({ min: 0.001, max: 0.99, noNaN: true });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const keptShares = fc.double({ min: 0.01, max: 1, noNaN: true });

test("an impression's samples weigh one in the mean, and its positives as much as there are", () => {
  fc.assert(
    fc.property(inner, share, (p, late) => {
      const positives = p * labelWeight(p, { label: 1, late, kept: 1 });
      const negatives = (1 - p + p * late) * labelWeight(p, { label: 0, late, kept: 1 });
      expect(positives).toBeCloseTo(p, 9);
      expect(positives + negatives).toBeCloseTo(1, 9);
      const evaluated = (1 - p + p * late) * evaluationWeight(p, { label: 0, late, kept: 1 });
      expect(p * evaluationWeight(p, { label: 1, late, kept: 1 }) + evaluated).toBeCloseTo(1, 9);
    }),
  );
});

test("the gradient of what was learned from is 0 at the true probability, and pulls towards it from elsewhere", () => {
  fc.assert(
    fc.property(inner, share, keptShares, inner, (p, late, kept, guess) => {
      function gradient(at: number): number {
        const up = p * labelWeight(at, { label: 1, late, kept }) * (at - 1);
        return up + kept * (1 - p + p * late) * labelWeight(at, { label: 0, late, kept }) * at;
      }
      expect(gradient(p)).toBeCloseTo(0, 9);
      fc.pre(Math.abs(guess - p) > 1e-6);
      expect(Math.sign(gradient(guess))).toBe(Math.sign(guess - p));
    }),
  );
});

test("with all positives late the weights are those of fake negatives, through the samples an impression gives", () => {
  fc.assert(
    fc.property(inner, (p) => {
      expect(labelWeight(p, { label: 1, late: 1, kept: 1 }) * (1 + p)).toBeCloseTo(1 + p, 9);
      expect(labelWeight(p, { label: 0, late: 1, kept: 1 }) * (1 + p)).toBeCloseTo((1 - p) * (1 + p), 9);
    }),
  );
});

test("calibrated() takes the prediction of a model without weights back to the probability", () => {
  fc.assert(
    fc.property(inner, share, (p, late) => {
      expect(calibrated(p / (1 + p * late), late)).toBeCloseTo(p, 9);
    }),
  );
});

test("left-out negatives are the same each time, another choice in each model, and about the share that was asked for", () => {
  fc.assert(
    fc.property(keptShares, fc.string(), (negativesKept, prefix) => {
      const samples = Array.from({ length: 4000 }, (_, at) => ({
        id: `${prefix}${at}:1:0`,
        label: at % 4 === 0 ? 1 : 0,
      }));
      function kept(name: string): boolean[] {
        return samples.map((sample) => isKept(sample, { name, negativesKept }));
      }
      expect(kept("a")).toEqual(kept("a"));
      const negatives = kept("a").filter((_, at) => samples[at]?.label === 0);
      expect(kept("a").every((is, at) => is || samples[at]?.label === 0)).toBe(true);
      const found = negatives.filter(Boolean).length / negatives.length;
      // Of 3,000 negatives the share has a deviation of at most 0.0092.
      expect(Math.abs(found - negativesKept)).toBeLessThan(0.06);
      if (negativesKept < 0.9 && negativesKept > 0.1) expect(kept("b")).not.toEqual(kept("a"));
    }),
    { numRuns: 50 },
  );
});

test("samples without a need for it keep their weights to the bit", () => {
  const weights = Float32Array.of(0.1, 2);
  weighLabels(weights, {
    labels: labelsOf([
      { label: 1, weight: 1 },
      { label: 0, weight: 1 },
    ]),
    probabilities: Float32Array.of(0.3, Number.NaN),
    kept: 1,
  });
  expect([...weights]).toEqual([...Float32Array.of(0.1, 2)]);
});

test("weighLabels() multiplies each weight by that of its own label, and leaves alone what needs none", () => {
  const samples = [
    { label: 0, weight: 1, late: 0.5 },
    { label: 1, weight: 1 },
    { label: 0, weight: 1 },
    { label: 1, weight: 1, late: 0.5 },
  ];
  const probabilities = Float32Array.of(0.25, 0.5, 0.75, 0.125);
  for (const kept of [1, 0.25]) {
    const weights = Float32Array.of(2, 3, 5, 7);
    weighLabels(weights, { labels: labelsOf(samples), probabilities, kept });
    const wanted = samples.map(({ label, late }, at) => labelWeight(probabilities[at] ?? 0, { label, late, kept }));
    expect([...weights]).toEqual([...Float32Array.from([2, 3, 5, 7], (weight, at) => weight * (wanted[at] ?? 0))]);
    expect(weights[0]).not.toBe(2);
  }
  // Samples left out, and nothing known of any that come late.
  const weights = Float32Array.of(2);
  const labels = { labels: Float64Array.of(0), weights: Float64Array.of(1), late: undefined };
  weighLabels(weights, { labels, probabilities: Float32Array.of(0.5), kept: 0.5 });
  expect(weights[0]).toBeCloseTo(2 / 0.75, 5);
});

test("a negative weighs as much more in figures of quality as others were left out, and at least a thousandth in what is learned", () => {
  expect(evaluationWeight(0.5, { label: 0, kept: 0.25 })).toBe(4);
  expect(evaluationWeight(0.5, { label: 1, kept: 0.25 })).toBe(1);
  expect(evaluationWeight(0.5, { label: 0, late: 1, kept: 0.5 })).toBe(1);
  expect(labelWeight(1, { label: 0, late: 1, kept: 1 })).toBe(1e-3);
  expect(labelWeight(1, { label: 0, late: 0, kept: 1 })).toBe(1);
});

const drawnStream = fc.record({
  seed: fc.nat(),
  rate: fc.double({ min: 0.02, max: 0.5, noNaN: true }),
  kept: fc.double({ min: 0.1, max: 0.9, noNaN: true }),
});

test("what the learner is pulled to by a stream without some of its negatives is the rate of the whole stream", () => {
  fc.assert(
    fc.property(drawnStream, ({ seed, rate, kept }) => {
      const random = createRandom(seed);
      const stream = Array.from({ length: 3_000 }, (_, at) => {
        const label = nextFloat(random) < rate ? 1 : 0;
        return { id: `${seed}-${at}:i:${label}`, label, weight: 1, user: "u", item: "i", features: {}, dense: {} };
      });
      const clicks = stream.filter(({ label }) => label === 1).length;
      const model: ModelDeclaration = { ...ODDS, negativesKept: kept };
      const samples = stream.filter((sample) => isKept(sample, model));
      const found = restOf(model, samples);
      const full = clicks / stream.length;
      // So much by chance, as which are kept is drawn: six deviations of the odds, of which the probability moves by full (1 - full).
      const chance = 6 * full * (1 - full) * Math.sqrt((1 - kept) / (kept * (stream.length - clicks)));
      expect(Math.abs(found - full)).toBeLessThan(chance + 1e-6);
    }),
    { numRuns: 20 },
  );
});

/** A model that can say one thing only: how likely a click is. */
const ODDS: ModelDeclaration = {
  name: "odds",
  shards: 1,
  architecture: { kind: "logistic" },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
  ],
  dense: [],
  optimizer: { kind: "ogd", learningRate: 0.1 },
  denseOptimizer: { kind: "ogd", learningRate: 0.1 },
};

/** The probability at which these samples together move the model nowhere, below which they raise it and above which they lower it. */
function restOf(
  model: ModelDeclaration,
  samples: Parameters<typeof planExamples>[1] & Parameters<typeof labelsOf>[0],
): number {
  const learner = createLearner(modelLayout(model), { backend: plain, batchMax: samples.length });
  const planned = planExamples(learner.layout, samples);
  const labels = labelsOf(samples);
  let [low, high] = [-10, 10];
  while (high - low > 1e-6) {
    const middle = (low + high) / 2;
    const lists = planned.lists[0] ?? [];
    const bias = lists.length - 1;
    placeRows(learner, planned, [lists.map((_, at) => Float32Array.of(at === bias ? middle : 0))]);
    const { gradients } = learn(learner, planned, labels);
    if ((gradients[0]?.[bias]?.gradients[0] ?? Number.NaN) < 0) low = middle;
    else high = middle;
  }
  learner.compiled[Symbol.dispose]();
  return 1 / (1 + Math.exp(-low));
}
