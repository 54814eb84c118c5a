import { resolve } from "node:path";
import { plain } from "../../protocols/compute/plain.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { modelLayout } from "../../protocols/model-layout.ts";
import { kernelsBackend } from "../../runtime/compute/kernels-backend.ts";
import { lockStateFolder, StateFolderLocked } from "../../runtime/state-lock.ts";
import { type Terminal, WrongUsage } from "../cli/command.ts";
import { UnknownDataFormat } from "../data/data-errors.ts";
import { type DataSet, openData } from "../data/open-data.ts";
import { replayModel } from "../data/replay-model.ts";
import { readConfig } from "../read-config.ts";
import { hasSamples, NoSamples } from "./read-samples.ts";
import { removeImage } from "./run-image.ts";
import { runTerminal } from "./run-terminal.ts";
import { trainOnClicks } from "./train-on-clicks.ts";
import { trainOnSamples } from "./train-on-samples.ts";
import { type PreparedRun, type TrainRequest } from "./train-request.ts";
import { refuseAges } from "./unfit-tables.ts";

/** Another process trains in the folder. */
class OutInUse extends Error {
  override readonly name = "OutInUse";
}

/** The config has no such model, or several and none was named. */
class NoSuchModel extends Error {
  override readonly name = "NoSuchModel";

  constructor(file: string, why: string) {
    super(`Cannot choose a model of ${JSON.stringify(file)}: ${why}`);
  }
}

/** Options that samples in files have a use for, and clicks have not. */
const OF_SAMPLES: ReadonlySet<string> = new Set(["passes", "patience", "slowdown", "watch", "l2", "dropout"]);

/** What `freshet train` does. Gives the exit code. */
export async function trainCommand(
  request: TrainRequest,
  { terminal, signal }: { readonly terminal: Terminal; readonly signal: AbortSignal },
): Promise<number> {
  const clicks = (await hasSamples(request.data)) ? undefined : await openClicks(request.data);
  refuseOptions(request, clicks);
  const model = await chooseModel(request, { env: terminal.env, clicks });
  refuseAges(model);
  const run: PreparedRun = {
    request,
    layout: modelLayout(model),
    rules: model.tables.flatMap(({ name, admit, unknown }) =>
      admit === undefined && unknown === undefined ? [] : [{ name, admit, unknown }],
    ),
    out: resolve(request.out ?? `training-${model.name}`),
    backend: request.backend === "plain" ? plain : kernelsBackend(),
    terminal: runTerminal(terminal, { json: request.json }),
    signal,
  };
  await using _ = await lockOut(run.out, model.name);
  if (model.negativesKept !== undefined) {
    run.terminal.say('The model\'s "negativesKept" changes nothing here: all negatives are learned from');
  }
  if (request.restart) await removeImage(run.out);
  return clicks === undefined ? await trainOnSamples(run) : await trainOnClicks(run, clicks);
}

/** Two runs in one folder would write over each other's checkpoints. */
async function lockOut(out: string, model: string): Promise<AsyncDisposable> {
  try {
    return await lockStateFolder(out, { owner: `freshet train ${model}` });
  } catch (error) {
    if (!(error instanceof StateFolderLocked)) throw error;
    throw new OutInUse(
      `Cannot train in ${JSON.stringify(out)}: process ${error.pid} ('${error.owner}') is at it. Wait for it, or choose another folder with --out`,
    );
  }
}

/** A folder of clicks, or `NoSamples` where it is neither that nor one of samples. */
async function openClicks(folder: string): Promise<DataSet> {
  try {
    return await openData(folder);
  } catch (error) {
    if (!(error instanceof UnknownDataFormat)) throw error;
    throw new NoSamples(folder, `there is no train.csv or train.csv.gz, and no file of clicks: ${error.why}`);
  }
}

function refuseOptions({ given, config, data }: TrainRequest, clicks: DataSet | undefined): void {
  const folder = JSON.stringify(data);
  if (clicks === undefined) {
    if (given.includes("window")) {
      throw new WrongUsage("train", `--window is for clicks; ${folder} has samples in train.csv, without times`);
    }
    if (config !== undefined) return;
    throw new WrongUsage(
      "train",
      `--config FILE is missing: the samples of ${folder} are for a model that it declares`,
    );
  }
  const unfit = given.find((name) => OF_SAMPLES.has(name));
  if (unfit === undefined) return;
  throw new WrongUsage(
    "train",
    `--${unfit} is for samples in train.csv; ${folder} has clicks, of which each is learned once, in time order`,
  );
}

async function chooseModel(
  { config, model: wanted }: TrainRequest,
  { env, clicks }: { readonly env: Terminal["env"]; readonly clicks: DataSet | undefined },
): Promise<ModelDeclaration> {
  if (config === undefined && clicks !== undefined) {
    if (wanted === undefined) return replayModel(clicks);
    throw new WrongUsage("train", "--model names a model of --config FILE, which is missing");
  }
  const { models } = await readConfig(config ?? "", { env });
  const names = models.map(({ name }) => name).join(", ");
  if (wanted === undefined) {
    const [only, another] = models;
    if (only === undefined || another !== undefined) {
      throw new NoSuchModel(config ?? "", `it has ${names}; name one with --model`);
    }
    return only;
  }
  const found = models.find(({ name }) => name === wanted);
  if (found === undefined) throw new NoSuchModel(config ?? "", `it has ${names}, not ${JSON.stringify(wanted)}`);
  return found;
}
