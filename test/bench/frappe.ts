import { existsSync } from "node:fs";
import { modelLayout } from "../../protocols/model-layout.ts";
import { loadSamples } from "../../regions/train/load-samples.ts";
import { figures } from "../../regions/train/training-report.ts";
import { runTraining, type TrainingRun } from "../../regions/train/training-run.ts";
import { kernelsBackend } from "../../runtime/compute/kernels-backend.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { FRAPPE_MODELS, type FrappeModel } from "./frappe-models.ts";

/** Where the data set lies beside a checkout; it may not be redistributed. */
const USUAL_FOLDER = "../shared/data/frappe_x1";
const BEST = { auc: 0.982, logLoss: 0.165 };

/** Each built-in model on Frappe's test part, beside what was published for its like. */
export async function* frappe({ data, seed, signal, progress }: BenchOptions): AsyncGenerator<BenchFigure> {
  const folder = data ?? USUAL_FOLDER;
  if (data === undefined && !existsSync(folder)) {
    progress.write(
      `Skipped: there is no ${folder}; name a folder with Frappe's train, valid and test.csv.gz by --data\n`,
    );
    return;
  }
  const ran: { readonly name: string; readonly run: TrainingRun }[] = [];
  for (const entry of FRAPPE_MODELS) {
    const { name } = entry.model;
    const run = await trained(entry, { folder, seed, signal, say: (line) => progress.write(`${name}: ${line}\n`) });
    if (signal.aborted) return;
    ran.push({ name, run });
    yield* figuresOf(entry, run);
  }
  const best = ran.toSorted((one, other) => (other.run.test?.auc ?? 0) - (one.run.test?.auc ?? 0))[0];
  if (best?.run.test === undefined) return;
  const { auc = 0, logLoss } = best.run.test;
  yield figure(`best (${best.name}): test AUC`, { value: auc, target: `>= ${BEST.auc}`, met: auc >= BEST.auc });
  yield figure(`best (${best.name}): test log loss`, {
    value: logLoss,
    target: `<= ${BEST.logLoss}`,
    met: logLoss <= BEST.logLoss,
  });
}

async function trained(
  { model, settings }: FrappeModel,
  of: {
    readonly folder: string;
    readonly seed: number;
    readonly signal: AbortSignal;
    readonly say: (line: string) => void;
  },
): Promise<TrainingRun> {
  const { folder, seed, signal, say } = of;
  return runTraining({
    layout: modelLayout(model),
    data: await loadSamples(folder, { model, say: () => undefined }),
    backend: kernelsBackend(),
    settings: { ...settings, seed },
    checkpoints: undefined,
    saveMs: Infinity,
    onRefused: () => undefined,
    signal,
    onResume: () => undefined,
    onProgress: () => undefined,
    onPass: ({ pass, trainLoss, valid }) => say(`pass ${pass}  train ${trainLoss.toFixed(4)}  valid ${figures(valid)}`),
  });
}

function* figuresOf(
  { model: { name }, published, aucTarget }: FrappeModel,
  { test, results, best, samples, seconds }: TrainingRun,
): Generator<BenchFigure> {
  const { auc = Number.NaN, logLoss = Number.NaN } = test ?? {};
  yield figure(`${name}: test AUC`, {
    value: auc,
    ...(published === undefined ? {} : { compared: `published ${published.auc}`, ratio: auc / published.auc }),
    ...(aucTarget === undefined ? {} : { target: `>= ${aucTarget}`, met: auc >= aucTarget }),
  });
  yield figure(`${name}: test log loss`, {
    value: logLoss,
    ...(published === undefined
      ? {}
      : { compared: `published ${published.logLoss}`, ratio: logLoss / published.logLoss }),
  });
  yield figure(`${name}: valid AUC of the best of ${results.length} passes`, {
    value: results.find(({ pass }) => pass === best)?.valid.auc ?? Number.NaN,
  });
  yield { ...figure(`${name}: learned`, { value: samples / seconds }), unit: "samples/s" };
}

function figure(name: string, of: Omit<BenchFigure, "bench" | "figure" | "unit">): BenchFigure {
  return { bench: "frappe", figure: name, unit: "", ...of };
}
