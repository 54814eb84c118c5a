// Each architecture from its paper's formulas alone, one sample at a time in 64 bits.
import { type Declared } from "../protocols/architectures/layers.ts";
import { type Program } from "../protocols/compute/program.ts";
import { type Batch } from "./drawn-program.ts";

type Vector = readonly number[];

/** One sample as the papers see it: the dense features, a row a table, and parameters by their group's name. */
interface Sample {
  readonly dense: Vector;
  readonly rows: readonly Vector[];
  readonly groupOf: (name: string) => Vector;
}

/** The probability that a model of this declaration gives to one sample of a batch. */
export function paperProbability(
  model: Declared,
  { program, batch, sample }: { readonly program: Program; readonly batch: Batch; readonly sample: number },
): number {
  const columns = model.dense.length;
  const dense = Array.from(batch.dense.subarray(sample * columns, (sample + 1) * columns));
  const rows = model.tables.map((_, table) => {
    const at = (sample * model.tables.length + table) * program.dim;
    return Array.from(batch.embeddings.subarray(at, at + program.dim));
  });
  function groupOf(name: string): Vector {
    return [...(batch.parameters[program.groups.findIndex((group) => group.name === name)] ?? [])];
  }
  return 1 / (1 + Math.exp(-logitOf(model, { dense, rows, groupOf })));
}

function logitOf(model: Declared, sample: Sample): number {
  const { dense, rows, groupOf } = sample;
  const { architecture } = model;
  switch (architecture.kind) {
    case "logistic":
      return total(rows.flat()) + linear(dense, groupOf("linear"));
    case "dlrm": {
      const { bottom, top, embedding } = architecture;
      const lower = dense.length === 0 ? [] : [perceptron(dense, groupOf("bottom"), [...bottom, embedding], true)];
      const dots = pairsOf([...lower, ...rows]).map(([left, right]) => dot(left, right));
      return perceptron([...lower.flat(), ...dots], groupOf("top"), [...top, 1], false)[0] ?? Number.NaN;
    }
    case "dcn-v2": {
      const first = [...dense, ...rows.flat()];
      let crossed: Vector = first;
      for (let at = 1; at <= architecture.cross; at += 1) {
        const before = crossed;
        const mapped = affine(before, groupOf(`cross-${at}`), before.length);
        crossed = first.map((x, i) => x * number(mapped, i) + number(before, i));
      }
      const deep =
        architecture.deep.length === 0 ? [] : deepOf(first, { name: "deep", widths: architecture.deep, groupOf });
      return linear([...crossed, ...deep], groupOf("head"));
    }
    case "deepfm": {
      const vectors = rows.map((row) => row.slice(1));
      const pairs = total(pairsOf(vectors).map(([left, right]) => dot(left, right)));
      const deep = deepOf([...dense, ...vectors.flat()], { name: "deep", widths: architecture.deep, groupOf });
      const wide =
        total(rows.map((row) => number(row, 0))) + (dense.length === 0 ? 0 : linear(dense, groupOf("linear")));
      return wide + pairs + linear(deep, groupOf("head"));
    }
    case "two-tower": {
      const { user, item, output, itemTables, itemDense } = architecture;
      function side(isItem: boolean): Vector {
        return [
          ...dense.filter((_, at) => itemDense.includes(model.dense[at] ?? "") === isItem),
          ...rows.flatMap((row, at) => {
            const { name = "", key = "" } = model.tables[at] ?? {};
            return (key === "item" || itemTables.includes(name)) === isItem ? row : [];
          }),
        ];
      }
      const ofUser = affine(
        deepOf(side(false), { name: "user", widths: user, groupOf }),
        groupOf("user-output"),
        output,
      );
      const ofItem = affine(
        deepOf(side(true), { name: "item", widths: item, groupOf }),
        groupOf("item-output"),
        output,
      );
      return dot(ofUser, ofItem) + number(groupOf("bias"), 0);
    }
  }
}

function deepOf(
  input: Vector,
  of: { readonly name: string; readonly widths: Vector; readonly groupOf: (name: string) => Vector },
): Vector {
  return of.widths.reduce(
    (values: Vector, width, at) => relu(affine(values, of.groupOf(`${of.name}-${at + 1}`), width)),
    input,
  );
}

/** Layers whose parameters follow each other, with ReLU between them and, if asked, at the end. */
function perceptron(input: Vector, floats: Vector, widths: Vector, activateLast: boolean): Vector {
  let values = input;
  let from = 0;
  for (const [at, width] of widths.entries()) {
    const to = from + (values.length + 1) * width;
    const mapped = affine(values, floats.slice(from, to), width);
    values = activateLast || at + 1 < widths.length ? relu(mapped) : mapped;
    from = to;
  }
  return values;
}

function linear(x: Vector, floats: Vector): number {
  return affine(x, floats, 1)[0] ?? Number.NaN;
}

/** Weights row by row, then the biases. */
function affine(x: Vector, floats: Vector, width: number): Vector {
  return Array.from({ length: width }, (_, row) =>
    x.reduce(
      (sum, value, column) => sum + value * number(floats, row * x.length + column),
      number(floats, width * x.length + row),
    ),
  );
}

function pairsOf(vectors: readonly Vector[]): (readonly [Vector, Vector])[] {
  return vectors.flatMap((left, at) => vectors.slice(0, at).map((right) => [left, right] as const));
}

function relu(values: Vector): Vector {
  return values.map((value) => Math.max(0, value));
}

function dot(left: Vector, right: Vector): number {
  return total(left.map((x, i) => x * number(right, i)));
}

function total(values: Vector): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function number(values: Vector, at: number): number {
  return values[at] ?? Number.NaN;
}
