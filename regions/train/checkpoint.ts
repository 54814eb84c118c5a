/*
 * Where a training run stands, on disk: one image, written whole or not at all (runtime/image-files.ts). Layout:
 *   4   length of the header in bytes, little-endian
 *       the header, JSON: what the run is, and its results
 *       of each table with a rule of admission: a byte a key, 1 if it has a row; in the first pass also the counts of each shard
 *       the floats of each table and group, little-endian: values, state, the best pass's values
 *   4   CRC-32C of all bytes before
 */
import { join } from "node:path";
import * as z from "zod";
import { type CountSketch } from "../../protocols/learning/count-sketch.ts";
import { type LocalModel } from "../../protocols/learning/local-model.ts";
import { type PassResult } from "../../protocols/learning/passes.ts";
import { type QualityHistory } from "../../protocols/learning/quality-history.ts";
import { crc32c } from "../../protocols/wire/checksum.ts";
import { nodeDisk } from "../../runtime/disk.ts";
import { imagePath, prepareImageFolder, readPiece, writePiece } from "../../runtime/image-files.ts";

export interface Checkpoint {
  readonly results: readonly PassResult[];
  /** Samples of the pass that runs, and their losses. */
  readonly done: number;
  readonly lossSum: number;
  readonly history: QualityHistory;
  readonly bestValues: readonly Float32Array<ArrayBuffer>[];
}

export interface CheckpointStore {
  save(model: LocalModel, checkpoint: Checkpoint): Promise<void>;
  /** Puts values and state back into the model; undefined where nothing was kept. Throws where what was kept is another run's. */
  load(model: LocalModel): Promise<Checkpoint | undefined>;
}

/** What is kept is of another run, or broken. */
export class UnusableCheckpoint extends Error {
  override readonly name = "UnusableCheckpoint";

  constructor(folder: string, why: string) {
    super(
      `Cannot go on from ${JSON.stringify(folder)}: ${why}. Choose another folder with --out, or start anew with --restart`,
    );
  }
}

const NAME = "training";
const BYTES_MAX = 4 * 2 ** 30;

const metrics = z.object({
  samples: z.number(),
  positives: z.number(),
  auc: z.number().exactOptional(),
  logLoss: z.number(),
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
const point = z.object({
  at: z.number(),
  samples: z.number(),
  auc: z.number().exactOptional(),
  logLoss: z.number().exactOptional(),
  calibration: z.number().exactOptional(),
  labelRate: z.number().exactOptional(),
});
const history = z.object({
  pointsMax: z.number(),
  points: z.array(point),
  open: z.object({
    halfLifeMs: z.number(),
    landmarkMs: z.number(),
    newestMs: z.number(),
    nonFinite: z.number(),
    total: tally,
    recent: tally,
  }),
});
const header = z.object({
  run: z.string(),
  done: z.number(),
  lossSum: z.number(),
  history,
  /** Of each filter of admission: counts until all are halved. */
  left: z.array(z.number()).exactOptional(),
  results: z.array(z.object({ pass: z.number(), rate: z.number(), trainLoss: z.number(), valid: metrics })),
});

/** Checkpoints of one run in a folder. `run` says what it is: model, data and settings, so that no other is taken for it. */
export function openCheckpoints(folder: string, { run }: { readonly run: string }): CheckpointStore {
  return {
    async save(model, { results, done, lossSum, history: windows, bestValues }) {
      await prepareImageFolder(nodeDisk, folder);
      const left = sketchesOf(model, results.length).map((sketch) => sketch.left);
      const kept = { run, done, lossSum, history: windows, results, ...(left.length > 0 && { left }) };
      const head = new TextEncoder().encode(JSON.stringify(kept));
      const parts = partsOf(model, { passes: results.length, bestValues });
      const bytes = new Uint8Array(8 + head.length + parts.reduce((sum, { length }) => sum + length, 0));
      const view = new DataView(bytes.buffer);
      view.setUint32(0, head.length, true);
      bytes.set(head, 4);
      let at = 4 + head.length;
      for (const part of parts) {
        bytes.set(part, at);
        at += part.length;
      }
      view.setUint32(at, crc32c(bytes, 0, at), true);
      await writePiece({ disk: nodeDisk, folder, name: NAME }, bytes);
    },
    async load(model) {
      const bytes = await readPiece({ disk: nodeDisk, folder, name: NAME }, BYTES_MAX);
      if (bytes === undefined) return undefined;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const end = bytes.length - 4;
      if (end < 4 || view.getUint32(end, true) !== crc32c(bytes, 0, end)) {
        throw new UnusableCheckpoint(folder, "what is kept there is damaged");
      }
      const headEnd = 4 + view.getUint32(0, true);
      const parsed = header.safeParse(JSON.parse(new TextDecoder().decode(bytes.subarray(4, headEnd))));
      if (!parsed.success) throw new UnusableCheckpoint(folder, "it is of another version of freshet");
      const kept = parsed.data;
      if (kept.run !== run) throw new UnusableCheckpoint(folder, "it is of another model, data or settings");
      const bestValues = [...model.embeddings, ...model.groups].map(({ values }) => new Float32Array(values.length));
      const { results, done, lossSum, history: windows, left = [] } = kept;
      let at = headEnd;
      for (const part of partsOf(model, { passes: results.length, bestValues })) {
        part.set(bytes.subarray(at, at + part.length));
        at += part.length;
      }
      for (const [index, sketch] of sketchesOf(model, results.length).entries()) {
        sketch.left = left[index] ?? sketch.left;
      }
      return { results, done, lossSum, history: windows, bestValues };
    },
  };
}

/** Where the image of a folder lies, for those who are told about it. */
export function checkpointPath(folder: string): string {
  return imagePath({ folder: join(folder), name: NAME }, "current");
}

/** The memory that is kept, as bytes. */
function partsOf(
  model: LocalModel,
  { passes, bestValues }: { readonly passes: number; readonly bestValues: readonly Float32Array<ArrayBuffer>[] },
): Uint8Array<ArrayBuffer>[] {
  const floats = [
    ...[...model.embeddings, ...model.groups].flatMap(({ values, state }) => [values, state]),
    ...bestValues,
  ];
  return [
    ...model.embeddings.flatMap(({ admission }) => (admission === undefined ? [] : [admission.hasRow])),
    ...sketchesOf(model, passes).map(({ counters }) => counters),
    ...floats.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength)),
  ];
}

/** What is counted of keys without a row. After the first pass nobody asks for it. */
function sketchesOf({ embeddings }: LocalModel, passes: number): CountSketch[] {
  if (passes > 0) return [];
  return embeddings.flatMap(({ admission }) =>
    (admission?.filters ?? []).flatMap(({ sketch }) => (sketch === undefined ? [] : [sketch])),
  );
}
