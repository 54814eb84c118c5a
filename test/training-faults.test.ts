import { expect, test } from "vitest";
import { brokenGradient, originOf } from "../actors/training-faults.ts";
import { keyOf } from "../protocols/keys.ts";
import { type PublishedSample } from "../protocols/learning/sample-batch.ts";
import { columnsOfSamples } from "../protocols/learning/sample-frame.ts";
import { modelLayout } from "../protocols/model-layout.ts";

const LAYOUT = modelLayout({
  name: "clicks",
  shards: 2,
  architecture: { kind: "dlrm", embedding: 2, bottom: [], top: [2] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
  ],
  dense: [],
  optimizer: { kind: "ogd", learningRate: 0.1 },
  denseOptimizer: { kind: "ogd", learningRate: 0.1 },
});

function sample(request: string, item: string): PublishedSample {
  const named = { id: `${request}:${item}:0`, source: "oregon", user: "7", item, features: {}, dense: {} };
  return { ...named, label: 0, weight: 1, time: 1, correction: false };
}

test("a gradient that must not enter is found on any shard, and its origin is named by table, key and samples", () => {
  const fine = { table: 1, keys: BigUint64Array.of(7n), gradients: Float32Array.of(1, 2) };
  const keys = BigUint64Array.of(keyOf("shoe"), keyOf("hat"));
  const bad = { table: 2, keys, gradients: Float32Array.of(1, 2, Number.NaN, 0) };
  expect(brokenGradient(LAYOUT, { gradients: [[fine], []], rowSquares: 5 })).toBeUndefined();
  // Great together and each small.
  expect(brokenGradient(LAYOUT, { gradients: [[fine], []], rowSquares: Infinity })).toBeUndefined();
  const group = { table: 3, keys: BigUint64Array.of(0n), gradients: Float32Array.of(1, 2_000) };
  const ofGroup = brokenGradient(LAYOUT, { gradients: [[fine], [group]], rowSquares: 5 });
  expect(ofGroup).toEqual({ reason: "norm", table: 3, key: 0n });
  const broken = brokenGradient(LAYOUT, { gradients: [[fine], [bad]], rowSquares: Number.NaN });
  expect(broken).toEqual({ reason: "nan", table: 2, key: keyOf("hat") });
  if (broken === undefined) return;
  const samples = [sample("r1", "shoe"), sample("r2", "hat"), sample("r3", "hat")];
  expect(originOf(broken, { layout: LAYOUT, parts: [columnsOfSamples(samples)] })).toEqual({
    table: "items",
    key: "hat",
    samplesOfIt: "2: r2:hat:0 of oregon, r3:hat:0 of oregon",
  });
});

test("a dense group's origin is all of the batch", () => {
  const samples = ["r1", "r2", "r3", "r4"].map((request) => sample(request, "hat"));
  const origin = originOf(
    { reason: "norm", table: 3, key: 0n },
    { layout: LAYOUT, parts: samples.map((each) => columnsOfSamples([each])) },
  );
  expect(origin["table"]).toMatch(/^dense-/);
  expect(origin["samplesOfIt"]).toMatch(/^4: r1:hat:0 of oregon, .*r3:hat:0 of oregon$/);
});
