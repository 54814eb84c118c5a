import * as z from "zod";
import { type LocalModel } from "../../protocols/learning/local-model.ts";
import { progressiveMetrics, qualityPoint } from "./checkpoint.ts";
import { modelParts, sketchesOf } from "./model-parts.ts";
import { loadImage, runImagePlace, saveImage } from "./run-image.ts";
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

/** Checkpoints of one pass over a stream. `onDamage` hears why the newest is not used, where the one before is. */
export function openStreamCheckpoints(
  folder: string,
  { run, onDamage }: { readonly run: string; readonly onDamage: (why: string) => void },
): StreamCheckpoints {
  const place = runImagePlace(folder);
  function partsOf(model: LocalModel, learned: readonly Uint8Array[]): readonly Uint8Array[] {
    return [...modelParts(model, { counts: true }), ...learned];
  }
  return {
    save(model, { at, quality }, learned) {
      const left = sketchesOf(model).map((sketch) => sketch.left);
      const kept = { run, at, quality, left };
      return saveImage(place, { header: kept, parts: partsOf(model, learned) });
    },
    async load(model, learned) {
      const kept = await loadImage(place, { run, header, partsOf: () => partsOf(model, learned), onDamage });
      if (kept === undefined) return undefined;
      for (const [index, sketch] of sketchesOf(model).entries()) sketch.left = kept.left[index] ?? sketch.left;
      return { at: kept.at, quality: kept.quality };
    },
  };
}
