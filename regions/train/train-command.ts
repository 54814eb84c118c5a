import { rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { plain } from "../../protocols/compute/plain.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { modelLayout } from "../../protocols/model-layout.ts";
import { kernelsBackend } from "../../runtime/compute/kernels-backend.ts";
import { lockStateFolder } from "../../runtime/state-lock.ts";
import { type Terminal } from "../cli/command.ts";
import { describeBroken } from "../data/data-report.ts";
import { readConfig } from "../read-config.ts";
import { openCheckpoints } from "./checkpoint.ts";
import { describeRefusal } from "./describe-refusal.ts";
import { type LoadedSamples, loadSamples } from "./load-samples.ts";
import { checkpointPath } from "./run-image.ts";
import { figures, reportPage, type TrainingReport } from "./training-report.ts";
import { type PassProgress, runTraining, type TrainingSettings } from "./training-run.ts";
import { refuseAges, refuseTightBudgets } from "./unfit-tables.ts";

export interface TrainRequest {
  readonly config: string;
  readonly data: string;
  readonly model: string | undefined;
  readonly out: string | undefined;
  readonly backend: "kernels" | "plain";
  readonly settings: TrainingSettings;
  readonly saveMs: number;
  readonly restart: boolean;
  readonly json: boolean;
}

/** The config has no such model, or several and none was named. */
class NoSuchModel extends Error {
  override readonly name = "NoSuchModel";

  constructor(file: string, why: string) {
    super(`Cannot choose a model of ${JSON.stringify(file)}: ${why}`);
  }
}

/** What `freshet train` does. Gives the exit code. */
export async function trainCommand(
  request: TrainRequest,
  { terminal, signal }: { readonly terminal: Terminal; readonly signal: AbortSignal },
): Promise<number> {
  const { settings, json } = request;
  const stream = json ? terminal.err : terminal.out;
  function say(line: string): void {
    stream.write(`${stream.isTTY ? ERASE_LINE : ""}${line}\n`);
  }
  const model = await chooseModel(request, terminal.env);
  refuseAges(model);
  const out = resolve(request.out ?? `training-${model.name}`);
  await using _ = await lockStateFolder(out, { owner: `freshet train ${model.name}` });
  if (model.negativesKept !== undefined) say(ALL_NEGATIVES);
  const layout = modelLayout(model);
  const data = await loadSamples(request.data, { model, say });
  describeData(data, say);
  refuseTightBudgets(layout, data);
  const rules = model.tables.flatMap(({ name, admit, unknown }) =>
    admit === undefined && unknown === undefined ? [] : [{ name, admit, unknown }],
  );
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
  if (request.restart) await rm(checkpointPath(out), { force: true });
  const ran = await runTraining({
    layout,
    data,
    backend: request.backend === "plain" ? plain : kernelsBackend(),
    settings,
    checkpoints: openCheckpoints(out, { run }),
    saveMs: request.saveMs,
    signal,
    onResume: (passes, done) => say(`Goes on after ${passes} passes and ${done} samples of the next`),
    onProgress(progress) {
      if (stream.isTTY) stream.write(`${ERASE_LINE}${describeProgress(progress)}`);
    },
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
  await writeFile(join(out, "report.json"), `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFile(join(out, "report.html"), reportPage(report));
  if (ran.isOver) say(`best   pass ${ran.best}${ran.test === undefined ? "" : `, on test ${figures(ran.test)}`}`);
  else say("Stopped; the same command goes on from here");
  say(`Report ${join(out, "report.html")}`);
  if (json) terminal.out.write(`${JSON.stringify(report)}\n`);
  return ran.isOver ? 0 : 1;
}

const ALL_NEGATIVES = 'The model\'s "negativesKept" changes nothing here: all negatives are learned from';
const ERASE_LINE = "\r\u001B[2K";

async function chooseModel({ config, model: wanted }: TrainRequest, env: Terminal["env"]): Promise<ModelDeclaration> {
  const { models } = await readConfig(config, { env });
  const names = models.map(({ name }) => name).join(", ");
  if (wanted === undefined) {
    const [only, another] = models;
    if (only === undefined || another !== undefined) {
      throw new NoSuchModel(config, `it has ${names}; name one with --model`);
    }
    return only;
  }
  const found = models.find(({ name }) => name === wanted);
  if (found === undefined) throw new NoSuchModel(config, `it has ${names}, not ${JSON.stringify(wanted)}`);
  return found;
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

function describeProgress({ pass, done, samples, perSecond }: PassProgress): string {
  const left = perSecond > 0 ? `, ${Math.ceil((samples - done) / perSecond)} s left of it` : "";
  return `pass ${pass}  ${Math.floor((100 * done) / samples)} % of ${samples} samples, ${Math.round(perSecond)} a second${left}`;
}
