import * as z from "zod";
import { type LocalModel } from "../../protocols/learning/local-model.ts";
import { progressiveMetrics, qualityPoint } from "./checkpoint.ts";
import { modelParts, sketchesOf } from "./model-parts.ts";
import { loadImage, saveImage } from "./run-image.ts";
import { type QualityState } from "./stream-quality.ts";

/** How far a pass over a stream is. */
export interface StreamState {
  /** Batches and samples passed over, and those of them that were not learned from. */
  readonly batches: number;
  readonly done: number;
  readonly refusedBatches: number;
  readonly refusedSamples: number;
}

export interface StreamCheckpoint {
  readonly at: StreamState;
  readonly quality: QualityState;
}

export interface StreamCheckpoints {
  /** `learned`: of each table a byte a key, 1 if it was learned from. */
  save(model: LocalModel, checkpoint: StreamCheckpoint, learned: readonly Uint8Array[]): Promise<void>;
  /** Puts the model and `learned` back; undefined where nothing was kept. Throws where what was kept is another run's. */
  load(model: LocalModel, learned: readonly Uint8Array[]): Promise<StreamCheckpoint | undefined>;
}

const header = z.object({
  run: z.string(),
  at: z.object({
    batches: z.number(),
    done: z.number(),
    refusedBatches: z.number(),
    refusedSamples: z.number(),
  }),
  quality: z.object({
    endMs: z.number(),
    slices: z.array(
      z.object({
        slice: z.string(),
        open: progressiveMetrics,
        closed: progressiveMetrics,
        windows: z.array(qualityPoint),
      }),
    ),
  }),
  /** Of each filter of admission: counts until all are halved. */
  left: z.array(z.number()),
});

/** Checkpoints of one pass over a stream. */
export function openStreamCheckpoints(folder: string, { run }: { readonly run: string }): StreamCheckpoints {
  return {
    save(model, { at, quality }, learned) {
      const left = sketchesOf(model).map((sketch) => sketch.left);
      const parts = [...modelParts(model, { counts: true }), ...learned];
      const kept = { run, at, quality, left };
      return saveImage(folder, { header: kept, parts });
    },
    async load(model, learned) {
      const image = await loadImage(folder, { run, header });
      if (image === undefined) return undefined;
      image.restore([...modelParts(model, { counts: true }), ...learned]);
      for (const [index, sketch] of sketchesOf(model).entries()) sketch.left = image.kept.left[index] ?? sketch.left;
      return { at: image.kept.at, quality: image.kept.quality };
    },
  };
}
