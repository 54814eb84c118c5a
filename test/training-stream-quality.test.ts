import fc from "fast-check";
import { expect, test } from "vitest";
import { type SlicedPrediction } from "../protocols/learning/quality-slices.ts";
import { ALL, createStreamQuality } from "../regions/train/stream-quality.ts";
import { qualityOf, streamPage } from "../regions/train/stream-report.ts";

const WINDOW_MS = 100;
const START_MS = 1_000;
const OPTIMIZER = { kind: "adagrad", learningRate: 0.1 } as const;
const HOW = { windowMs: WINDOW_MS, startMs: START_MS, features: ["device"] };

const stream: fc.Arbitrary<readonly SlicedPrediction[]> = fc
  .array(
    fc.record({
      pause: fc.oneof(fc.nat(30), fc.constantFrom(WINDOW_MS, 5 * WINDOW_MS)),
      values: fc.tuple(fc.constantFrom("a", "b", "")),
      probability: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      label: fc.constantFrom(0, 1),
      isNewUser: fc.boolean(),
      isNewItem: fc.boolean(),
    }),
    { minLength: 1, maxLength: 30, size: "max" },
  )
  .map((drawn) => {
    let timeMs = START_MS;
    return drawn.map(({ pause, ...rest }) => ({ ...rest, weight: 1, timeMs: (timeMs += pause) }));
  });

function slicesOf({ values, isNewUser, isNewItem }: SlicedPrediction): string[] {
  return [ALL, ...(isNewUser ? ["new users"] : []), ...(isNewItem ? ["new items"] : []), `device=${values[0] ?? ""}`];
}

function meanLoss(of: readonly SlicedPrediction[]): number {
  const losses = of.map(({ probability, label }) => -Math.log(label === 1 ? probability : 1 - probability));
  return losses.reduce((sum, each) => sum + each, 0) / of.length;
}

test("createStreamQuality(): each prediction is in the window of its time, of all and of its slices; totals are of all windows", () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(30), { maxLength: 2 }), (predictions, cuts) => {
      let quality = createStreamQuality({ ...HOW, kept: undefined });
      let closed = 0;
      for (const [at, prediction] of predictions.entries()) {
        if (cuts.includes(at)) {
          quality = createStreamQuality({ ...HOW, kept: structuredClone(quality.state()) });
        }
        closed += quality.measure(prediction)?.samples ?? 0;
      }
      const before = qualityOf(quality.state());
      closed += quality.end()?.samples ?? 0;
      const after = qualityOf(quality.state());
      expect(closed).toBe(predictions.length);
      // A window that is open counts as well.
      expect(before.quality.samples).toBe(predictions.length);
      const bySlice = new Map<string, SlicedPrediction[]>();
      for (const prediction of predictions) {
        for (const slice of slicesOf(prediction)) bySlice.set(slice, [...(bySlice.get(slice) ?? []), prediction]);
      }
      const found = new Map([
        [ALL, after.quality],
        ...after.slices.map(({ slice, ...rest }) => [slice, rest] as const),
      ]);
      expect(new Set(found.keys())).toEqual(new Set(bySlice.keys()));
      for (const [slice, of] of bySlice) {
        const measured = found.get(slice);
        expect(measured?.samples).toBe(of.length);
        expect(measured?.logLoss).toBeCloseTo(meanLoss(of), 9);
        const windows = Map.groupBy(of, ({ timeMs }) => Math.floor((timeMs - START_MS) / WINDOW_MS));
        expect(measured?.windows.map(({ at, samples }) => [at, samples])).toEqual(
          [...windows].map(([window, each]) => [START_MS + (window + 1) * WINDOW_MS, each.length]),
        );
        for (const [at, each] of [...windows.values()].entries()) {
          expect(measured?.windows[at]?.logLoss).toBeCloseTo(meanLoss(each), 9);
        }
      }
    }),
    { numRuns: 15 },
  );
});

test("streamPage() draws no window of a hundredth of an average one's samples, in no line, and says so", () => {
  const quality = createStreamQuality({ ...HOW, kept: undefined });
  for (let at = 0; at < 5_003; at += 1) {
    // Ten windows of 500 that are predicted well; in the last are few, which are not.
    const isLast = at >= 5_000;
    const timeMs = START_MS + (isLast ? 50 : Math.floor(at / 500)) * WINDOW_MS;
    const label = at % 2 === 0 ? 1 : 0;
    const probability = (label === 1) === isLast ? 0.01 : 0.99;
    quality.measure({ timeMs, label, probability, weight: 1, values: ["a"], isNewUser: false, isNewItem: false });
  }
  quality.end();
  const [fromMs, toMs] = [START_MS, START_MS + 51 * WINDOW_MS];
  const report = {
    model: {
      name: "news",
      shards: 1,
      architecture: { kind: "logistic" },
      tables: [],
      dense: [],
      optimizer: OPTIMIZER,
      denseOptimizer: OPTIMIZER,
    },
    data: {
      folder: "folder",
      title: "title",
      clicks: 500,
      unknown: 0,
      samples: 5_003,
      from: new Date(fromMs).toISOString(),
      to: new Date(toMs).toISOString(),
      keys: {},
      broken: 0,
      late: 0,
    },
    settings: { batch: 256, seed: 1, windowMs: WINDOW_MS },
    backend: "plain",
    ...qualityOf(quality.state()),
    refused: { batches: 0, samples: 0 },
    done: 5_003,
    isOver: true,
    rows: {},
    samplesPerSecond: 1,
  } as const;
  const page = streamPage(report);
  expect(report.quality.windows).toHaveLength(11);
  expect(page).toContain("samples are not drawn: 1 here, which report.json has.");
  expect(page).toContain("all (500)");
  expect(page).toContain("device=a (500)");
  const drawn = [...page.matchAll(/<polyline[^>]* points="([^"]*)"/g)].map(([, points = ""]) => points.split(" "));
  for (const points of drawn) expect(points).toHaveLength(10);
  const even = { ...report, quality: { ...report.quality, windows: report.quality.windows.slice(0, 10) } };
  expect(streamPage(even)).not.toContain("not drawn");
});
