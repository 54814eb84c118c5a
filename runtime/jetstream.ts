import {
  jetstream,
  jetstreamManager,
  type JetStreamClient,
  JetStreamApiError,
  type JetStreamManager,
  type StoredMsg,
} from "@nats-io/jetstream";
import { type NatsConnection } from "@nats-io/transport-node";
import { type Address, defineActor, Refused } from "./actor.ts";
import {
  type BucketDeclaration,
  declareStreams,
  isConflict,
  isMissing,
  type StreamDeclaration,
} from "./jetstream-declare.ts";
import { ConsumerGone, StreamReader } from "./jetstream-reader.ts";
import { type StreamMessage, type StreamProtocol } from "./stream-protocol.ts";
import { type NatsLinkConnection } from "./transport/nats-connection.ts";

export interface StreamActorOptions {
  readonly region: string;
  readonly streams: readonly StreamDeclaration[];
  readonly buckets: readonly BucketDeclaration[];
}

interface Client {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  /** The own server's streams are there. */
  readonly declared: Promise<void>;
}

const READERS_MAX = 256;
/** One write may be lost with its connection, or be slow. */
const UNANSWERED_MIN = 2;
/** When nobody has tried to write for so long, nothing is known of the stream: another node may have taken over what was to be written. */
const UNANSWERED_MS = 15_000;
const READ_MAX = 5_000;
const WAIT_MS_MAX = 60_000;

/**
 * The actor of `StreamProtocol`. It never holds its mailbox: each request is answered when its server has. A server that is away is a refusal, and
 * the asker tries again.
 */
export function streamActor(
  connections: ReadonlyMap<string, NatsLinkConnection>,
  options: StreamActorOptions,
): unknown {
  return defineActor<StreamProtocol, undefined>({
    kind: "stream",
    messages: ["append", "read", "last", "purge", "reset", "unanswered", "kv-get", "kv-write"],
    setup(_, context) {
      const clients = new Map<string, Promise<Client>>();
      /** Writes in a row that nothing came back for, by stream, and when the last was given up. */
      const unanswered = new Map<string, { readonly writes: number; readonly atMs: number }>();
      connections.get(options.region)?.onUp(() => unanswered.clear());
      function unansweredLately(stream: string): number {
        const { writes, atMs } = unanswered.get(stream) ?? { writes: 0, atMs: 0 };
        return performance.now() - atMs < UNANSWERED_MS ? writes : 0;
      }
      const readers = new Map<string, { reader: StreamReader; last: Promise<unknown> }>();

      async function open(region: string, nc: NatsConnection): Promise<Client> {
        const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 5000 });
        const declared =
          region === options.region ? declareStreams(jsm, options.streams, options.buckets) : Promise.resolve();
        declared.catch(() => undefined); // whoever needs it waits for it
        return { nc, js: jetstream(nc, { timeout: 5000 }), jsm, declared };
      }

      async function client(region: string): Promise<Client> {
        const nc = connections.get(region)?.live;
        if (nc === undefined) {
          throw new Refused(
            connections.has(region) ? `the link to ${region} is down` : `there is no link to ${region}`,
          );
        }
        const held = await clients.get(region)?.catch(() => undefined);
        if (held?.nc === nc) {
          try {
            await held.declared;
            return held;
          } catch {
            // Tried again below, on the same connection.
          }
        }
        const made = open(region, nc);
        clients.set(region, made);
        const fresh = await made;
        await fresh.declared;
        return fresh;
      }

      /** Answers later with what the work gives; a failure of the server's is refused with its own words. */
      function later<Reply>(work: () => Promise<Reply>): ReturnType<typeof context.later<Reply>>["reply"] {
        const promised = context.later<Reply>();
        work().then(
          (value) => promised.resolve(value),
          (error: unknown) => {
            context.metrics.count("freshet_stream_failures_total");
            promised.reject(error instanceof Refused ? error : refusal(error));
          },
        );
        return promised.reply;
      }

      async function write(options_: {
        stream: string;
        subject: string;
        body: Uint8Array | string;
        expect: Parameters<JetStreamClient["publish"]>[2];
      }): Promise<{ seq: number; duplicate: boolean } | undefined> {
        const { stream, subject, body, expect } = options_;
        const { js } = await client(options.region);
        try {
          const { seq, duplicate } = await js.publish(subject, body, expect);
          unanswered.delete(stream);
          return { seq, duplicate };
        } catch (error) {
          if (isConflict(error)) return undefined;
          // A refusal says neither that the stream can store nor that it cannot.
          if (!(error instanceof JetStreamApiError)) {
            unanswered.set(stream, { writes: unansweredLately(stream) + 1, atMs: performance.now() });
          }
          throw error;
        }
      }

      async function read(
        { region, stream, fromSeq, max, waitMs }: StreamProtocol["read"]["request"],
        from: Address,
      ): Promise<StreamProtocol["read"]["reply"]> {
        name(stream);
        const { nc, jsm } = await client(region);
        // Each reader has its own place in the stream.
        const key = `${region} ${stream} ${from.region}.${from.kind}.${from.id}`;
        let held = readers.get(key);
        if (held?.reader.isOn(nc) !== true) {
          held = {
            reader: new StreamReader({ nc, jsm, stream, inboxPrefix: `_INBOX_${options.region}` }),
            last: Promise.resolve(),
          };
        }
        readers.delete(key);
        readers.set(key, held);
        const [oldest] = readers;
        if (readers.size > READERS_MAX && oldest !== undefined) {
          readers.delete(oldest[0]);
          void oldest[1].reader.forget();
        }
        const { reader } = held;
        const bounded = {
          fromSeq,
          max: Math.min(READ_MAX, Math.max(1, max)),
          waitMs: Math.min(WAIT_MS_MAX, Math.max(0, waitMs)),
        };
        const result = held.last.catch(() => undefined).then(() => reader.read(bounded));
        held.last = result;
        return result;
      }

      return {
        handlers: {
          append: ({ stream, body, msgId, expectedLastSequence }) =>
            later(async () => {
              const written = await write({
                stream,
                subject: subjectOf(stream, options.streams),
                body,
                expect: {
                  ...(msgId === undefined ? {} : { msgID: msgId }),
                  // Of the subject, which is the only one appended to: the stream's own last number outlives its messages, and
                  // whoever found the stream emptied by its limits could never append again.
                  ...(expectedLastSequence === undefined
                    ? {}
                    : { expect: { lastSubjectSequence: expectedLastSequence } }),
                },
              });
              return written === undefined ? { kind: "conflict" as const } : { kind: "appended" as const, ...written };
            }),
          read: (request, from) => later(() => read(request, from)),
          last: ({ region, stream }) =>
            later(async () => {
              const { jsm } = await client(region);
              const message = await found(jsm.streams.getMessage(name(stream), { last_by_subj: ">" }));
              return message === undefined ? {} : { message };
            }),
          purge: ({ stream, beforeSeq }) =>
            later(async () => {
              const { jsm } = await client(options.region);
              const { purged } = await jsm.streams.purge(name(stream), { seq: beforeSeq });
              return { purged };
            }),
          reset: ({ stream }) =>
            later(async () => {
              const { jsm } = await client(options.region);
              subjectOf(stream, options.streams);
              await jsm.streams.delete(name(stream));
              await declareStreams(jsm, options.streams, options.buckets);
              return {};
            }),
          unanswered: () => ({
            streams: [...unanswered.keys()].filter((stream) => unansweredLately(stream) >= UNANSWERED_MIN),
          }),
          "kv-get": ({ bucket, key }) =>
            later(async () => {
              const { jsm } = await client(options.region);
              const message = await found(
                jsm.streams.getMessage(`KV_${name(bucket)}`, { last_by_subj: kvSubject(bucket, key) }),
              );
              return message === undefined
                ? {}
                : { record: { value: new TextDecoder().decode(message.body), revision: message.seq } };
            }),
          "kv-write": ({ bucket, key, value, revision }) =>
            later(async () => {
              const written = await write({
                stream: bucket,
                subject: kvSubject(bucket, key),
                body: value,
                expect: { expect: { lastSubjectSequence: revision } },
              });
              return written === undefined
                ? { kind: "conflict" as const }
                : { kind: "written" as const, revision: written.seq };
            }),
        },
        async stop() {
          await Promise.all([...readers.values()].map(({ reader }) => reader.forget()));
        },
      };
    },
  });
}

/** Streams are written by the first of their subjects; a wildcard in it stands for nothing in particular. */
function subjectOf(stream: string, streams: readonly StreamDeclaration[]): string {
  const subject = streams.find((declared) => declared.name === stream)?.subjects[0];
  if (subject === undefined) throw new Refused(`stream '${stream.slice(0, 64)}' is not declared here`);
  return subject.replaceAll("*", "all").replace(/>$/, "all");
}

function name(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) {
    throw new Refused(`${JSON.stringify(text.slice(0, 64))} is no name of a stream or bucket`);
  }
  return text;
}

function kvSubject(bucket: string, key: string): string {
  if (!/^[A-Za-z0-9_=/-]+(?:\.[A-Za-z0-9_=/-]+)*$/.test(key) || key.length > 256) {
    throw new Refused(`${JSON.stringify(key.slice(0, 64))} is no key`);
  }
  return `$KV.${name(bucket)}.${key}`;
}

async function found(message: Promise<StoredMsg | null>): Promise<StreamMessage | undefined> {
  try {
    const stored = await message;
    return stored === null
      ? undefined
      : { seq: stored.seq, timeMs: stored.time.getTime(), body: new Uint8Array(stored.data) };
  } catch (error) {
    if (error instanceof JetStreamApiError && isMissing(error) && error.code === 10037) return undefined;
    throw error;
  }
}

function refusal(error: unknown): Refused {
  if (error instanceof JetStreamApiError) return new Refused(error.message, { code: error.code, status: error.status });
  if (error instanceof ConsumerGone) return new Refused(error.message);
  return new Refused(error instanceof Error ? error.message.slice(0, 500) : "the server did not say why");
}
