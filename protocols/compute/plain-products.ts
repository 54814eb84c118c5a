// Operations that multiply features with each other.
import { type PlainMemory, type PlainStep, sideBySide } from "./plain-memory.ts";
import { type DotInteraction, type DotProduct, type FactorizationMachine, type Tensor } from "./program.ts";

const NONE = new Float32Array(0);

export function dotInteractionStep(
  { inputs, dim, width }: DotInteraction,
  memory: PlainMemory,
  result: Tensor,
): PlainStep {
  const side = sideBySide(memory, inputs);
  const vectors = side.width / dim;
  const pairs = new Float64Array(vectors * vectors);
  const [out, delta] = [memory.values(result), memory.deltas(result) ?? NONE];
  return {
    forward(size) {
      for (let sample = 0; sample < size; sample += 1) {
        side.load(sample);
        pairDots(side.row, { vectors, dim, out, at: sample * width });
      }
    },
    backward(size) {
      for (let sample = 0; sample < size; sample += 1) {
        side.load(sample);
        let from = sample * width;
        for (let i = 1; i < vectors; i += 1) {
          for (let j = 0; j < i; j += 1) {
            const d = delta[from] ?? 0;
            pairs[i * vectors + j] = d;
            pairs[j * vectors + i] = d;
            from += 1;
          }
        }
        weighVectors(side.row, { vectors, dim, pairs, out: side.delta });
        side.addDeltas(sample);
      }
    },
  };
}

/** The sum over pairs is, column by column, half of (sum of v)^2 less the sum of v^2; so its gradient by v is the sum of the other vectors. */
export function factorizationMachineStep(
  { inputs, dim }: FactorizationMachine,
  memory: PlainMemory,
  result: Tensor,
): PlainStep {
  const side = sideBySide(memory, inputs);
  const [out, delta] = [memory.values(result), memory.deltas(result) ?? NONE];
  const sums = new Float64Array(dim);

  function addUp(sample: number): number {
    side.load(sample);
    sums.fill(0);
    let squares = 0;
    for (let i = 0; i < side.width; i += 1) {
      const v = side.row[i] ?? 0;
      sums[i % dim] = (sums[i % dim] ?? 0) + v;
      squares += v * v;
    }
    return squares;
  }

  return {
    forward(size) {
      for (let sample = 0; sample < size; sample += 1) {
        const squares = addUp(sample);
        let square = 0;
        for (let d = 0; d < dim; d += 1) square += (sums[d] ?? 0) ** 2;
        out[sample] = (square - squares) / 2;
      }
    },
    backward(size) {
      for (let sample = 0; sample < size; sample += 1) {
        addUp(sample);
        const by = delta[sample] ?? 0;
        for (let i = 0; i < side.width; i += 1) side.delta[i] = by * ((sums[i % dim] ?? 0) - (side.row[i] ?? 0));
        side.addDeltas(sample);
      }
    },
  };
}

export function dotProductStep({ left, right }: DotProduct, memory: PlainMemory, result: Tensor): PlainStep {
  const [a, b, out] = [memory.values(left), memory.values(right), memory.values(result)];
  const [aDelta, bDelta, delta] = [memory.deltas(left), memory.deltas(right), memory.deltas(result) ?? NONE];
  const width = memory.width(left);
  return {
    forward(size) {
      for (let sample = 0; sample < size; sample += 1) {
        let sum = 0;
        for (let i = sample * width; i < (sample + 1) * width; i += 1) sum += (a[i] ?? 0) * (b[i] ?? 0);
        out[sample] = sum;
      }
    },
    backward(size) {
      for (let sample = 0; sample < size; sample += 1) {
        const d = delta[sample] ?? 0;
        for (let i = sample * width; i < (sample + 1) * width; i += 1) {
          if (aDelta !== undefined) aDelta[i] = (aDelta[i] ?? 0) + d * (b[i] ?? 0);
          if (bDelta !== undefined) bDelta[i] = (bDelta[i] ?? 0) + d * (a[i] ?? 0);
        }
      }
    },
  };
}

/** Writes the dots of the pairs (1, 0), (2, 0), (2, 1)... Four right vectors at a time share the loads of the left one. */
function pairDots(
  values: Float64Array,
  to: { readonly vectors: number; readonly dim: number; readonly out: Float32Array; readonly at: number },
): void {
  const { vectors, dim, out } = to;
  let { at } = to;
  for (let i = 1; i < vectors; i += 1) {
    const left = i * dim;
    const quads = i - (i % 4);
    for (let j = 0; j < quads; j += 4) {
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let d = 0; d < dim; d += 1) {
        const x = values[left + d] ?? 0;
        const from = j * dim + d;
        s0 += x * (values[from] ?? 0);
        s1 += x * (values[from + dim] ?? 0);
        s2 += x * (values[from + 2 * dim] ?? 0);
        s3 += x * (values[from + 3 * dim] ?? 0);
      }
      out[at] = s0;
      out[at + 1] = s1;
      out[at + 2] = s2;
      out[at + 3] = s3;
      at += 4;
    }
    for (let j = quads; j < i; j += 1) {
      let sum = 0;
      for (let d = 0; d < dim; d += 1) sum += (values[left + d] ?? 0) * (values[j * dim + d] ?? 0);
      out[at] = sum;
      at += 1;
    }
  }
}

/** For vector i the sum over j of pairs(i, j) times vector j. The diagonal of `pairs` is 0. */
function weighVectors(
  values: Float64Array,
  by: { readonly vectors: number; readonly dim: number; readonly pairs: Float64Array; readonly out: Float64Array },
): void {
  const { vectors, dim, pairs, out } = by;
  const triples = vectors - (vectors % 3);
  out.fill(0);
  for (let i = 0; i < vectors; i += 1) {
    const row = i * vectors;
    const to = i * dim;
    for (let j = 0; j < triples; j += 3) {
      const p0 = pairs[row + j] ?? 0;
      const p1 = pairs[row + j + 1] ?? 0;
      const p2 = pairs[row + j + 2] ?? 0;
      for (let d = 0; d < dim; d += 1) {
        const v = j * dim + d;
        out[to + d] =
          (out[to + d] ?? 0) + p0 * (values[v] ?? 0) + p1 * (values[v + dim] ?? 0) + p2 * (values[v + 2 * dim] ?? 0);
      }
    }
    for (let j = triples; j < vectors; j += 1) {
      const p = pairs[row + j] ?? 0;
      for (let d = 0; d < dim; d += 1) out[to + d] = (out[to + d] ?? 0) + p * (values[j * dim + d] ?? 0);
    }
  }
}
