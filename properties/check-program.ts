import { expect } from "vitest";
import {
  DENSE_FEATURES,
  EMBEDDINGS,
  FIRST_RESULT,
  inputsOf,
  type Operation,
  type Program,
  widthOf,
} from "../protocols/compute/program.ts";

/** Holds a program against what program.ts promises of each. */
export function checkProgram(program: Program): void {
  const used = program.groups.map(({ floats }) => new Uint8Array(floats));
  for (const [at, operation] of program.operations.entries()) {
    for (const input of inputsOf(operation)) {
      expect(input).toBeGreaterThanOrEqual(DENSE_FEATURES);
      expect(input).toBeLessThan(FIRST_RESULT + at);
    }
    expect(operation.width).toBe(expectedWidth(program, operation));
    expect(operation.width).toBeGreaterThan(0);
    for (const { group, from, floats } of parametersOf(program, operation)) {
      const taken = used[group];
      expect(from + floats).toBeLessThanOrEqual(taken?.length ?? 0);
      for (let i = from; i < from + floats; i += 1) if (taken !== undefined) taken[i] = (taken[i] ?? 0) + 1;
    }
  }
  for (const group of used) expect(group.every((times) => times === 1)).toBe(true);
  expect(new Set(program.groups.map(({ name }) => name)).size).toBe(program.groups.length);
  expect(widthOf(program, program.logit)).toBe(1);
  for (const output of program.outputs) expect(widthOf(program, output)).toBeGreaterThan(0);
  expect(widthOf(program, EMBEDDINGS)).toBe(program.tables * program.dim);
}

function expectedWidth(program: Program, operation: Operation): number {
  const widths = inputsOf(operation).map((input) => widthOf(program, input));
  const [first = 0] = widths;
  const all = widths.reduce((sum, width) => sum + width, 0);
  switch (operation.kind) {
    case "dense":
      return operation.width;
    case "cross":
    case "bias":
    case "sum":
      expect(new Set(widths).size).toBe(1);
      return first;
    case "concat":
      return all;
    case "columns":
      expect(first % operation.every).toBe(0);
      expect(operation.to).toBeLessThanOrEqual(operation.every);
      return (first / operation.every) * (operation.to - operation.from);
    case "dot-interaction": {
      for (const width of widths) expect(width % operation.dim).toBe(0);
      const vectors = all / operation.dim;
      return (vectors * (vectors - 1)) / 2;
    }
    case "factorization-machine":
      for (const width of widths) expect(width % operation.dim).toBe(0);
      return 1;
    case "column-sum":
      return 1;
    case "dot-product":
      expect(new Set(widths).size).toBe(1);
      return 1;
  }
}

function parametersOf(
  program: Program,
  operation: Operation,
): readonly { readonly group: number; readonly from: number; readonly floats: number }[] {
  switch (operation.kind) {
    case "dense":
    case "cross": {
      const { group, weightsAt, biasesAt, width, input } = operation;
      return [
        { group, from: weightsAt, floats: widthOf(program, input) * width },
        { group, from: biasesAt, floats: width },
      ];
    }
    case "bias":
      return [{ group: operation.group, from: operation.biasesAt, floats: operation.width }];
    case "concat":
    case "columns":
    case "dot-interaction":
    case "factorization-machine":
    case "sum":
    case "column-sum":
    case "dot-product":
      return [];
  }
}
