import * as z from "zod";
import { type LocalModel } from "../../protocols/learning/local-model.ts";
import { type PassResult } from "../../protocols/learning/passes.ts";
import { type QualityHistory } from "../../protocols/learning/quality-history.ts";
import { floatParts, modelParts, sketchesOf } from "./model-parts.ts";
import { loadImage, runImagePlace, saveImage } from "./run-image.ts";

/** How far a pass is. */
export interface PassState {
  /** Samples passed over, how many of them were learned from, and the losses of these. */
  readonly done: number;
  readonly learned: number;
  readonly lossSum: number;
  /** Batches that were not learned from. */
  readonly refused: number;
}

export interface Checkpoint {
  readonly results: readonly PassResult[];
  readonly pass: PassState;
  readonly history: QualityHistory;
  readonly bestValues: readonly Float32Array<ArrayBuffer>[];
}

export interface CheckpointStore {
  save(model: LocalModel, checkpoint: Checkpoint): Promise<void>;
  /** Puts values and state back into the model; undefined where nothing was kept. Throws where what was kept is another run's. */
  load(model: LocalModel): Promise<Checkpoint | undefined>;
}

// Fields in the order in which they are made: a run that was resumed writes the same report.
const metrics = z.object({
  samples: z.number(),
  positives: z.number(),
  logLoss: z.number(),
  auc: z.number().exactOptional(),
  calibration: z.number().exactOptional(),
});
const tally = z.object({
  samples: z.number(),
  weight: z.number(),
  loss: z.number(),
  predicted: z.number(),
  clicked: z.number(),
  positives: z.array(z.number()),
  negatives: z.array(z.number()),
});

/** One window of quality. */
export const qualityPoint = z.object({
  at: z.number(),
  samples: z.number(),
  auc: z.number().exactOptional(),
  logLoss: z.number().exactOptional(),
  calibration: z.number().exactOptional(),
  labelRate: z.number().exactOptional(),
});

/** What was measured so far. */
export const progressiveMetrics = z.object({
  halfLifeMs: z.number(),
  landmarkMs: z.number(),
  newestMs: z.number(),
  nonFinite: z.number(),
  total: tally,
  recent: tally,
});
const header = z.object({
  run: z.string(),
  pass: z.object({ done: z.number(), learned: z.number(), lossSum: z.number(), refused: z.number() }),
  history: z.object({ pointsMax: z.number(), points: z.array(qualityPoint), open: progressiveMetrics }),
  /** Of each filter of admission: counts until all are halved. */
  left: z.array(z.number()).exactOptional(),
  results: z.array(
    z.object({ pass: z.number(), rate: z.number(), trainLoss: z.number(), refused: z.number(), valid: metrics }),
  ),
});

/**
 * Checkpoints of one run in a folder. `onDamage` hears why the newest is not used, where the one before is. The image's parts are of each table with a rule of admission a byte a key, 1 if it has a row; in the first pass also
 * the counts of each shard; the floats of each table and group, little-endian: values, state, the best pass's values.
 */
export function openCheckpoints(
  folder: string,
  { run, onDamage }: { readonly run: string; readonly onDamage: (why: string) => void },
): CheckpointStore {
  const place = runImagePlace(folder);
  return {
    async save(model, { results, pass, history, bestValues }) {
      // After the first pass nobody asks for what is counted of keys without a row.
      const counts = results.length === 0;
      const left = counts ? sketchesOf(model).map((sketch) => sketch.left) : [];
      const kept = { run, pass, history, results, ...(left.length > 0 && { left }) };
      await saveImage(place, {
        header: kept,
        parts: [...modelParts(model, { counts }), ...floatParts(bestValues)],
      });
    },
    async load(model) {
      const bestValues = [...model.embeddings, ...model.groups].map(({ values }) => new Float32Array(values.length));
      const kept = await loadImage(place, {
        run,
        header,
        partsOf: ({ results: { length } }) => [
          ...modelParts(model, { counts: length === 0 }),
          ...floatParts(bestValues),
        ],
        onDamage,
      });
      if (kept === undefined) return undefined;
      const { results, pass, history, left = [] } = kept;
      for (const [index, sketch] of (results.length === 0 ? sketchesOf(model) : []).entries()) {
        sketch.left = left[index] ?? sketch.left;
      }
      return { results, pass, history, bestValues };
    },
  };
}
