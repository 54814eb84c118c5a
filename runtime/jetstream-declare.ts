import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";

/** A stream that must exist on the own server. */
export interface StreamDeclaration {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly maxAgeMs?: number;
  readonly maxBytes?: number;
  /** Default 1: a single server. */
  readonly replicas?: number;
  /** How long the server remembers message ids. Default 120,000. */
  readonly duplicateWindowMs?: number;
}

/** A key-value bucket that must exist on the own server. */
export interface BucketDeclaration {
  readonly name: string;
  readonly maxBytes?: number;
  readonly replicas?: number;
}

const NANOS_PER_MS = 1e6;

/** Creates what is missing and brings what is there up to its declaration. Repeating it does nothing. */
export async function declareStreams(
  jsm: JetStreamManager,
  streams: readonly StreamDeclaration[],
  buckets: readonly BucketDeclaration[],
): Promise<void> {
  for (const stream of streams) await ensure(jsm, streamConfig(stream));
  for (const bucket of buckets) await ensure(jsm, bucketConfig(bucket));
}

type Wanted = Partial<StreamConfig> & { name: string };

function streamConfig({
  name,
  subjects,
  maxAgeMs = 0,
  maxBytes = -1,
  replicas = 1,
  duplicateWindowMs = 120_000,
}: StreamDeclaration): Wanted {
  return {
    name,
    subjects: [...subjects],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: maxAgeMs * NANOS_PER_MS,
    max_bytes: maxBytes,
    num_replicas: replicas,
    // The server refuses a window longer than the messages live.
    duplicate_window: (maxAgeMs === 0 ? duplicateWindowMs : Math.min(maxAgeMs, duplicateWindowMs)) * NANOS_PER_MS,
  };
}

/** As the `nats kv` command makes them, so that it can show them. */
function bucketConfig({ name, maxBytes = -1, replicas = 1 }: BucketDeclaration): Wanted {
  return {
    name: `KV_${name}`,
    subjects: [`$KV.${name}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    max_bytes: maxBytes,
    num_replicas: replicas,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
  };
}

async function ensure(jsm: JetStreamManager, wanted: Wanted): Promise<void> {
  try {
    await jsm.streams.info(wanted.name);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await jsm.streams.add(wanted);
    return;
  }
  await jsm.streams.update(wanted.name, wanted);
}

/** Whether an error says that a stream, consumer or message is not there. */
export function isMissing(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.status === 404 || error.code === 10059 || error.code === 10037 || error.code === 10014)
  );
}

/** Whether an error says that somebody else wrote first. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && (error.code === 10071 || error.code === 10164);
}

/** A reader that begins at a sequence, acknowledges nothing and is forgotten by the server a minute after its last request. */
export function readerConfig(fromSeq: number): {
  deliver_policy: DeliverPolicy;
  opt_start_seq: number;
  ack_policy: AckPolicy;
  inactive_threshold: number;
  mem_storage: boolean;
  num_replicas: number;
} {
  return {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: Math.max(1, fromSeq),
    ack_policy: AckPolicy.None,
    inactive_threshold: 60_000 * NANOS_PER_MS,
    mem_storage: true,
    num_replicas: 1,
  };
}
