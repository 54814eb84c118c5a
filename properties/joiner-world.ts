// A joiner that may die, the streams it reads and the stream of samples it writes, for the laws about its restarts.
import { type FeedbackEvent } from "../protocols/feedback.ts";
import {
  lastBatch,
  mayTake,
  nextBatch,
  noteAppended,
  noteGone,
  passTime,
  readFrom,
  recall,
  type ResumedJoiner,
  resumeJoiner,
  takeMessage,
} from "../protocols/learning/joiner-resume.ts";
import { clockOf, type JoinerOptions, type JoinerState } from "../protocols/learning/joiner-state.ts";
import { type PublishedSample } from "../protocols/learning/sample-batch.ts";
import { decodeSampleBatch, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";

/** One message of a stream of events. */
export interface Stored {
  readonly seq: number;
  readonly storedMs: number;
  readonly events: readonly FeedbackEvent[];
}

/** What nobody needs by the last positions is deleted at once. */
export class JoinerWorld {
  readonly streams: ReadonlyMap<string, readonly Stored[]>;
  readonly options: JoinerOptions;
  readonly sources: readonly string[];
  readonly published: { readonly seq: number; readonly samples: readonly PublishedSample[] }[] = [];
  /** Messages that streams dropped while they may have been needed. */
  readonly dropped = new Map<string, readonly Stored[]>();
  readonly #firstSeqs = new Map<string, number>();
  readonly #away = new Set<string>();
  readonly #batchMax: number;
  #log: { readonly seq: number; readonly body: Uint8Array }[] = [];
  #next = new Map<string, number>();
  #now = 1000;
  #joiner: ResumedJoiner;
  /** Of joiners that died. */
  #letGoBefore = 0;

  constructor(streams: ReadonlyMap<string, readonly Stored[]>, options_: JoinerOptions, batchMax = 2) {
    this.#batchMax = batchMax;
    this.streams = streams;
    this.options = options_;
    this.sources = [...streams.keys()];
    this.#joiner = this.#begin();
  }

  #restart(): void {
    this.#letGoBefore = this.letGo;
    this.#joiner = this.#begin();
  }

  #begin(): ResumedJoiner {
    const last = this.#log.at(-1);
    const found = { sources: this.sources, batchMax: this.#batchMax };
    const joiner =
      last === undefined
        ? resumeJoiner(this.options, found)
        : resumeJoiner(this.options, { ...found, last: decodeSampleBatch(last.body) });
    if (this.options.emitAfterShare !== undefined) {
      for (const source of this.sources) clockOf(joiner.joiner, source).delays.complete.set("click", knownDelays());
    }
    for (const { seq, body } of this.#log) recall(joiner, seq, decodeSampleBatch(body));
    this.#next = new Map(this.sources.map((source) => [source, readFrom(joiner, source)]));
    return joiner;
  }

  take(source: string, count: number): void {
    for (let taken = 0; taken < count && !this.#away.has(source) && mayTake(this.#joiner); taken += 1) {
      const firstSeq = this.#firstSeqs.get(source) ?? 1;
      const from = Math.max(this.#next.get(source) ?? 1, firstSeq);
      const message = this.streams.get(source)?.[from - 1];
      if (message === undefined) {
        noteGone(this.#joiner, source, firstSeq);
        return;
      }
      this.#now += 1;
      this.#pretendBursts();
      takeMessage(this.#joiner, { source, ...message }, this.#now);
      this.#next.set(source, from + 1);
    }
  }

  /** Positives are too few here to show bursts: where they are to be spread, this has the joiner believe that they come in some. */
  #pretendBursts(): void {
    const { bursts } = this.#joiner.joiner;
    const now = this.#now;
    Object.assign(bursts, {
      bursts: 9,
      intervalMs: this.options.scatterMsMax,
      lengthMs: 0,
      startedMs: now,
      lastMs: now,
    });
  }

  pass(ms: number): void {
    this.#now += ms;
    passTime(this.#joiner, this.#now);
  }

  /** The stream of events drops its oldest messages by its limits, whoever needs them. */
  drop(source: string, count: number): void {
    const messages = this.streams.get(source) ?? [];
    const firstSeq = this.#firstSeqs.get(source) ?? 1;
    const next = Math.min(messages.length + 1, firstSeq + count);
    this.#firstSeqs.set(source, next);
    const dropped = messages.slice(firstSeq - 1, next - 1);
    this.dropped.set(source, [...(this.dropped.get(source) ?? []), ...dropped]);
  }

  toggle(source: string): void {
    if (!this.#away.delete(source)) this.#away.add(source);
  }

  /** One message, unless the joiner dies before it is stored; it may also die before it hears that it was. */
  publish(dies: "not" | "before" | "after" = "not"): boolean {
    const batch = nextBatch(this.#joiner);
    if (batch !== undefined && dies !== "before") {
      const seq = (this.#log.at(-1)?.seq ?? 0) + 1;
      if (batch.keepFrom > seq) throw new RangeError(`keepFrom ${batch.keepFrom} is after its message ${seq}`);
      this.published.push({ seq, samples: batch.samples });
      this.#log.push({ seq, body: encodeSampleBatch(batch) });
      this.#log = this.#log.filter((message) => message.seq >= batch.keepFrom);
      for (const { source, needed } of batch.positions) {
        this.#firstSeqs.set(source, Math.max(needed, this.#firstSeqs.get(source) ?? 1));
      }
      if (dies === "not") noteAppended(this.#joiner, seq);
    }
    if (dies !== "not") this.#restart();
    return batch !== undefined;
  }

  /** What the joiner that lives now remembers. */
  get joiner(): JoinerState {
    return this.#joiner.joiner;
  }

  /** Finished impressions, and feedback, that some joiner had no room for. */
  get letGo(): number {
    const { forgotten, heldDropped } = this.#joiner.joiner.counts;
    return this.#letGoBefore + forgotten + heldDropped;
  }

  crash(): void {
    this.#restart();
  }

  /** Another region goes on with the stream: the joiner here says so in its last message, and one that never ran takes its place. */
  move(): void {
    const seq = (this.#log.at(-1)?.seq ?? 0) + 1;
    const last = lastBatch(this.#joiner, { region: "tokyo", term: 1 });
    this.#log.push({ seq, body: encodeSampleBatch(last) });
    this.#restart();
  }

  /** Messages that a new joiner would read. */
  kept(): { readonly samples: number; readonly events: number } {
    let events = 0;
    for (const [source, messages] of this.streams) events += messages.length + 1 - (this.#firstSeqs.get(source) ?? 1);
    return { samples: this.#log.length, events };
  }

  finish(): void {
    this.#away.clear();
    const total = [...this.streams.values()].reduce((sum, messages) => sum + messages.length, 0);
    for (let round = 0; round <= total; round += 1) {
      for (const source of this.sources) this.take(source, 1);
      while (this.publish());
    }
    this.pass(1e7);
    while (this.publish());
    if (this.#joiner.joiner.pending.size > 0) throw new Error("An impression stayed open");
  }
}

/** Most positives come after some 50 ms, a few after 500. */
function knownDelays(): Float64Array<ArrayBuffer> {
  const counts = new Float64Array(256);
  counts[45] = 900;
  counts[72] = 100;
  return counts;
}
