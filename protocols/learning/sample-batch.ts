/*
 * One message of the SAMPLES stream: samples, and where the joiner stood after them, in one piece. Whoever reads the stream from the last
 * message's `keepFrom` on knows all that a restarted joiner needs; there is no second place that could disagree with it. JSON, so that a
 * person can read it.
 */
import { DecodeError } from "../wire/decode-error.ts";
import { type DelayCounts } from "./delay-model.ts";
import { type LabelledExample } from "./training-batch.ts";

/** A labelled example as it is published. `id` names it for ever; a correction follows a negative with the same request and item. */
export interface PublishedSample extends LabelledExample {
  readonly id: string;
  /** The region whose events brought the impression. */
  readonly source: string;
  /** When the item was shown, milliseconds since the epoch. */
  readonly time: number;
  readonly correction: boolean;
}

/** Where the joiner stands in one region's events. */
export interface SourcePosition {
  readonly source: string;
  /** All samples of the messages up to this one are published, here or before. */
  readonly applied: number;
  /** A new joiner must read again from this message on, to know what is still open. */
  readonly needed: number;
  /** The source's clock: the newest event time it has shown. Absent before its first event. */
  readonly newestTime?: number;
  /** How late its positives came; absent before the first event. */
  readonly delays?: DelayCounts;
}

/**
 * What the events gave may not fit one message. All but the last of such a run state the positions from before it: a joiner that
 * finds its predecessor cut off within a run takes those events in again, and knows the samples that were published.
 */
export interface SampleBatch {
  /** Messages of this stream that a new joiner must read, from here to the last. Never after the message itself. */
  readonly keepFrom: number;
  readonly positions: readonly SourcePosition[];
  readonly samples: readonly PublishedSample[];
  /**
   * The stream ends here and goes on, under the same numbers, in another region: whoever learned up to this message has learned all there
   * is here, and no joiner of another region appends to it.
   */
  readonly movedTo?: SampleMove;
}

/** Where the making of samples goes on, by which promotion. */
export interface SampleMove {
  readonly region: string;
  readonly term: number;
}

export function encodeSampleBatch(batch: SampleBatch): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(batch));
}

/** Decodes or throws `DecodeError`; nothing is taken on trust. */
export function decodeSampleBatch(bytes: Uint8Array): SampleBatch {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) throw new DecodeError(WHAT, "it is no JSON");
    throw error;
  }
  const root = fields(parsed, "the message");
  const movedTo = root["movedTo"];
  return {
    keepFrom: count(root["keepFrom"], "keepFrom"),
    positions: list(root["positions"], "positions").map(readPosition),
    samples: list(root["samples"], "samples").map(readSample),
    ...(movedTo === undefined ? {} : { movedTo: readMove(movedTo) }),
  };
}

const WHAT = "a batch of samples";

function readMove(value: unknown): SampleMove {
  const move = fields(value, "movedTo");
  return { region: text(move["region"], "region"), term: count(move["term"], "term") };
}

function readPosition(value: unknown): SourcePosition {
  const position = fields(value, "a position");
  const newestTime = position["newestTime"];
  const delays = position["delays"];
  return {
    source: text(position["source"], "source"),
    applied: count(position["applied"], "applied"),
    needed: count(position["needed"], "needed"),
    ...(newestTime === undefined ? {} : { newestTime: number(newestTime, "newestTime") }),
    ...(delays === undefined ? {} : { delays: readDelays(delays) }),
  };
}

function readDelays(value: unknown): DelayCounts {
  return mapped(value, (counts) =>
    list(counts, "delays").map((each) => {
      const read = number(each, "delays");
      if (read < 0) throw new DecodeError(WHAT, "a count of delays is below 0");
      return read;
    }),
  );
}

function readSample(value: unknown): PublishedSample {
  const sample = fields(value, "a sample");
  const label = number(sample["label"], "label");
  const weight = number(sample["weight"], "weight");
  if (label < 0 || label > 1 || weight < 0) throw new DecodeError(WHAT, "label or weight out of range");
  const late = sample["late"] === undefined ? undefined : number(sample["late"], "late");
  if (late !== undefined && (late < 0 || late > 1)) throw new DecodeError(WHAT, "late out of range");
  const correction = sample["correction"];
  if (typeof correction !== "boolean") throw new DecodeError(WHAT, "correction is neither true nor false");
  return {
    id: text(sample["id"], "id"),
    source: text(sample["source"], "source"),
    user: text(sample["user"], "user"),
    item: text(sample["item"], "item"),
    label,
    weight,
    time: number(sample["time"], "time"),
    correction,
    ...(late === undefined ? {} : { late }),
    features: checked(sample["features"], isText, "texts"),
    dense: checked(sample["dense"], isNumber, "finite numbers"),
  };
}

function mapped<T>(value: unknown, read: (each: unknown) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(fields(value, "features")).map(([name, each]) => [name, read(each)]));
}

/** The same object, once all that it holds is what it must be: of each sample there are dozens, and copies of them cost more than all else. */
function checked<T>(value: unknown, isSound: (each: unknown) => each is T, what: string): Record<string, T> {
  if (!isRecordOf(value, isSound)) throw new DecodeError(WHAT, `features are not all ${what}`);
  return value;
}

function isRecordOf<T>(value: unknown, isSound: (each: unknown) => each is T): value is Record<string, T> {
  if (!isObject(value)) return false;
  for (const each of Object.values(value)) if (!isSound(each)) return false;
  return true;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function fields(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (!isObject(value)) throw new DecodeError(WHAT, `${what} is no object`);
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new DecodeError(WHAT, `${what} is no list`);
  return value;
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw new DecodeError(WHAT, `${what} is no text`);
  return value;
}

function number(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new DecodeError(WHAT, `${what} is no finite number`);
  return value;
}

function count(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new DecodeError(WHAT, `${what} is no whole number from 0`);
  }
  return value;
}
