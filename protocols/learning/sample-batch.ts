/*
 * One message of the SAMPLES stream: samples, and where the joiner stood after them, in one piece. Whoever reads the last message knows
 * all that a restarted joiner needs; there is no second place that could disagree with it. JSON, so that a person can read it.
 */
import { DecodeError } from "../wire/decode-error.ts";
import { type LabelledExample } from "./training-batch.ts";

/** A labelled example as it is published. `id` names it for ever; a correction follows a negative with the same request and item. */
export interface PublishedSample extends LabelledExample {
  readonly id: string;
  /** When the item was shown, milliseconds since the epoch. */
  readonly time: number;
  readonly correction: boolean;
}

/** A time up to which silence closed windows, of all impressions up to an event. */
export interface Closing {
  readonly sequence: number;
  readonly until: number;
}

/** Where the joiner stands in one region's events. */
export interface SourcePosition {
  readonly source: string;
  /** Events up to this one have had their effect in this message and those before. */
  readonly applied: number;
  /** A new joiner must read again from this event on, without publishing anew. */
  readonly needed: number;
  readonly closings: readonly Closing[];
}

export interface SampleBatch {
  /**
   * Absent when `positions` holds after this message. When what the events gave did not fit one message, all but the last of the run carry
   * the positions before it and the sequence of the last message without `since`: the ids in between are published, the positions not moved.
   */
  readonly since?: number;
  readonly positions: readonly SourcePosition[];
  readonly samples: readonly PublishedSample[];
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
  const positions = list(root["positions"], "positions").map(readPosition);
  const samples = list(root["samples"], "samples").map(readSample);
  return root["since"] === undefined ? { positions, samples } : { since: number(root["since"], "since"), positions, samples };
}

const WHAT = "a batch of samples";

function readPosition(value: unknown): SourcePosition {
  const position = fields(value, "a position");
  return {
    source: text(position["source"], "source"),
    applied: number(position["applied"], "applied"),
    needed: number(position["needed"], "needed"),
    closings: list(position["closings"], "closings").map((each) => {
      const closing = fields(each, "a closing");
      return { sequence: number(closing["sequence"], "sequence"), until: number(closing["until"], "until") };
    }),
  };
}

function readSample(value: unknown): PublishedSample {
  const sample = fields(value, "a sample");
  const label = number(sample["label"], "label");
  const weight = number(sample["weight"], "weight");
  if (label < 0 || label > 1 || weight < 0) throw new DecodeError(WHAT, "label or weight out of range");
  return {
    id: text(sample["id"], "id"),
    user: text(sample["user"], "user"),
    item: text(sample["item"], "item"),
    label,
    weight,
    time: number(sample["time"], "time"),
    correction: sample["correction"] === true,
    features: mapped(sample["features"], (each) => text(each, "features")),
    dense: mapped(sample["dense"], (each) => number(each, "dense")),
  };
}

function mapped<T>(value: unknown, read: (each: unknown) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(fields(value, "features")).map(([name, each]) => [name, read(each)]));
}

function fields(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new DecodeError(WHAT, `${what} is no object`);
  return Object.fromEntries(Object.entries(value));
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
