import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Backend } from "../protocols/compute/backend.ts";
import { plain } from "../protocols/compute/plain.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { modelLayout } from "../protocols/model-layout.ts";
import { createRandom, nextBelow, nextFloat } from "../protocols/random.ts";
import { openCheckpoints } from "../regions/train/checkpoint.ts";
import { loadSamples } from "../regions/train/load-samples.ts";
import { runTraining, type TrainingRun } from "../regions/train/training-run.ts";

/** A made data set: whether a user likes an item follows from whether both numbers are even or odd, with one label in ten wrong. */
export async function madeData(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-train-"));
  const random = createRandom(11);
  function part(samples: number): string {
    const lines = Array.from({ length: samples }, () => {
      const [user, item] = [nextBelow(random, 12), nextBelow(random, 12)];
      const likes = (user + item) % 2 === (nextFloat(random) < 0.9 ? 0 : 1);
      return `${likes ? 1 : 0},${user},${item},${nextBelow(random, 3)},${nextFloat(random)}`;
    });
    return ["label,user,item,city,age", ...lines, ""].join("\n");
  }
  await writeFile(join(path, "train.csv"), part(900));
  await writeFile(join(path, "valid.csv.gz"), gzipSync(part(200)));
  await writeFile(join(path, "test.csv"), part(200));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export const model: ModelDeclaration = {
  name: "likes",
  shards: 1,
  architecture: { kind: "deepfm", embedding: 4, deep: [8] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
    { name: "cities", key: "city" },
  ],
  dense: ["age"],
  optimizer: { kind: "adam", learningRate: 0.02 },
  denseOptimizer: { kind: "adam", learningRate: 0.01 },
};
export const settings = {
  passesMax: 12,
  patience: 3,
  slowdown: 0.5,
  watch: "auc",
  batch: 64,
  seed: 3,
  l2: 0.001,
  dropout: 0.1,
} as const;

/** Plain arithmetic that wants to stop after so many batches. */
function stoppingAfter(batches: number, stop: AbortController): Backend {
  let left = batches;
  return {
    name: "stopping",
    compile(program, options) {
      const compiled = plain.compile(program, options);
      return {
        ...compiled,
        backward() {
          left -= 1;
          if (left === 0) stop.abort();
          return compiled.backward();
        },
      };
    },
  };
}

export async function trained(
  folder: string,
  options: {
    readonly out?: string;
    readonly stopAfter?: number;
    readonly run?: string;
    readonly passesMax?: number;
    readonly model?: ModelDeclaration;
    readonly onDamage?: (why: string) => void;
  } = {},
): Promise<TrainingRun> {
  const { model: of = model } = options;
  const data = await loadSamples(folder, { model: of, say: () => undefined });
  const stop = new AbortController();
  return runTraining({
    layout: modelLayout(of),
    data,
    backend: stoppingAfter(options.stopAfter ?? 0, stop),
    settings: { ...settings, passesMax: options.passesMax ?? settings.passesMax },
    checkpoints:
      options.out === undefined
        ? undefined
        : openCheckpoints(options.out, { run: options.run ?? "run", onDamage: options.onDamage ?? (() => undefined) }),
    signal: stop.signal,
    onResume: () => undefined,
    onProgress: () => undefined,
    onPass: () => undefined,
    onRefused: () => undefined,
    saveMs: 60_000,
  });
}
