import { expect, test } from "vitest";
import {
  closeQuality,
  newWatch,
  noteBaseline,
  noteSlices,
  noteWindow,
  type QualityConfig,
  seriesOf,
} from "../actors/watched-model.ts";
import {
  addPrediction,
  createMetrics,
  type ProgressiveMetrics,
  summarize,
} from "../protocols/learning/progressive-metrics.ts";
import { qualityPage } from "../regions/quality-page.ts";
import { type Logger } from "../runtime/actor.ts";
import { createMetrics as createRegistry, type MetricsRegistry } from "../runtime/metrics.ts";
import { expectSoundMarkup } from "./balanced-markup.ts";

const QUALITY: QualityConfig = { windowMs: 60_000, windows: 3, calibration: { low: 0.5, high: 2 } };
const SILENT: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** What a gauge shows, by the slice it is of, or the model. */
function shown(metrics: MetricsRegistry, name: string): ReadonlyMap<string, number> {
  const series = metrics.snapshot().filter((each) => each.name === name);
  return new Map(series.map(({ labels, value }) => [labels["slice"] ?? labels["model"] ?? "", value] as const));
}

/** So many samples, a fourth of them clicked, all predicted alike. */
function measured(samples: number, probability: number): ProgressiveMetrics {
  const metrics = createMetrics({ halfLifeMs: 3_600_000 });
  for (let at = 0; at < samples; at += 1) {
    addPrediction(metrics, {
      probability: at % 8 === 0 ? probability * 0.9 : probability,
      label: at % 4 === 0 ? 1 : 0,
      timeMs: at,
    });
  }
  return metrics;
}

test("a window whose calibration leaves its bounds is told once, and once when it is back; too few samples tell nothing", () => {
  const watch = newWatch(0);
  const lines: string[] = [];
  const log: Logger = {
    debug: () => {},
    info: (text) => void lines.push(`info ${text}`),
    warn: (text, fields) => void lines.push(`warn ${text} ${String(fields?.["of"])}`),
    error: () => {},
  };
  let nowMs = 0;
  const metrics = createRegistry();
  const gauge: unknown[] = [];
  for (const [samples, probability] of [
    [400, 0.25],
    [400, 0.6],
    [100, 0.25],
    [400, 0.6],
    [400, 0.1],
    [400, 0.25],
    [0, 0.25],
  ] as const) {
    noteWindow(watch, { window: measured(samples, probability), slices: new Map() }, QUALITY);
    closeQuality("clicks", watch, { nowMs: (nowMs += 60_000), quality: QUALITY, log, metrics });
    gauge.push(shown(metrics, "freshet_calibration_out_of_bounds").get("all"));
  }
  expect(gauge).toEqual([0, 1, 1, 1, 1, 0, 0]);
  expect(lines).toEqual(["warn Calibration has left its bounds all", "info Calibration is within its bounds again"]);
  const points = seriesOf(watch)[0]?.points ?? [];
  expect(points.map(({ at, samples }) => [at, samples])).toEqual([
    [240_000, 400],
    [300_000, 400],
    [360_000, 400],
  ]);
});

test("the page of quality draws each figure of all samples and of slices, and any name is only a name", () => {
  const watch = newWatch(0);
  const slices = new Map(["new users", "country=<b>de</b>", "country=fr"].map((name) => [name, measured(300, 0.3)]));
  noteSlices("clicks", watch, { slices, metrics: createRegistry() });
  for (let window = 1; window <= 3; window += 1) {
    noteWindow(watch, { window: measured(400, 0.2 + window / 50), slices }, QUALITY);
    const nowMs = window * 60_000;
    closeQuality("clicks", watch, { nowMs, quality: QUALITY, log: SILENT, metrics: createRegistry() });
  }
  const empty = { model: "other", series: [] };
  const options = { region: "oregon", nowMs: 200_000, windowMs: 60_000 };
  const page = qualityPage([{ model: "clicks", series: seriesOf(watch) }, empty], options);
  expectSoundMarkup(page);
  // Four figures of all samples and new users, and four of the countries.
  expect(page.match(/<svg /g)).toHaveLength(8);
  expect(page.match(/<polyline /g)).toHaveLength(16);
  expect(page).not.toContain("<b>");
  expect(page).toContain(">all (400)<");
  expect(page).toContain("Nothing measured yet");
});

test("figures of slices and of a baseline stand in metrics as they stand in what is asked for", () => {
  const watch = newWatch(0);
  const metrics = createRegistry();
  // Of one kind only there is no AUC.
  const clicked = createMetrics({ halfLifeMs: 3_600_000 });
  addPrediction(clicked, { probability: 0.5, label: 1, timeMs: 1 });
  noteSlices("clicks", watch, { slices: new Map([["country=de", measured(400, 0.5)]]), metrics });
  noteSlices("clicks", watch, { slices: new Map([["new users", clicked]]), metrics });
  const { auc = Number.NaN, logLoss = Number.NaN, calibration = Number.NaN } = summarize(measured(400, 0.5), "total");
  const country = "country=de";
  expect([...shown(metrics, "freshet_slice_auc")]).toEqual([[country, auc]]);
  const losses = shown(metrics, "freshet_slice_log_loss");
  expect(losses.get(country)).toBe(logLoss);
  expect(losses.get("new users")).toBeCloseTo(Math.LN2, 9);
  expect(calibration).toBeCloseTo(1.975, 9);
  const calibrations = shown(metrics, "freshet_slice_calibration");
  expect([calibrations.get(country), calibrations.get("new users")]).toEqual([calibration, 0.5]);

  noteBaseline("clicks", watch, { measured: measured(400, 0.5), nowMs: 7, log: SILENT, metrics });
  expect(watch.baseline).toMatchObject({ atMs: 7, samples: 400, auc, logLoss });
  expect(shown(metrics, "freshet_baseline_auc")).toEqual(new Map([["clicks", auc]]));
  expect(shown(metrics, "freshet_baseline_log_loss")).toEqual(new Map([["clicks", logLoss]]));
});
