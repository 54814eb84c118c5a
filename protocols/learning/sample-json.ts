/*
 * A message of samples as JSON: the form before sample-frame.ts. Nothing writes it any more; streams on disk may still hold such messages.
 */
import { DecodeError } from "../wire/decode-error.ts";
import { isRecord } from "../wire/json-fields.ts";
import { type DelayCounts } from "./delay-model.ts";
import { type PublishedSample, type SampleBatch, type SampleMove, type SourcePosition } from "./sample-batch.ts";
import { readJson } from "../read-json.ts";

/** Decodes or throws `DecodeError`; nothing is taken on trust. */
export function decodeSampleJson(bytes: Uint8Array): SampleBatch {
  const parsed = readJson(WHAT, bytes);
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
  return Object.fromEntries(
    Object.entries(fields(value, "delays")).map(([kind, counts]) => [kind, list(counts, "delays").map(readDelay)]),
  );
}

function readDelay(value: unknown): number {
  const delays = number(value, "delays");
  if (delays < 0) throw new DecodeError(WHAT, "a count of delays is below 0");
  return delays;
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
    dense: withPlainZeros(checked(sample["dense"], isNumber, "finite numbers")),
  };
}

/** The same object, once all that it holds is what it must be: of each sample there are dozens, and copies of them cost more than all else. */
function checked<T>(value: unknown, isSound: (each: unknown) => each is T, what: string): Record<string, T> {
  if (!isRecordOf(value, isSound)) throw new DecodeError(WHAT, `features are not all ${what}`);
  return value;
}

/** The same object without a -0: JSON can say it, but never writes it. */
function withPlainZeros(dense: Record<string, number>): Record<string, number> {
  for (const [name, value] of Object.entries(dense)) if (value === 0) dense[name] = 0;
  return dense;
}

function isRecordOf<T>(value: unknown, isSound: (each: unknown) => each is T): value is Record<string, T> {
  if (!isRecord(value)) return false;
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
  if (!isRecord(value)) throw new DecodeError(WHAT, `${what} is no object`);
  return value;
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
  return value + 0;
}

function count(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new DecodeError(WHAT, `${what} is no whole number from 0`);
  }
  return value + 0;
}
