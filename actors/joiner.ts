/*
 * Joins every region's impressions and feedback into labelled samples, and publishes them with its positions in one message
 * (protocols/learning/joiner-resume.ts), appended only if nobody else appended: two joiners at once cannot both publish.
 */
import { type FeedbackEvent, parseEvent } from "../protocols/feedback.ts";
import { type JoinerOptions, type Sample } from "../protocols/learning/joiner.ts";
import { passTime, positionsOf, readFrom, type ResumedJoiner, resumeJoiner, takeMessage } from "../protocols/learning/joiner-resume.ts";
import { decodeSampleBatch, encodeSampleBatch, type PublishedSample, type SourcePosition } from "../protocols/learning/sample-batch.ts";
import { type Address, type Context, defineActor, type Outcome } from "../runtime/actor.ts";
import { type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";

export interface JoinerConfig {
  readonly region: string;
  readonly stream: Address;
  /** All regions whose events are joined. */
  readonly sources: readonly string[];
  readonly options: JoinerOptions;
}

export interface JoinerStatus {
  readonly published: number;
  readonly pending: number;
  /** Messages of events not joined yet, over all sources that could be read. */
  readonly backlog: number;
  readonly counts: Readonly<Record<string, number>>;
}

export interface JoinerProtocol {
  readonly status: { request: Record<string, never>; reply: JoinerStatus };
  // To itself.
  readonly begun: { request: { readonly outcome: Outcome<Beginning> }; reply: void };
  readonly arrived: { request: { readonly source: string; readonly outcome: Outcome<Arrival> }; reply: void };
  readonly read: { request: { readonly source: string }; reply: void };
  readonly published: { request: { readonly outcome: Outcome<number> }; reply: void };
  readonly tick: { request: Record<string, never>; reply: void };
}

interface Beginning {
  readonly resumed: ResumedJoiner;
  readonly lastSeq: number;
  readonly wholeSeq: number;
  /** Published after the positions that the stream states: a run of messages was cut off. */
  readonly publishedIds: ReadonlySet<string>;
}

interface Arrival {
  readonly messages: readonly StreamMessage[];
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** The joiner of the training region. */
export const joiner = defineActor<JoinerProtocol, JoinerConfig>({
  kind: "joiner",
  messages: ["status", "begun", "arrived", "read", "published", "tick"],
  setup: (config, context) => {
    const joining = createJoining(config, context);
    joining.begin();
    return {
      handlers: {
        status: () => joining.status(),
        begun: ({ outcome }) => joining.begun(outcome),
        read: ({ source }) => joining.read(source),
        arrived: ({ source, outcome }) => joining.arrived(source, outcome),
        published: ({ outcome }) => joining.published(outcome),
        tick: () => joining.tick(),
      },
    };
  },
});

/** Somebody else appended to the stream of samples: another joiner runs. This one starts again from what the stream says. */
export class AnotherJoiner extends Error {
  override readonly name = "AnotherJoiner";

  constructor() {
    super("Cannot publish samples: somebody else appended to the stream; starting again from its last message");
  }
}

/** The stream of samples has a hole where the last joiner published. Its limits are too small. */
export class SamplesMissing extends Error {
  override readonly name = "SamplesMissing";

  constructor(from: number, last: number) {
    super(`Cannot find out what was published: messages ${from} to ${last} of SAMPLES are gone; raise nats.limits`);
  }
}

const TICK_MS = 250;
const RETRY_MS = 500;
const ASK_MS = 10_000;
const READ_WAIT_MS = 1_000;
const READ_MAX = 64;
/** Samples of one message: a trainer's step takes whole messages. */
const CHUNK_MAX = 128;
/** Events wait here while a message is being stored; beyond it no more is read. */
const QUEUE_MAX = 256;

function createJoining(config: JoinerConfig, context: Context<JoinerProtocol>) {
  const stream = context.ref<StreamProtocol>(config.stream);
  const next = new Map<string, number>();
  const taken = new Map<string, number>();
  const lastSeqs = new Map<string, number>();
  const queue: { readonly source: string; readonly message: StreamMessage }[] = [];
  const waiting: Sample[] = [];
  let resumed: ResumedJoiner | undefined;
  let lastSeq = 0;
  let publishing = false;
  let positionsMoved = false;
  let publishedCount = 0;
  let wholeSeq = 0;
  let positions: readonly SourcePosition[] = [];
  let publishedIds: ReadonlySet<string> = new Set();

  function deadline(ms = ASK_MS): { signal: AbortSignal } {
    return { signal: context.deadline(ms) };
  }

  async function find(): Promise<Beginning> {
    const { message } = await stream.ask("last", { region: config.region, stream: "SAMPLES" }, deadline());
    if (message === undefined) return { resumed: resumeJoiner(config.options, []), lastSeq: 0, wholeSeq: 0, publishedIds: new Set() };
    const { since, positions } = decodeSampleBatch(message.body);
    const publishedIds = since === undefined ? new Set<string>() : await idsBetween(since, message.seq);
    const resumed = resumeJoiner(config.options, positions);
    return { resumed, lastSeq: message.seq, wholeSeq: since ?? message.seq, publishedIds };
  }

  async function idsBetween(since: number, last: number): Promise<Set<string>> {
    const ids = new Set<string>();
    for (let from = since + 1; from <= last; ) {
      const request = { region: config.region, stream: "SAMPLES", fromSeq: from, max: READ_MAX, waitMs: READ_WAIT_MS };
      const { messages } = await stream.ask("read", request, deadline(READ_WAIT_MS + ASK_MS));
      for (const { body } of messages) for (const { id } of decodeSampleBatch(body).samples) ids.add(id);
      const read = messages.at(-1)?.seq;
      if (read === undefined) throw new SamplesMissing(from, last);
      from = read + 1;
    }
    return ids;
  }

  /** The one place that decides what happens next. Positions move only when all samples of the events taken are published. */
  function evaluate(): void {
    if (resumed === undefined || publishing) return;
    if (waiting.length === 0) {
      for (let head = queue.shift(); head !== undefined; head = waiting.length < CHUNK_MAX ? queue.shift() : undefined) {
        const events = readEvents(head.message, context);
        const samples = takeMessage(resumed, { source: head.source, seq: head.message.seq, events }, context.now());
        enqueue(samples);
        taken.set(head.source, head.message.seq);
        positionsMoved = true;
      }
    }
    const chunk = waiting.splice(0, CHUNK_MAX);
    if (chunk.length > 0 || positionsMoved) publish(resumed, chunk);
  }

  function enqueue(samples: readonly Sample[]): void {
    for (const sample of samples) if (!publishedIds.has(sample.id)) waiting.push(sample);
  }

  function publish(state: ResumedJoiner, chunk: readonly Sample[]): void {
    publishing = true;
    const isWhole = waiting.length === 0;
    if (isWhole) {
      positions = positionsOf(state, taken);
      positionsMoved = false;
    }
    const samples = chunk.map(toPublished);
    const body = encodeSampleBatch(isWhole ? { positions, samples } : { since: wholeSeq, positions, samples });
    async function append(): Promise<number> {
      const outcome = await stream.ask("append", { stream: "SAMPLES", body, expectedLastSequence: lastSeq }, deadline());
      if (outcome.kind === "conflict") throw new AnotherJoiner();
      publishedCount += samples.length;
      if (isWhole) {
        wholeSeq = outcome.seq;
        publishedIds = new Set();
      }
      return outcome.seq;
    }
    context.pipe(append(), "published", (outcome) => ({ outcome }));
  }

  return {
    begin(): void {
      context.pipe(find(), "begun", (outcome) => ({ outcome }));
    },
    begun(outcome: Outcome<Beginning>): void {
      if (outcome.kind === "failed") throw outcome.error;
      resumed = outcome.value.resumed;
      positions = [...resumed.before.values()];
      ({ lastSeq, wholeSeq, publishedIds } = outcome.value);
      for (const source of config.sources) {
        next.set(source, readFrom(resumed, source));
        context.after(0, "read", { source });
      }
      context.after(TICK_MS, "tick", {});
    },
    read(source: string): void {
      if (queue.length >= QUEUE_MAX) {
        context.after(TICK_MS, "read", { source });
        return;
      }
      const request = { region: source, stream: "EVENTS", fromSeq: next.get(source) ?? 1, max: READ_MAX, waitMs: READ_WAIT_MS };
      context.pipe(stream.ask("read", request, deadline(READ_WAIT_MS + ASK_MS)), "arrived", (outcome) => ({ source, outcome }));
    },
    arrived(source: string, outcome: Outcome<Arrival>): void {
      if (outcome.kind === "failed") {
        // A region that is cut off keeps its events; they are read when it is back.
        context.metrics.count("freshet_joiner_read_failures_total", 1, { source });
        context.log.debug("Events of a region cannot be read now", { source, why: outcome.error.message });
        context.after(RETRY_MS, "read", { source });
        return;
      }
      const { messages, firstSeq } = outcome.value;
      const from = next.get(source) ?? 1;
      const first = messages[0]?.seq;
      if (first !== undefined && first > from && firstSeq > from) {
        context.metrics.count("freshet_events_lost_total", first - from, { source });
        context.log.error("Events were dropped by the stream's limits before they were joined; raise nats.limits", { source, lost: first - from });
      }
      for (const message of messages) queue.push({ source, message });
      const last = messages.at(-1)?.seq;
      if (last !== undefined) next.set(source, last + 1);
      lastSeqs.set(source, outcome.value.lastSeq);
      context.after(0, "read", { source });
      evaluate();
    },
    published(outcome: Outcome<number>): void {
      // Stored or not, we do not know; the stream does. A fresh start asks it.
      if (outcome.kind === "failed") throw outcome.error;
      lastSeq = outcome.value;
      publishing = false;
      evaluate();
    },
    tick(): void {
      if (resumed !== undefined && !publishing && waiting.length === 0) enqueue(passTime(resumed, context.now()));
      if (resumed !== undefined) {
        context.metrics.gauge("freshet_joiner_pending", resumed.joiner.pending.size);
        for (const [name, count] of Object.entries(resumed.joiner.counts)) context.metrics.gauge(`freshet_joiner_${name.toLowerCase()}`, count);
      }
      evaluate();
      context.after(TICK_MS, "tick", {});
    },
    status(): JoinerStatus {
      let backlog = queue.length;
      for (const source of config.sources) backlog += Math.max(0, (lastSeqs.get(source) ?? 0) - (next.get(source) ?? 1) + 1);
      return {
        published: publishedCount,
        pending: resumed?.joiner.pending.size ?? 0,
        backlog: backlog + waiting.length,
        counts: { ...resumed?.joiner.counts },
      };
    },
  };
}

function readEvents(message: StreamMessage, context: Context<JoinerProtocol>): readonly FeedbackEvent[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(message.body));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
  }
  if (!Array.isArray(parsed)) {
    refuse(context, message.seq, "not a JSON list of events");
    return [];
  }
  const events: FeedbackEvent[] = [];
  for (const value of parsed) {
    const result = parseEvent(value, { nowMs: Number.MAX_SAFE_INTEGER, path: "event" });
    if (result.kind === "event") events.push(result.event);
    else {
      refuse(context, message.seq, `${result.problem.path} must be ${result.problem.allowed}`);
      return [];
    }
  }
  return events;
}

function refuse(context: Context<JoinerProtocol>, seq: number, why: string): void {
  context.metrics.count("freshet_event_messages_refused_total");
  context.log.warn("A message of events cannot be read; left out", { seq, why });
}

function toPublished({ id, label, correction, impression }: Sample): PublishedSample {
  const { user, item, time, features, dense } = impression;
  return { id, label, correction, weight: 1, user, item, time, features, dense };
}
