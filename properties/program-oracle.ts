// What a program means: one sample at a time, in 64 bits, each operation by its formula and nothing clever.
import { DENSE_FEATURES, EMBEDDINGS, type Operation, type Program, type Tensor } from "../protocols/compute/program.ts";
import { type Batch } from "./drawn-program.ts";

/** A batch in 64 bits, so that it can be moved by little. */
export interface ExactBatch {
  readonly parameters: readonly number[][];
  readonly embeddings: number[];
  readonly from: Batch;
}

export interface Meaning {
  readonly probabilities: readonly number[];
  /** Each sample's weighted log loss. */
  readonly losses: readonly number[];
  /** Of each of the program's outputs, sample by sample. */
  readonly outputs: readonly (readonly number[])[];
  /** The largest number that was met, and the one nearest to 0 that a ReLU decided on. */
  readonly largest: number;
  readonly nearestToKink: number;
}

export function exactBatch(batch: Batch): ExactBatch {
  return { parameters: batch.parameters.map((group) => [...group]), embeddings: [...batch.embeddings], from: batch };
}

export function meaningOf(program: Program, batch: ExactBatch): Meaning {
  const { size, labels, weights, dense } = batch.from;
  const probabilities: number[] = [];
  const losses: number[] = [];
  const outputs = program.outputs.map((): number[] => []);
  const seen = { largest: 0, nearestToKink: Infinity };
  for (let sample = 0; sample < size; sample += 1) {
    const columns = program.tables * program.dim;
    const tensors: number[][] = [];
    tensors[DENSE_FEATURES] = Array.from(
      dense.subarray(sample * program.denseFeatures, (sample + 1) * program.denseFeatures),
    );
    tensors[EMBEDDINGS] = batch.embeddings.slice(sample * columns, (sample + 1) * columns);
    for (const operation of program.operations) tensors.push(result(operation, { tensors, batch, seen }));
    for (const value of tensors.flat()) seen.largest = Math.max(seen.largest, Math.abs(value));
    for (const [at, tensor] of program.outputs.entries()) outputs[at]?.push(...(tensors[tensor] ?? []));
    const logit = tensors[program.logit]?.[0] ?? Number.NaN;
    const label = labels[sample] ?? Number.NaN;
    probabilities.push(1 / (1 + Math.exp(-logit)));
    losses.push(
      (weights[sample] ?? Number.NaN) * (Math.log(1 + Math.exp(-Math.abs(logit))) + Math.max(logit, 0) - label * logit),
    );
  }
  return { probabilities, losses, outputs, ...seen };
}

function result(
  operation: Operation,
  at: {
    readonly tensors: readonly (readonly number[])[];
    readonly batch: ExactBatch;
    readonly seen: { nearestToKink: number };
  },
): number[] {
  const { tensors, batch, seen } = at;
  function of(tensor: Tensor): readonly number[] {
    return tensors[tensor] ?? [];
  }
  function affine(x: readonly number[], map: { group: number; weightsAt: number; biasesAt: number }): number[] {
    const floats = batch.parameters[map.group] ?? [];
    return Array.from({ length: operation.width }, (_, row) =>
      x.reduce(
        (sum, value, column) => sum + value * number(floats, map.weightsAt + row * x.length + column),
        number(floats, map.biasesAt + row),
      ),
    );
  }
  switch (operation.kind) {
    case "dense": {
      const mapped = affine(of(operation.input), operation);
      if (!operation.relu) return mapped;
      for (const value of mapped) seen.nearestToKink = Math.min(seen.nearestToKink, Math.abs(value));
      return mapped.map((value) => Math.max(0, value));
    }
    case "cross": {
      const x = of(operation.input);
      const mapped = affine(x, operation);
      return of(operation.first).map((first, i) => first * number(mapped, i) + number(x, i));
    }
    case "bias":
      return of(operation.input).map(
        (x, i) => x + number(batch.parameters[operation.group] ?? [], operation.biasesAt + i),
      );
    case "concat":
      return operation.inputs.flatMap(of);
    case "columns":
      return of(operation.input).filter((_, i) => {
        const column = i % operation.every;
        return column >= operation.from && column < operation.to;
      });
    case "dot-interaction":
      return pairDots(operation.inputs.flatMap(of), operation.dim);
    case "factorization-machine":
      return [total(pairDots(operation.inputs.flatMap(of), operation.dim))];
    case "sum":
      return Array.from({ length: operation.width }, (_, i) =>
        total(operation.inputs.map((tensor) => number(of(tensor), i))),
      );
    case "column-sum":
      return [total(of(operation.input))];
    case "dot-product":
      return [dot(of(operation.left), of(operation.right))];
  }
}

function pairDots(row: readonly number[], dim: number): number[] {
  const vectors = Array.from({ length: row.length / dim }, (_, at) => row.slice(at * dim, (at + 1) * dim));
  return vectors.flatMap((left, at) => vectors.slice(0, at).map((right) => dot(left, right)));
}

function dot(left: readonly number[], right: readonly number[]): number {
  return total(left.map((x, i) => x * number(right, i)));
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function number(list: readonly number[], at: number): number {
  return list[at] ?? Number.NaN;
}
