import { describeBroken } from "../data/data-report.ts";
import { openCheckpoints } from "./checkpoint.ts";
import { describeRefusal } from "./describe-refusal.ts";
import { type LoadedSamples, loadSamples } from "./load-samples.ts";
import { describeDamage, describeProgress } from "./run-terminal.ts";
import { type PreparedRun } from "./train-request.ts";
import { figures, reportPage, type TrainingReport } from "./training-report.ts";
import { runTraining } from "./training-run.ts";
import { refuseTightBudgets } from "./unfit-tables.ts";

const BATCH = 4_096;

/** Trains in passes on a folder's labelled samples. Gives the exit code. */
export async function trainOnSamples({
  request,
  layout,
  rules,
  out,
  backend,
  terminal,
  signal,
}: PreparedRun): Promise<number> {
  const { say, progress } = terminal;
  const { model } = layout;
  const settings = { ...request.settings, batch: request.batch ?? BATCH };
  const data = await loadSamples(request.data, { model, say });
  describeData(data, say);
  refuseTightBudgets(layout, data);
  const run = JSON.stringify([
    layout.digest,
    ...rules,
    data.digest,
    settings.batch,
    settings.seed,
    settings.slowdown,
    settings.watch,
    settings.l2,
    settings.dropout,
    request.backend,
  ]);
  const ran = await runTraining({
    layout,
    data,
    backend,
    settings,
    checkpoints: openCheckpoints(out, { run, onDamage: (why) => say(describeDamage(why)) }),
    saveMs: request.saveMs,
    signal,
    onResume: (passes, done) => say(`Goes on after ${passes} passes and ${done} samples of the next`),
    onProgress: (at) => progress(`pass ${at.pass}  ${describeProgress(at)} of it`),
    onPass: ({ pass, trainLoss, valid, refused }) =>
      say(`pass ${pass}  train log loss ${trainLoss.toFixed(5)}  valid ${figures(valid)}${notLearned(refused)}`),
    onRefused(pass, refused) {
      function place(sample: number, column: string): string {
        return `the ${column} of ${data.trainFile}:${data.trainLines[sample] ?? 0}`;
      }
      say(`pass ${pass}  ${describeRefusal(layout, { refused, place })}`);
    },
  });
  const report: TrainingReport = {
    model,
    data: {
      folder: request.data,
      train: data.train.size,
      valid: data.valid.size,
      test: data.test?.size ?? 0,
      keys: Object.fromEntries(model.tables.map(({ name }, at) => [name, data.book[at]?.size ?? 0])),
      broken: data.report.broken,
    },
    settings,
    backend: request.backend,
    passes: ran.results,
    windows: ran.windows,
    bestPass: ran.best,
    isOver: ran.isOver,
    rows: Object.fromEntries(model.tables.map(({ name }, at) => [name, ran.rows[at] ?? 0])),
    samplesPerSecond: ran.seconds === 0 ? 0 : ran.samples / ran.seconds,
    ...(ran.test === undefined ? {} : { test: ran.test }),
    ...(ran.testSlices === undefined ? {} : { testSlices: ran.testSlices }),
  };
  if (ran.isOver) say(`best   pass ${ran.best}${ran.test === undefined ? "" : `, on test ${figures(ran.test)}`}`);
  else say("Stopped; the same command goes on from here");
  await terminal.report(out, report, reportPage(report));
  return ran.isOver ? 0 : 1;
}

function describeData({ train, valid, test, report }: LoadedSamples, say: (line: string) => void): void {
  say(`${train.size} samples to train, ${valid.size} to validate, ${test?.size ?? 0} to test`);
  if (report.broken === 0) return;
  say(`${report.broken} lines were left out:`);
  for (const line of report.firstBroken) say(`  ${describeBroken(line)}`);
}

/** How many batches a pass did not learn from, where there were some. */
function notLearned(batches: number): string {
  return batches === 0 ? "" : `; ${batches} batches not learned from`;
}
