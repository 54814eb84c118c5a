// Exact nearest neighbours by inner product: the reference for every approximate index, and enough on its own for small catalogues.

/** One of the best rows: its index in the matrix and its inner product with the query. */
export interface Scored {
  readonly index: number;
  readonly score: number;
}

/** Rows by number, looked through for the largest inner products. */
export interface RowMatrix {
  /** How many rows there are. */
  size(): number;
  /** Replaces row `index`, or adds it where it is the next one. */
  put(index: number, values: Float32Array): void;
  /** What `topK` says of all rows: exactly that, whatever the way. */
  top(query: Float32Array, k: number): Scored[];
}

/** The reference: looks at every number of every row. */
export function plainMatrix(dim: number): RowMatrix {
  let rows = 0;
  let matrix = new Float32Array(64 * dim);
  return {
    size: () => rows,
    put(index, values) {
      checkPut(index, { values, dim, rows });
      if (index === rows) rows += 1;
      if (rows * dim > matrix.length) {
        const larger = new Float32Array(matrix.length * 2);
        larger.set(matrix);
        matrix = larger;
      }
      matrix.set(values, index * dim);
    },
    top: (query, k) => topK(query, { matrix, rows, k }),
  };
}

/** Throws where a row cannot be put. */
export function checkPut(
  index: number,
  { values, dim, rows }: { readonly values: Float32Array; readonly dim: number; readonly rows: number },
): void {
  if (!Number.isSafeInteger(index) || index < 0 || index > rows) {
    throw new RangeError(`Cannot put row ${index}: there are ${rows}`);
  }
  if (values.length !== dim) throw new RangeError(`Cannot put ${values.length} numbers: a row has ${dim}`);
}

/**
 * The `k` rows of the flat `rows` x `query.length` matrix with the largest inner products, best first; equal scores go to the smaller
 * index. A score that is NaN never wins. Memory is in proportion to `k`.
 */
export function topK(
  query: Float32Array,
  options: { readonly matrix: Float32Array; readonly rows: number; readonly k: number },
): Scored[] {
  const { matrix, rows } = options;
  const dim = query.length;
  const k = Math.max(0, Math.min(options.k, rows));
  const indices = new Int32Array(k);
  const scores = new Float64Array(k);
  let held = 0;
  for (let row = 0; row < rows && k > 0; row += 1) {
    let score = 0;
    const at = row * dim;
    for (let d = 0; d < dim; d += 1) score += (query[d] ?? 0) * (matrix[at + d] ?? 0);
    // Rows come in rising index, so a tie with the worst one held loses.
    if (Number.isNaN(score) || (held === k && score <= (scores[0] ?? 0))) continue;
    if (held < k) {
      siftUp({ indices, scores }, { at: held, index: row, score });
      held += 1;
    } else siftDown({ indices, scores }, { held, index: row, score });
  }
  const found = Array.from({ length: held }, (_, i) => ({ index: indices[i] ?? 0, score: scores[i] ?? 0 }));
  return found.sort((a, b) => b.score - a.score || a.index - b.index);
}

// A heap with the worst row at its root: the lowest score, and of equal ones the largest index.
interface Heap {
  readonly indices: Int32Array;
  readonly scores: Float64Array;
}

function siftUp(
  { indices, scores }: Heap,
  { at, index, score }: { readonly at: number; readonly index: number; readonly score: number },
): void {
  let child = at;
  while (child > 0) {
    const parent = (child - 1) >> 1;
    if (!isWorse({ score, index }, { score: scores[parent] ?? 0, index: indices[parent] ?? 0 })) break;
    scores[child] = scores[parent] ?? 0;
    indices[child] = indices[parent] ?? 0;
    child = parent;
  }
  scores[child] = score;
  indices[child] = index;
}

/** Replaces the root by a row and restores the order. */
function siftDown(
  { indices, scores }: Heap,
  { held, index, score }: { readonly held: number; readonly index: number; readonly score: number },
): void {
  let parent = 0;
  for (;;) {
    let child = 2 * parent + 1;
    if (child >= held) break;
    const right = child + 1;
    if (right < held && isWorse(scoredAt({ indices, scores }, right), scoredAt({ indices, scores }, child))) {
      child = right;
    }
    const candidate = scoredAt({ indices, scores }, child);
    if (!isWorse(candidate, { score, index })) break;
    scores[parent] = candidate.score;
    indices[parent] = candidate.index;
    parent = child;
  }
  scores[parent] = score;
  indices[parent] = index;
}

function scoredAt({ indices, scores }: Heap, index: number): Scored {
  return { score: scores[index] ?? 0, index: indices[index] ?? 0 };
}

function isWorse(a: Scored, b: Scored): boolean {
  return a.score < b.score || (a.score === b.score && a.index > b.index);
}
