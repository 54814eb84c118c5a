import { keyOf, shardOf } from "../protocols/keys.ts";
import { decodeSampleBatch, type PublishedSample } from "../protocols/learning/sample-batch.ts";
import { CATALOGUE } from "../protocols/model-layout.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type Context } from "../runtime/actor.ts";
import { type StreamMessage } from "../runtime/stream-protocol.ts";
import { type Sighting } from "./shard-protocol.ts";
import { type TrainerProtocol } from "./trainer.ts";

/** Samples up to one position of the stream. */
export interface Batch {
  readonly seq: number;
  readonly samples: readonly PublishedSample[];
}

/** A message that waits to be learned from; none where it is another trainer's. */
export interface Queued {
  readonly seq: number;
  readonly message: StreamMessage | undefined;
  /** Once they were looked at. */
  samples: readonly PublishedSample[] | undefined;
}

/** The samples of a message of the stream; none where it cannot be read, which is counted. */
export function decode(
  message: StreamMessage,
  context: Context<TrainerProtocol>,
  labels: { readonly model: string },
): Batch {
  try {
    return { seq: message.seq, samples: decodeSampleBatch(message.body).samples };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    context.metrics.count("freshet_batches_refused_total", 1, { ...labels, reason: "undecodable" });
    context.log.warn("A message of samples cannot be read; passed over", { why: error.message, seq: message.seq });
    return { seq: message.seq, samples: [] };
  }
}

/** Each item of some samples, by the shard of its catalogue row: how often it was clicked, and when last. */
export function sightingsOf(samples: readonly PublishedSample[], shards: number): readonly (readonly Sighting[])[] {
  const items = new Map<string, { clicks: number; timeMs: number }>();
  for (const { item, label, time } of samples) {
    const known = items.get(item) ?? { clicks: 0, timeMs: time };
    items.set(item, { clicks: known.clicks + label, timeMs: Math.max(known.timeMs, time) });
  }
  const byShard = Array.from({ length: shards }, (): Sighting[] => []);
  for (const [item, seen] of items) {
    const key = keyOf(item);
    byShard[shardOf(CATALOGUE, key, shards)]?.push({ item, key, ...seen });
  }
  return byShard;
}
