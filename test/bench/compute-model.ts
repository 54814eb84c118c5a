import { programOf } from "../../protocols/architectures/architecture.ts";
import { type Backend, type CompiledProgram } from "../../protocols/compute/backend.ts";
import { type Program } from "../../protocols/compute/program.ts";

/** The DLRM that everybody computes: 13 dense features, 26 tables of 16, layers 13-64-16 and 64-32-1. compute-reference.c has it in C. */
const BENCH_PROGRAM: Program = programOf({
  architecture: { kind: "dlrm", embedding: 16, bottom: [64], top: [64, 32] },
  tables: Array.from({ length: 26 }, (_, table) => ({ name: `table ${table}`, key: `feature ${table}` })),
  dense: Array.from({ length: 13 }, (_, feature) => `number ${feature}`),
});

/** Compiles the model and fills in a batch: the same numbers, drawn in the same order, as the reference in C has. */
export function filledProgram(backend: Backend, size: number): CompiledProgram {
  const compiled = backend.compile(BENCH_PROGRAM, { batchMax: size });
  let seed = 1;
  function drawn(): number {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff;
    return Math.fround(seed / 2 ** 31 - 0.5);
  }
  for (const group of compiled.parameters) {
    for (const i of group.keys()) group[i] = Math.fround(0.2) * drawn();
  }
  for (const input of [compiled.inputs.dense, compiled.inputs.embeddings]) {
    for (const i of input.keys()) input[i] = drawn();
  }
  for (let i = 0; i < size; i += 1) compiled.inputs.labels[i] = i % 3 === 0 ? 1 : 0;
  compiled.inputs.weights.fill(1);
  return compiled;
}
