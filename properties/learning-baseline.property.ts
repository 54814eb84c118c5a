// Goal: the baseline learns from what was there before and from nothing else; what was taken back is not learned. Method: a pattern that only training shows; the
// same figures whatever else is judged; labels by hand.
import fc from "fast-check";
import { expect, test } from "vitest";
import { plain } from "../protocols/compute/plain.ts";
import { judgeBaseline, withFinalLabels } from "../protocols/learning/baseline.ts";
import { summarize } from "../protocols/learning/progressive-metrics.ts";
import { type PublishedSample } from "../protocols/learning/sample-batch.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { createRandom, nextBelow, nextFloat } from "../protocols/random.ts";

const model: ModelDeclaration = {
  name: "likes",
  shards: 2,
  architecture: { kind: "logistic" },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
  ],
  dense: [],
  optimizer: { kind: "adagrad", learningRate: 0.5 },
  denseOptimizer: { kind: "adagrad", learningRate: 0.5 },
};

/** Items of even numbers are liked four times in five, others once. */
function samples(count: number, seed: number): PublishedSample[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, at) => {
    const item = nextBelow(random, 20);
    const label = nextFloat(random) < (item % 2 === 0 ? 0.8 : 0.2) ? 1 : 0;
    return sample(`r${seed}-${at}`, { item: String(item), label, correction: false });
  });
}

function sample(request: string, of: { item: string; label: number; correction: boolean }): PublishedSample {
  const { item, label, correction } = of;
  const named = { id: `${request}:${item}:${label}`, source: "here", user: "u", item, features: {}, dense: {} };
  return { ...named, label, weight: 1, time: 1, correction };
}

test("a baseline predicts what it was trained on, and never what it is judged on", () => {
  const judge = samples(600, 2);
  function judged(train: readonly PublishedSample[], of: readonly PublishedSample[] = judge) {
    const { measured, refused } = judgeBaseline(model, { backend: plain, batch: 64, train, judge: of });
    expect(refused).toBe(0);
    return summarize(measured, "total");
  }
  const trained = judged(samples(2_000, 1));
  expect(trained.samples).toBe(600);
  expect(trained.auc ?? 0).toBeGreaterThan(0.72);
  expect(trained.calibration ?? 0).toBeGreaterThan(0.8);
  expect(trained.calibration ?? 9).toBeLessThan(1.25);
  const untrained = judged([]);
  expect(Math.abs((untrained.auc ?? 0) - 0.5)).toBeLessThan(0.08);
  // Twice the samples to judge: twice the same figures.
  expect(judged(samples(2_000, 1), [...judge, ...judge]).logLoss).toBeCloseTo(trained.logLoss ?? Number.NaN, 9);
});

test("a baseline passes over a batch whose gradients are too large, counts it, and learns from the others", () => {
  const weighty: ModelDeclaration = { ...model, dense: ["age"] };
  const train = samples(2_000, 1);
  // One of the two is predicted as it is not.
  const outsize = [0, 1].map((label) => {
    return { ...sample("big", { item: "3", label, correction: false }), dense: { age: 1e30 } };
  });
  const judge = samples(600, 2);
  function judged(of: readonly PublishedSample[]) {
    const { measured, refused } = judgeBaseline(weighty, { backend: plain, batch: 50, train: of, judge });
    return { refused, ...summarize(measured, "total") };
  }
  const batch = train.slice(1_000, 1_050);
  const whole = judged([...train.slice(0, 1_000), ...train.slice(1_050)]);
  const broken = judged([...train.slice(0, 1_000), ...outsize, ...batch.slice(2), ...train.slice(1_050)]);
  expect(whole.refused).toBe(0);
  expect(broken).toEqual({ ...whole, refused: 1 });
});

/** A stretch of a stream of which each impression is clicked with probability .3, half of the clicks so many impressions after the negative. */
function lateStream(seed: number, delay: number): PublishedSample[] {
  const random = createRandom(seed);
  const published: PublishedSample[][] = Array.from({ length: 16_000 + delay }, () => []);
  for (let at = 0; at < 16_000; at += 1) {
    const item = String(nextBelow(random, 20));
    const isClicked = nextFloat(random) < 0.3;
    const isLate = isClicked && nextFloat(random) < 0.5;
    const named = { item, correction: false };
    if (isClicked && !isLate) published[at]?.push(sample(`r${at}`, { ...named, label: 1 }));
    else published[at]?.push({ ...sample(`r${at}`, { ...named, label: 0 }), late: 0.5 });
    if (isLate) published[at + delay]?.push(sample(`r${at}`, { item, label: 1, correction: true }));
  }
  return published.slice(6_000, 16_000).flat();
}

test.each([20, 2_000, 6_000])(
  "a baseline of negatives that were given early is calibrated, if their positives come %i samples later, before its end or after",
  (delay) => {
    const slow: ModelDeclaration = {
      ...model,
      optimizer: { kind: "adagrad", learningRate: 0.1 },
      denseOptimizer: { kind: "adagrad", learningRate: 0.1 },
    };
    const stream = lateStream(delay, delay);
    const [train, judge] = [stream.slice(0, 6_000), stream.slice(6_000)];
    const { measured } = judgeBaseline(slow, { backend: plain, batch: 64, train, judge });
    const { calibration = 0 } = summarize(measured, "total");
    expect(calibration).toBeGreaterThan(0.92);
    expect(calibration).toBeLessThan(1.08);
  },
);

test("withFinalLabels(): a negative is left out just where its own correction is there", () => {
  const impressions = fc.uniqueArray(
    fc.record({ request: fc.constantFrom("a", "b", "c:d"), item: fc.constantFrom("1", "x:0", "0") }),
    {
      selector: ({ request, item }) => `${request} ${item}`,
      maxLength: 6,
    },
  );
  const fates = fc.array(fc.constantFrom("negative", "positive", "corrected", "correction alone"), {
    minLength: 6,
    maxLength: 6,
  });
  fc.assert(
    fc.property(impressions, fates, (shown, drawn) => {
      const all = shown.flatMap(({ request, item }, at) => {
        const fate = drawn[at] ?? "negative";
        const negative = sample(request, { item, label: 0, correction: false });
        const positive = sample(request, { item, label: 1, correction: fate !== "positive" });
        if (fate === "negative") return [negative];
        return fate === "corrected" ? [negative, positive] : [positive];
      });
      const kept = withFinalLabels(all);
      expect(kept).toHaveLength(shown.length);
      for (const [at, { label }] of kept.entries()) expect(label).toBe(drawn[at] === "negative" ? 0 : 1);
    }),
  );
});
