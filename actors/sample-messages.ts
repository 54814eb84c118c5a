import { fillNumbers, numbersOf } from "../protocols/columns/number-column.ts";
import { placesOf } from "../protocols/columns/column-head.ts";
import { textsOf, valuesOf } from "../protocols/columns/text-column.ts";
import { shardOf } from "../protocols/keys.ts";
import { isKept, type Labels } from "../protocols/learning/label-weights.ts";
import { KeySet } from "../protocols/learning/key-set.ts";
import { decodeSampleColumns } from "../protocols/learning/sample-codec.ts";
import { columnsOfSamples, type SampleColumns, samplesOf } from "../protocols/learning/sample-frame.ts";
import { chooseRows, sizeOf } from "../protocols/learning/training-batch.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { CATALOGUE } from "../protocols/model-layout.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type Context } from "../runtime/actor.ts";
import { type StreamMessage } from "../runtime/stream-protocol.ts";
import { type Sighting } from "./shard-protocol.ts";
import { type TrainerProtocol } from "./trainer.ts";

/** Samples up to one position of the stream, those of one message after the other's. */
export interface Batch {
  readonly seq: number;
  readonly parts: readonly SampleColumns[];
}

/** A message that waits to be learned from; none where it is another trainer's. */
export interface Queued {
  readonly seq: number;
  readonly message: StreamMessage | undefined;
  /** Once they were looked at: the message's, if it has any. */
  parts: readonly SampleColumns[] | undefined;
}

/** The samples of a message of the stream; none where it cannot be read, which is counted. */
export function decode(
  message: StreamMessage,
  context: Context<TrainerProtocol>,
  labels: { readonly model: string },
): readonly SampleColumns[] {
  try {
    const { columns } = decodeSampleColumns(message.body);
    return columns === undefined ? [] : [columns];
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    context.metrics.count("freshet_batches_refused_total", 1, { ...labels, reason: "undecodable" });
    context.log.warn("A message of samples cannot be read; passed over", { why: error.message, seq: message.seq });
    return [];
  }
}

/** Those that a model learns from. Samples are made anew one by one only where it leaves some out. */
export function keptOf(parts: readonly SampleColumns[], model: ModelDeclaration): readonly SampleColumns[] {
  if (model.negativesKept === undefined || model.negativesKept === 1) return parts;
  return parts.flatMap((part) => {
    const labels = numbersOf(part.labels, 0);
    const kept = textsOf(part.ids).map((id, at) => isKept({ id: id ?? "", label: labels[at] ?? 0 }, model));
    if (kept.every(Boolean)) return [part];
    return kept.some(Boolean) ? [columnsOfSamples(samplesOf(part).filter((_, at) => kept[at]))] : [];
  });
}

/** What samples are labelled with, and when they were shown. */
export interface SampleLabels extends Labels {
  readonly times: Float64Array;
}

export function labelsIn(parts: readonly SampleColumns[]): SampleLabels {
  const size = sizeOf(parts);
  const [labels, weights, times] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  const late = parts.some((part) => part.late !== undefined) ? new Float64Array(size).fill(Number.NaN) : undefined;
  let at = 0;
  for (const part of parts) {
    fillNumbers(part.labels, 0, { into: labels, at, every: 1 });
    fillNumbers(part.weights, 0, { into: weights, at, every: 1 });
    fillNumbers(part.times, 0, { into: times, at, every: 1 });
    if (late !== undefined && part.late !== undefined) fillNumbers(part.late, Number.NaN, { into: late, at, every: 1 });
    at += part.size;
  }
  return { labels, weights, times, late };
}

/** By sample: its values of some features, empty where it has none. */
export function valuesIn(parts: readonly SampleColumns[], features: readonly string[]): readonly (readonly string[])[] {
  return parts.flatMap((part) => {
    const columns = features.map((name) => part.features.get(name)).map((column) => column && textsOf(column));
    return Array.from({ length: part.size }, (_, at) => columns.map((texts) => texts?.[at] ?? ""));
  });
}

/** Each item of some samples, by the shard of its catalogue row: how often it was clicked, and when last. */
export function sightingsOf(parts: readonly SampleColumns[], shards: number): readonly (readonly Sighting[])[] {
  const set = new KeySet(sizeOf(parts));
  const { rowOf } = chooseRows({}, { key: "item" }, { parts, set });
  const items: string[] = [];
  const clicks = new Float64Array(set.size);
  const times = new Float64Array(set.size).fill(-Infinity);
  let sample = 0;
  for (const part of parts) {
    const texts = valuesOf(part.item);
    const places = placesOf(part.item);
    const labels = numbersOf(part.labels, 0);
    const shown = numbersOf(part.times, 0);
    for (let at = 0; at < part.size; at += 1, sample += 1) {
      const item = rowOf[sample] ?? 0;
      items[item] ??= texts[places[at] ?? 0] ?? "";
      clicks[item] = (clicks[item] ?? 0) + (labels[at] ?? 0);
      times[item] = Math.max(times[item] ?? 0, shown[at] ?? 0);
    }
  }
  const byShard = Array.from({ length: shards }, (): Sighting[] => []);
  const keys = set.keys();
  for (let at = 0; at < keys.length; at += 1) {
    const key = keys[at] ?? 0n;
    const sighting = { item: items[at] ?? "", key, clicks: clicks[at] ?? 0, timeMs: times[at] ?? 0 };
    byShard[shardOf(CATALOGUE, key, shards)]?.push(sighting);
  }
  return byShard;
}
