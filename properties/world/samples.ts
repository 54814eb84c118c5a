/*
 * Samples of worlds whose training moves: one after another into a stream, of which the primary learns. A sample adds one to its row, or deletes it, so
 * that each row says how many took effect on it. A forced promotion leaves what the old stream goes on with behind: the new one begins as a copy.
 */
import { type Replica } from "../../protocols/sync/replica.ts";
import { type Version } from "../../protocols/sync/version.ts";
import { type Judge } from "./judge.ts";
import { text } from "./seen-row.ts";

export const TRAINER = "t";

export interface Sample {
  readonly key: number;
  readonly deletes: boolean;
}

/** What was stamped by whoever learned of a stream. */
interface Stamped {
  /** Learned up to and with this sample. */
  readonly position: number;
  /** Lost in a crash of its writer: it is learned again, and whoever holds it holds more than positions say. */
  isLost: boolean;
}

interface Stream {
  readonly samples: Sample[];
  /** By version, as text. */
  readonly stamped: Map<string, Stamped>;
  /** By key: how much more than its samples a row held when the stream began, or less, as it came ahead of the knowledge. */
  readonly ahead: readonly number[];
}

/** The streams of one shard, by epoch. */
export class Samples {
  readonly #judge: Judge;
  readonly #keys: number;
  readonly #streams: Map<number, Stream>;
  /** Rows whose number says nothing: some sample deleted them. */
  readonly #deleted = new Set<number>();

  constructor(keys: number, judge: Judge) {
    this.#keys = keys;
    this.#judge = judge;
    const ahead = Array.from({ length: keys }, () => 0);
    this.#streams = new Map([[0, { samples: [], stamped: new Map(), ahead }]]);
  }

  /** What a primary of this epoch learns next; drawn, where its stream has come to its end and does not end there for good. */
  next(epoch: number, position: number, draw: (() => Sample) | undefined): Sample | undefined {
    const { samples } = this.#stream(epoch);
    if (position === samples.length && draw !== undefined) samples.push(draw());
    const sample = samples[position];
    if (sample?.deletes === true) this.#deleted.add(sample.key);
    return sample;
  }

  length(epoch: number): number {
    return this.#stream(epoch).samples.length;
  }

  wrote(epoch: number, version: Version, position: number): void {
    this.#stream(epoch).stamped.set(text(version), { position, isLost: false });
  }

  /** A primary starts at this position: what it stamped beyond is lost at it. */
  restarted(epoch: number, position: number): void {
    for (const stamped of this.#stream(epoch).stamped.values()) stamped.isLost ||= stamped.position > position;
  }

  /** P3: what positions say was learned, is in the rows. */
  check(replica: Replica, { where, value }: { readonly where: string; readonly value: (key: number) => number }): void {
    if (!this.#judge.watches("P3")) return;
    const { epoch } = replica.horizon;
    const counts = this.#counts(epoch, positionOf(replica));
    const { ahead } = this.#stream(epoch);
    const early = earlyTimes(replica);
    for (let key = 0; key < this.#keys; key += 1) {
      if (this.#deleted.has(key)) continue;
      const version = replica.store.versionOf(0, BigInt(key));
      // What came ahead of the knowledge holds what it holds.
      if (version !== undefined && early.has(version.t)) continue;
      const [held, counted] = [value(key), (counts[key] ?? 0) + Math.min(0, ahead[key] ?? 0)];
      if (held >= counted) continue;
      this.#judge.breach(
        "P3",
        `${where} stands at sample ${positionOf(replica)}, which makes ${counted} of row ${key}, and holds ${held} at ${text(version)}`,
      );
    }
  }

  /**
   * P4: a replica goes on in a new epoch, with a stream of `length` samples. What its rows hold is what its positions say, but for rows that came
   * ahead of its knowledge, and those that a crash of the old primary left with others.
   */
  fork(
    replica: Replica,
    to: {
      readonly epoch: number;
      readonly length: number;
      readonly where: string;
      /** Absent where rows do not say what they learned. */
      readonly value: ((key: number) => number) | undefined;
    },
  ): void {
    const { epoch: before } = replica.horizon;
    const old = this.#stream(before);
    const counts = this.#counts(before, positionOf(replica));
    const early = earlyTimes(replica);
    const ahead = counts.map((count, key) => {
      const more = to.value === undefined ? 0 : to.value(key) - count;
      if (this.#deleted.has(key) || more === (old.ahead[key] ?? 0)) return more;
      const version = replica.store.versionOf(0, BigInt(key));
      const isLost = version !== undefined && old.stamped.get(text(version))?.isLost === true;
      if (version === undefined || !(isLost || early.has(version.t))) {
        this.#judge.breach(
          "P4",
          `${to.where} goes on from sample ${positionOf(replica)}, which makes ${count} of row ${key}, and holds ${more} more at ${text(version)}`,
        );
      }
      return more;
    });
    const samples = old.samples.slice(0, to.length);
    this.#streams.set(to.epoch, { samples, stamped: new Map(), ahead });
  }

  /** P4: in the end each sample of the last stream, and no other, took effect once. */
  finish(
    replica: Replica,
    { where, value }: { readonly where: string; readonly value: (key: number) => number },
  ): void {
    const { epoch } = replica.horizon;
    const { ahead } = this.#stream(epoch);
    const counts = this.#counts(epoch, positionOf(replica));
    for (const [key, count] of counts.entries()) {
      if (this.#deleted.has(key)) continue;
      const due = count + (ahead[key] ?? 0);
      if (value(key) === due) continue;
      this.#judge.breach(
        "P4",
        `row ${key} of ${where} holds ${value(key)} in the end, of ${due} samples up to ${positionOf(replica)}`,
      );
    }
  }

  #counts(epoch: number, position: number): number[] {
    const counts = Array.from({ length: this.#keys }, () => 0);
    for (const { key } of this.#stream(epoch).samples.slice(0, position)) counts[key] = (counts[key] ?? 0) + 1;
    return counts;
  }

  #stream(epoch: number): Stream {
    const stream = this.#streams.get(epoch);
    if (stream === undefined) throw new RangeError(`Cannot use the samples of epoch ${epoch}: it never began`);
    return stream;
  }
}

function earlyTimes({ early, store }: Replica): Set<number> {
  return new Set([...early].map((slot) => store.versionAt(slot).t));
}

export function positionOf({ applied }: Replica): number {
  return applied.get(TRAINER) ?? 0;
}
