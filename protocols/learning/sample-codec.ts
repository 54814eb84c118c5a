/*
 * Messages of samples, written in columns (sample-frame.ts) and read in that form or the one before it (sample-json.ts).
 */
import { type SampleBatch } from "./sample-batch.ts";
import {
  type ColumnBatch,
  columnsOfSamples,
  decodeSampleFrame,
  encodeSampleFrame,
  isSampleFrame,
  samplesOf,
} from "./sample-frame.ts";
import { decodeSampleJson } from "./sample-json.ts";

export function encodeSampleBatch(batch: SampleBatch): Uint8Array<ArrayBuffer> {
  return encodeSampleFrame(batch);
}

/** Decodes or throws `DecodeError`; nothing is taken on trust. */
export function decodeSampleBatch(bytes: Uint8Array): SampleBatch {
  if (!isSampleFrame(bytes)) return decodeSampleJson(bytes);
  const { columns, ...batch } = decodeSampleFrame(bytes);
  return { ...batch, samples: columns === undefined ? [] : samplesOf(columns) };
}

/** The same with the samples in columns. */
export function decodeSampleColumns(bytes: Uint8Array): ColumnBatch {
  if (isSampleFrame(bytes)) return decodeSampleFrame(bytes);
  const { samples, ...batch } = decodeSampleJson(bytes);
  return { ...batch, columns: samples.length === 0 ? undefined : columnsOfSamples(samples) };
}
