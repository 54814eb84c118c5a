/*
 * What a joiner does, step by step; joiner.ts says what holds. `createJoining` is one life of it.
 */
import { type FeedbackEvent } from "../protocols/feedback.ts";
import { decodeEvents } from "../protocols/learning/event-message.ts";
import {
  lastBatch,
  mayTake,
  nextBatch,
  noteAnew,
  noteAppended,
  noteGone,
  passTime,
  readFrom,
  recall,
  type ResumedJoiner,
  resumeJoiner,
  takeMessage,
} from "../protocols/learning/joiner-resume.ts";
import { type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { decodeSampleBatch, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { type Role } from "../protocols/model-state/role.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type Context, type Outcome } from "../runtime/actor.ts";
import { type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";
import { createJoinerMeter } from "./joiner-meter.ts";
import { type Arrival, type Beginning, type JoinerConfig, type JoinerProtocol, type JoinerStatus } from "./joiner.ts";

/** Somebody else appended to the stream of samples: another joiner runs. This one starts again from what the stream says. */
class AnotherJoiner extends Error {
  override readonly name = "AnotherJoiner";

  constructor() {
    super("Cannot publish samples: somebody else appended to the stream; starting again from its last message");
  }
}

/** Another region makes the samples now: what this joiner remembers is of no use any more, and its next life waits. */
class JoinsNoMore extends Error {
  override readonly name = "JoinsNoMore";

  constructor(training: string) {
    super(`Cannot join on: ${training} trains now; starting again, to wait`);
  }
}

const TICK_MS = 250;
const RETRY_MS = 500;
const ASK_MS = 10_000;
const READ_WAIT_MS = 1_000;
const READ_MAX = 64;
const PURGE_EVERY = 200;
/** Events wait here while a message is being stored; beyond it no more is read. */
const QUEUE_MAX = 256;
/** Until another look, where what is written in two places disagrees. */
const STAND_OFF_MS = 5_000;

function isJoining({ duty }: Role): boolean {
  return duty === "trains" || duty === "hands-over";
}

/** One life of a joiner: what its actor does with each message. */
export interface Joining {
  takeRole(role: Role): void;
  begin(): void;
  begun(outcome: Outcome<Beginning>): void;
  read(source: string): void;
  arrived(source: string, outcome: Outcome<Arrival>): void;
  published(outcome: Outcome<number>, batch: SampleBatch): void;
  needed(trainer: string, from: number): void;
  purged(outcome: Outcome<{ readonly purged: number }>): void;
  tick(): void;
  status(): JoinerStatus;
}

/** Nothing is joined before the first role that says so. */
export function createJoining(config: JoinerConfig, context: Context<JoinerProtocol>): Joining {
  const stream = context.ref<StreamProtocol>(config.stream);
  const next = new Map<string, number>();
  const lastSeqs = new Map<string, number>();
  const queue: { readonly source: string; readonly message: StreamMessage }[] = [];
  let resumed: ResumedJoiner | undefined;
  let role: Role | undefined;
  /** The stream's last message says that it goes on in another region. */
  let isEnded = false;
  let lastSeq = 0;
  let publishing = false;
  let publishedCount = 0;
  const measure = createJoinerMeter(context);
  const neededBy = new Map<string, number>();
  /** Of the last message that is stored: what a joiner after this one begins with. */
  let keepFrom = 0;
  let purgedTo = 0;

  function deadline(ms = ASK_MS): { signal: AbortSignal } {
    return { signal: context.deadline(ms) };
  }

  /** What the stream of samples tells of the joiner before this one. */
  async function find(): Promise<Beginning> {
    const { message } = await stream.ask("last", { region: config.region, stream: "SAMPLES" }, deadline());
    const { options, sources } = config;
    if (message === undefined) return { resumed: resumeJoiner(options, { sources }), lastSeq: 0, isEnded: false };
    const last = decodeSampleBatch(message.body);
    if (last.movedTo !== undefined && last.movedTo.region !== config.region) {
      return { resumed: resumeJoiner(options, { sources, last }), lastSeq: message.seq, isEnded: true };
    }
    const found = resumeJoiner(options, { sources, last });
    for (let from = last.keepFrom; from <= message.seq;) {
      const request = { region: config.region, stream: "SAMPLES", fromSeq: from, max: READ_MAX, waitMs: READ_WAIT_MS };
      const { messages } = await stream.ask("read", request, deadline(READ_WAIT_MS + ASK_MS));
      for (const { seq, body } of messages) if (seq <= message.seq) recall(found, seq, readBatch(seq, body));
      const firstSeq = messages[0]?.seq ?? message.seq + 1;
      if (firstSeq > from) {
        context.metrics.count("freshet_joiner_samples_missing_total", firstSeq - from);
        context.log.error("Samples are gone that a restart must know; some may be published twice; raise nats.limits", {
          fromSeq: from,
          missing: firstSeq - from,
        });
      }
      from = (messages.at(-1)?.seq ?? message.seq) + 1;
    }
    return { resumed: found, lastSeq: message.seq, isEnded: false };
  }

  function readBatch(seq: number, body: Uint8Array): Pick<SampleBatch, "samples" | "positions"> {
    try {
      return decodeSampleBatch(body);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      context.metrics.count("freshet_joiner_samples_missing_total");
      context.log.error("A message of samples cannot be read; what it held may be published twice", {
        seq,
        why: error.message,
      });
      return { samples: [], positions: [] };
    }
  }

  /** Deletes samples that no trainer needs and no joiner after this one. A failure changes nothing: the next one deletes them too. */
  function purge(): void {
    // Once it is to move, the region after us reads all there is.
    if (role?.duty !== "trains") return;
    if (config.trainers.some((trainer) => !neededBy.has(trainer))) return;
    const before = Math.min(keepFrom, ...neededBy.values());
    if (before <= purgedTo + PURGE_EVERY) return;
    purgedTo = before;
    context.pipe(stream.ask("purge", { stream: "SAMPLES", beforeSeq: before }, deadline()), "purged", (outcome) => ({
      outcome,
    }));
  }

  /** The one place that decides what happens next. Positions move only when all samples of the events taken are published. */
  function evaluate(): void {
    if (resumed === undefined || publishing || isEnded) return;
    if (role?.duty === "hands-over" && role.next !== undefined) {
      publish(lastBatch(resumed, { region: role.next, term: role.term }));
      return;
    }
    while (mayTake(resumed)) {
      const head = queue.shift();
      if (head === undefined) break;
      const { seq, timeMs: storedMs } = head.message;
      takeMessage(
        resumed,
        { source: head.source, seq, storedMs, events: readEvents(head.message, context, config.positive) },
        context.upMs(),
      );
    }
    const batch = nextBatch(resumed);
    if (batch !== undefined) publish(batch);
  }

  function publish(batch: SampleBatch): void {
    publishing = true;
    const body = encodeSampleBatch(batch);
    async function append(): Promise<number> {
      const outcome = await stream.ask(
        "append",
        { stream: "SAMPLES", body, expectedLastSequence: lastSeq },
        deadline(),
      );
      if (outcome.kind === "conflict") throw new AnotherJoiner();
      return outcome.seq;
    }
    context.pipe(append(), "published", (outcome) => ({ outcome, batch }));
  }

  return {
    takeRole(told: Role): void {
      const isFirst = role === undefined;
      if (!isJoining(told)) {
        if (!isFirst) throw new JoinsNoMore(told.training);
        return;
      }
      role = told;
      if (isFirst) this.begin();
      else evaluate();
    },
    begin(): void {
      context.pipe(find(), "begun", (outcome) => ({ outcome }));
    },
    begun(outcome: Outcome<Beginning>): void {
      if (outcome.kind === "failed") {
        // The stream cannot be read yet, or not now: there is nothing to join before it can.
        context.log.warn("Samples cannot be read yet; will try again", { why: outcome.error.message });
        context.after(RETRY_MS, "begin", {});
        return;
      }
      resumed = outcome.value.resumed;
      ({ lastSeq, isEnded } = outcome.value);
      if (isEnded) {
        if (role?.duty !== "trains") return;
        context.log.error(
          "The stream of samples says that another region goes on with it, and the region log that this one trains",
        );
        context.after(STAND_OFF_MS, "begin", {});
        return;
      }
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
      const request = {
        region: source,
        stream: "EVENTS",
        fromSeq: next.get(source) ?? 1,
        max: READ_MAX,
        waitMs: READ_WAIT_MS,
      };
      context.pipe(stream.ask("read", request, deadline(READ_WAIT_MS + ASK_MS)), "arrived", (outcome) => ({
        source,
        outcome,
      }));
    },
    arrived(source: string, outcome: Outcome<Arrival>): void {
      if (outcome.kind === "failed") {
        // A region that is cut off keeps its events; they are read when it is back.
        context.metrics.count("freshet_joiner_read_failures_total", 1, { source });
        context.log.debug("Events of a region cannot be read now", { source, why: outcome.error.message });
        context.after(RETRY_MS, "read", { source });
        return;
      }
      const { messages, firstSeq, lastSeq: storedTo } = outcome.value;
      const from = next.get(source) ?? 1;
      // What was read before is taken in first, by its own numbers.
      const isRead = messages.length === 0 && queue.every((waiting) => waiting.source !== source);
      if (isRead && storedTo < from - 1 && resumed !== undefined) {
        context.metrics.count("freshet_events_anew_total", 1, { source });
        context.log.error("A stream of events counts from 1 again; it is read from there", { source, from, storedTo });
        noteAnew(resumed, source);
        next.set(source, 1);
        context.after(0, "read", { source });
        return;
      }
      const first = messages[0]?.seq;
      if (first !== undefined && first > from && firstSeq > from) {
        context.metrics.count("freshet_events_lost_total", first - from, { source });
        context.log.error("Events were dropped by the stream's limits before they were joined; raise nats.limits", {
          source,
          lost: first - from,
        });
      }
      if (resumed !== undefined && messages.length === 0) noteGone(resumed, source, firstSeq);
      for (const message of messages) queue.push({ source, message });
      const last = messages.at(-1)?.seq;
      if (last !== undefined) next.set(source, last + 1);
      lastSeqs.set(source, storedTo);
      context.after(0, "read", { source });
      evaluate();
    },
    published(outcome: Outcome<number>, batch: SampleBatch): void {
      // Stored or not, we do not know; the stream does. A fresh start asks it.
      if (outcome.kind === "failed") throw outcome.error;
      lastSeq = outcome.value;
      if (resumed !== undefined) noteAppended(resumed, lastSeq);
      publishedCount += batch.samples.length;
      ({ keepFrom } = batch);
      publishing = false;
      isEnded = batch.movedTo !== undefined;
      evaluate();
    },
    needed(trainer: string, from: number): void {
      neededBy.set(trainer, from);
    },
    purged(outcome: Outcome<{ readonly purged: number }>): void {
      if (outcome.kind === "done") context.metrics.count("freshet_samples_purged_total", outcome.value.purged);
    },
    tick(): void {
      purge();
      if (resumed !== undefined && !publishing && !isEnded) passTime(resumed, context.upMs());
      if (resumed !== undefined) measure(resumed.joiner, context.now());
      evaluate();
      context.after(TICK_MS, "tick", {});
    },
    status(): JoinerStatus {
      let backlog = queue.length;
      for (const source of config.sources) {
        backlog += Math.max(0, (lastSeqs.get(source) ?? 0) - (next.get(source) ?? 1) + 1);
      }
      return {
        published: publishedCount,
        pending: resumed?.joiner.pending.size ?? 0,
        backlog: backlog + (resumed?.waiting.length ?? 0),
        counts: { ...resumed?.joiner.counts },
      };
    },
  };
}

function readEvents(
  message: StreamMessage,
  context: Context<JoinerProtocol>,
  positive: readonly string[],
): readonly FeedbackEvent[] {
  try {
    const events = decodeEvents(message.body);
    const joined = events.filter((event) => event.type === "impression" || positive.includes(event.kind));
    context.metrics.count("freshet_feedback_ignored_total", events.length - joined.length);
    return joined;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    context.metrics.count("freshet_event_messages_refused_total");
    context.log.warn("A message of events cannot be read; left out", { seq: message.seq, why: error.message });
    return [];
  }
}
