/* The stream that `bench -- stream` has learned: a model of the shape that `bench -- compute` measures, and samples as a joiner publishes them. */
import { type PublishedSample } from "../../protocols/learning/sample-batch.ts";
import { encodeSampleBatch } from "../../protocols/learning/sample-codec.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { createRandom, nextFloat, type Random } from "../../protocols/random.ts";

const CATEGORIES = Array.from({ length: 24 }, (_, at) => `c${at}`);
const NUMBERS = Array.from({ length: 13 }, (_, at) => `n${at}`);
/** Values of each feature, and how unevenly they come: the share of the most frequent falls with 1 / ln of their number (Zipf's law, exponent 1). */
const VALUES = 100_000;
const SAMPLES_A_MESSAGE = 256;
const START_MS = 1_760_000_000_000;

/** 13 numbers, 26 tables of 16, layers 13-64-16 and 64-32-1, in four shards. */
export const STREAM_MODEL: ModelDeclaration = {
  name: "clicks",
  shards: 4,
  architecture: { kind: "dlrm", embedding: 16, bottom: [64], top: [64, 32] },
  tables: ["user", "item", ...CATEGORIES].map((key) => ({ name: `by-${key}`, key })),
  dense: NUMBERS,
  optimizer: { kind: "adagrad", learningRate: 0.05 },
  denseOptimizer: { kind: "adagrad", learningRate: 0.02 },
};

/** The same samples for the same seed, some at a time. Labels follow from what a linear model of the features says. */
export function* streamSamples(count: number, seed: number): Generator<readonly PublishedSample[]> {
  const random = createRandom(seed);
  for (let from = 0; from < count; from += SAMPLES_A_MESSAGE) {
    yield Array.from({ length: Math.min(SAMPLES_A_MESSAGE, count - from) }, (_, at) => sample(random, from + at));
  }
}

/** A message of the stream, by its number in it, from 1. */
export function streamMessage(seq: number, samples: readonly PublishedSample[]): Uint8Array<ArrayBuffer> {
  return encodeSampleBatch({ keepFrom: seq, positions: [], samples });
}

function sample(random: Random, number: number): PublishedSample {
  const features = Object.fromEntries(CATEGORIES.map((name) => [name, value(random)]));
  const dense = Object.fromEntries(NUMBERS.map((name) => [name, Math.round(nextFloat(random) * 1000) / 1000]));
  const [user, item] = [value(random), value(random)];
  const odds = Number(item) % 7 === 0 ? 0.6 : 0.2 * (dense["n0"] ?? 0);
  const label = nextFloat(random) < odds ? 1 : 0;
  const id = `r${number}:${item}:${label}`;
  const time = START_MS + number;
  return { id, source: "here", user, item, features, dense, label, weight: 1, time, correction: false };
}

function value(random: Random): string {
  return String(Math.floor(VALUES ** nextFloat(random)));
}
