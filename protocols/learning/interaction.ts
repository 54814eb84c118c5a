// DLRM's feature interaction (Naumov et al. 2019, section 2.1.3): the dot products of all pairs of a sample's vectors.

/** The vectors of one sample, unpacked for speed: `vectors` x `dim`, and the same for their gradients; `pairs` is vectors x vectors. */
export interface InteractionWorkspace {
  readonly vectors: number;
  readonly dim: number;
  readonly values: Float64Array;
  readonly gradients: Float64Array;
  readonly pairs: Float64Array;
}

export function interactionWorkspace(vectors: number, dim: number): InteractionWorkspace {
  return {
    vectors,
    dim,
    values: new Float64Array(vectors * dim),
    gradients: new Float64Array(vectors * dim),
    pairs: new Float64Array(vectors * vectors),
  };
}

/** Number of unordered pairs of different vectors: the width of the interaction's output. */
export function pairCount(vectors: number): number {
  return (vectors * (vectors - 1)) / 2;
}

/** Writes to `out` from `at` the dots of vector pairs (1, 0), (2, 0), (2, 1), (3, 0)... of `work.values`. */
export function forwardInteraction(work: InteractionWorkspace, out: Float32Array, at: number): void {
  const { vectors, dim, values } = work;
  let to = at;
  for (let i = 1; i < vectors; i += 1) {
    const left = i * dim;
    const quads = i - (i % 4);
    for (let j = 0; j < quads; j += 4) {
      const right = j * dim;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let d = 0; d < dim; d += 1) {
        const x = values[left + d] ?? 0;
        const from = right + d;
        s0 += x * (values[from] ?? 0);
        s1 += x * (values[from + dim] ?? 0);
        s2 += x * (values[from + 2 * dim] ?? 0);
        s3 += x * (values[from + 3 * dim] ?? 0);
      }
      out[to] = s0;
      out[to + 1] = s1;
      out[to + 2] = s2;
      out[to + 3] = s3;
      to += 4;
    }
    for (let j = quads; j < i; j += 1) {
      let sum = 0;
      for (let d = 0; d < dim; d += 1) sum += (values[left + d] ?? 0) * (values[j * dim + d] ?? 0);
      out[to] = sum;
      to += 1;
    }
  }
}

/** From the gradients by the dots, `deltas` from `at`, fills `work.gradients`: for vector i the sum over j of delta(i, j) times vector j. */
export function backwardInteraction(work: InteractionWorkspace, deltas: Float32Array, at: number): void {
  const { vectors, dim, values, gradients, pairs } = work;
  let from = at;
  for (let i = 1; i < vectors; i += 1) {
    for (let j = 0; j < i; j += 1) {
      const delta = deltas[from] ?? 0;
      pairs[i * vectors + j] = delta;
      pairs[j * vectors + i] = delta;
      from += 1;
    }
  }
  const triples = vectors - (vectors % 3);
  for (let i = 0; i < vectors; i += 1) {
    const row = i * vectors;
    const to = i * dim;
    gradients.fill(0, to, to + dim);
    for (let j = 0; j < triples; j += 3) {
      const p0 = pairs[row + j] ?? 0;
      const p1 = pairs[row + j + 1] ?? 0;
      const p2 = pairs[row + j + 2] ?? 0;
      const right = j * dim;
      for (let d = 0; d < dim; d += 1) {
        const v = right + d;
        gradients[to + d] =
          (gradients[to + d] ?? 0) +
          p0 * (values[v] ?? 0) +
          p1 * (values[v + dim] ?? 0) +
          p2 * (values[v + 2 * dim] ?? 0);
      }
    }
    for (let j = triples; j < vectors; j += 1) {
      const p = pairs[row + j] ?? 0;
      for (let d = 0; d < dim; d += 1) gradients[to + d] = (gradients[to + d] ?? 0) + p * (values[j * dim + d] ?? 0);
    }
  }
}
