// Two backends compute one program on one batch, and give the same.
import { expect } from "vitest";
import { type Backend, type CompiledProgram } from "../protocols/compute/backend.ts";
import { type Program } from "../protocols/compute/program.ts";
import { type Batch, fill } from "./drawn-program.ts";

/** Compares all that a backend gives with what the reference does: probabilities, outputs and gradients, NaN and infinities included. */
export function expectAlike(
  backend: Backend,
  {
    to,
    program,
    batch,
    within,
    batchMax = batch.size,
  }: {
    readonly to: Backend;
    readonly program: Program;
    readonly batch: Batch;
    readonly within: number;
    /** What the backend is compiled for. Default: the batch. */
    readonly batchMax?: number;
  },
): void {
  using reference = to.compile(program, { batchMax: batch.size });
  using given = backend.compile(program, { batchMax });
  const [expected, got] = [reference, given].map((compiled) => resultsOf(compiled, batch));
  for (const [at, { what, numbers }] of (expected ?? []).entries()) {
    const results = got?.[at]?.numbers;
    for (const [i, wanted] of numbers.entries()) {
      const value = results?.[i] ?? Number.NaN;
      const isSame =
        Object.is(value, wanted) || value === wanted || Math.abs(value - wanted) <= within * (1 + Math.abs(wanted));
      if (!isSame) expect.fail(`${what}: ${value} at ${i} is not ${wanted}, within ${within}`);
    }
  }
}

function resultsOf(
  compiled: CompiledProgram,
  batch: Batch,
): readonly { readonly what: string; readonly numbers: Float32Array }[] {
  const { size } = batch;
  const { tables, dim } = compiled.program;
  fill(compiled, batch);
  const probabilities = compiled.forward(size);
  compiled.backward();
  return [
    { what: "probabilities", numbers: probabilities },
    { what: "embedding gradients", numbers: compiled.embeddingGradients.subarray(0, size * tables * dim) },
    ...compiled.gradients.map((numbers, at) => ({ what: `gradients ${at}`, numbers })),
    ...compiled.outputs.map((output, at) => ({ what: `output ${at}`, numbers: output.subarray(0, size) })),
  ];
}
