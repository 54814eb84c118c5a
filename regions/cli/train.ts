import { type Arguments } from "./arguments.ts";
import { type Command, type Terminal, WrongUsage } from "./command.ts";
import { stopSignal } from "./stop-signal.ts";

/** `freshet train`. */
export const train: Command = {
  name: "train",
  summary: "Train a model of a config on a data set: samples in several passes, clicks in one",
  operands: "",
  operandsMin: 0,
  operandsMax: 0,
  description: [
    "Samples: DIR holds train.csv, valid.csv and, if there is one, test.csv (or .csv.gz). Their first lines name a column label, 0 or 1, and",
    "one for each table's key and dense feature of the model; the entries of a list are parted by |. After each pass the model is judged on",
    "valid; it ends after --passes, or when --patience passes in a row were no better, and is then judged on test as it was after the best",
    "pass. This is for the small public sets that need it.",
    "Clicks: DIR holds clicks_hour_*.csv.gz of Globo.com, or ratings.csv and movies.csv of MovieLens. They are replayed as by `freshet demo",
    "--data`, and learned once, in time order, as regions do it, but in this process alone. Each sample is predicted before it is learned from:",
    "AUC, log loss and calibration are shown by window of the clicks' own time, of all samples, of new users and items, and of values of the",
    "model's slices. They are read twice: first to know their keys. A model may read user, item, the features of the clicks, and the numbers",
    "age and popularity.",
    "Rules of admission (admit, unknown) of the model's tables hold: of samples, keys get their rows in the first pass, or not at all. A table",
    "with a ttl is refused, as no row goes here, and so is one whose budget has room for fewer rows than the samples have keys. precision,",
    "memory and negativesKept change nothing.",
    "An empty cell of a number is a missing number, 0; one that is no decimal number, or larger than 32 bits hold, makes its line a broken one.",
    "A batch whose gradients must not enter a model is not learned from: the first are named, all are counted.",
    "Ctrl-C stops it; the same command goes on from there, to the same end. Killed, it goes on from the last checkpoint, of --save-every",
    "before. report.json, report.html and the checkpoint are written to --out.",
    "Exit code 0 when it ended, 1 when it was stopped before.",
  ].join("\n"),
  options: [
    {
      name: "config",
      value: "FILE",
      about: "The config file that declares the model",
      default: "for clicks: a model of all they have",
    },
    { name: "data", value: "DIR", about: "The data set: samples or clicks" },
    { name: "model", value: "NAME", about: "Which model of the config", default: "its only one" },
    { name: "out", value: "DIR", about: "Where the report and the checkpoint go", default: "training-NAME" },
    { name: "passes", value: "N", about: "At most so many passes", default: "50" },
    { name: "patience", value: "N", about: "Stop after so many passes in a row that were no better", default: "2" },
    { name: "slowdown", value: "X", about: "Multiply the learning rates with it after each of these", default: "0.1" },
    { name: "watch", value: "auc|log-loss", about: "What is better: larger AUC, or smaller log loss", default: "auc" },
    { name: "batch", value: "N", about: "Samples of a step", default: "4096, of clicks 256" },
    { name: "l2", value: "X", about: "Add half of X times each touched row's square to the mean loss", default: "0" },
    {
      name: "dropout",
      value: "X",
      about: "Leave out this share of the embeddings' numbers in each step",
      default: "0",
    },
    {
      name: "window",
      value: "TIME",
      about: "Clicks: show quality by windows of so much of their own time, such as 1h",
      default: "a hundredth of it",
    },
    {
      name: "seed",
      value: "N",
      about: "Seed of what is drawn: order and dropout; of clicks, what was shown",
      default: "1",
    },
    { name: "backend", value: "kernels|plain", about: "What computes", default: "kernels" },
    {
      name: "save-every",
      value: "TIME",
      about: "Write the checkpoint so often, such as 30s: what a kill costs, about",
      default: "1m",
    },
    { name: "restart", about: "Begin anew, whatever --out holds of an earlier run" },
    { name: "json", about: "The report on standard output; progress goes to standard error" },
  ],
  examples: [
    ["freshet train --config regions/examples/training/frappe.jsonc --data frappe_x1", "the model of the example"],
    ["freshet train --data ml-latest-small", "ratings of 4 and more as clicks, with a model of all that they have"],
    [
      "freshet train --config regions/examples/training/globo.jsonc --data globo --window 6h",
      "clicks, with the model of the example",
    ],
    ["freshet train --config my.jsonc --model ctr --data DIR --watch log-loss --passes 5", "one of several models"],
  ],
  run,
};

const SAVE_MS = 60_000;

async function run(args: Arguments, terminal: Terminal): Promise<number> {
  const [config, data] = [args.text("config"), args.text("data")];
  if (data === undefined) throw new WrongUsage("train", "--data DIR is missing");
  const watch = args.text("watch") ?? "auc";
  if (watch !== "auc" && watch !== "log-loss") throw args.wrong("watch", "auc or log-loss");
  const backend = args.text("backend") ?? "kernels";
  if (backend !== "kernels" && backend !== "plain") throw args.wrong("backend", "kernels or plain");
  const settings = {
    passesMax: args.number("passes", { min: 1, max: 100_000, integer: true }) ?? 50,
    patience: args.number("patience", { min: 1, max: 100_000, integer: true }) ?? 2,
    slowdown: args.number("slowdown", { min: 0.001, max: 1 }) ?? 0.1,
    seed: args.number("seed", { min: 0, max: 0xffff_ffff, integer: true }) ?? 1,
    l2: args.number("l2", { min: 0, max: 1000 }) ?? 0,
    dropout: args.number("dropout", { min: 0, max: 0.95 }) ?? 0,
    watch,
  } as const;
  using stop = stopSignal();
  const { trainCommand } = await import("../train/train-command.ts");
  return await trainCommand(
    {
      config,
      data,
      model: args.text("model"),
      out: args.text("out"),
      backend,
      settings,
      batch: args.number("batch", { min: 1, max: 65_536, integer: true }),
      windowMs: args.duration("window"),
      saveMs: args.duration("save-every") ?? SAVE_MS,
      restart: args.flag("restart"),
      json: args.flag("json"),
      given: args.given,
    },
    { terminal, signal: stop.signal },
  );
}
