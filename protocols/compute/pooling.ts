/*
 * From the distinct rows of a batch to what each sample has of a table, and back. Most tables give a sample one row; a table over a list of items
 * gives it as many as the list has, made one by their mean, sum or largest numbers.
 */

/** How the rows of a list become one. Of an empty list each makes zeros. */
export type Pooling = "mean" | "sum" | "max";

/** Which of a table's distinct rows each sample has. */
export interface RowChoice {
  /** Indices into the rows. Without `list` one a sample. */
  readonly rowOf: Uint32Array;
  /** A sample's rows are those from its own start to before the next one's; the last start is the end. */
  readonly list?: { readonly starts: Uint32Array; readonly pooling: Pooling };
}

/** Moves rows to samples and gradients back, for one program's memory. */
export interface RowPooling {
  /** Where so many distinct rows of a table are best put: what `spread` and `sum` are given from there they need not copy. Lasts until the next call for the table. */
  rows(table: number, count: number): Float32Array;
  /** Puts the rows of a table (distinct rows x dim) where the program reads each sample's. */
  spread(batch: TableOfBatch, rows: Float32Array): void;
  /** After `backward`: the gradients by the rows. `rows` are as they were spread. The largest number of a list is of the first row that has it. */
  sum(batch: TableOfBatch, rows: Float32Array): RowGradients;
}

export interface RowGradients {
  /** Distinct rows x dim, a view that lasts until the next call. */
  readonly sums: Float32Array;
  /** About the sum of the squares of all of them: to a hundredth; not finite where one of them is not, and where it is greater than 32-bit floats are. */
  readonly squares: number;
}

/** One table of the program, and the samples of a batch. */
export interface TableOfBatch {
  readonly size: number;
  readonly table: number;
  readonly choice: RowChoice;
}

/** The reference, over arrays of size x tables x dim. */
export function plainPooling(
  { tables, dim }: { readonly tables: number; readonly dim: number },
  { embeddings, gradients }: { readonly embeddings: Float32Array; readonly gradients: Float32Array },
): RowPooling {
  return {
    rows: (_, count) => new Float32Array(count * dim),
    spread({ size, table, choice }, rows) {
      for (let sample = 0; sample < size; sample += 1) {
        const to = (sample * tables + table) * dim;
        poolRows({ choice, sample, dim, rows }, embeddings.subarray(to, to + dim));
      }
    },
    sum({ size, table, choice }, rows) {
      const sums = new Float32Array(rows.length);
      for (let sample = 0; sample < size; sample += 1) {
        const from = (sample * tables + table) * dim;
        addGradient({ choice, sample, dim, rows }, gradients.subarray(from, from + dim), sums);
      }
      let squares = 0;
      for (const each of sums) squares += each * each;
      return { sums, squares };
    },
  };
}

/** Of whom something is computed. */
export interface SampleRows {
  readonly choice: RowChoice;
  readonly sample: number;
  readonly dim: number;
  /** Distinct rows x dim. */
  readonly rows: Float32Array;
}

/** What a sample has of a table, into `out`. */
export function poolRows({ choice: { rowOf, list }, sample, dim, rows }: SampleRows, out: Float32Array): void {
  const { from, to } = entriesOf({ rowOf, ...(list && { list }) }, sample);
  if (from === to) {
    out.fill(0, 0, dim);
    return;
  }
  const first = (rowOf[from] ?? 0) * dim;
  for (let d = 0; d < dim; d += 1) out[d] = rows[first + d] ?? 0;
  for (let entry = from + 1; entry < to; entry += 1) {
    const row = (rowOf[entry] ?? 0) * dim;
    for (let d = 0; d < dim; d += 1) {
      const [held, value] = [out[d] ?? 0, rows[row + d] ?? 0];
      out[d] = list?.pooling === "max" ? (isAbove(value, held) ? value : held) : held + value;
    }
  }
  if (list?.pooling !== "mean") return;
  for (let d = 0; d < dim; d += 1) out[d] = (out[d] ?? 0) / (to - from);
}

/** Adds what a sample's gradient is by its rows to the sums of these. */
export function addGradient(
  { choice: { rowOf, list }, sample, dim, rows }: SampleRows,
  gradient: Float32Array,
  sums: Float32Array,
): void {
  const { from, to } = entriesOf({ rowOf, ...(list && { list }) }, sample);
  for (let d = 0; d < dim; d += 1) {
    const by = gradient[d] ?? 0;
    if (list?.pooling === "max") {
      const at = largestEntry({ rowOf, rows, dim }, { from, to, d });
      if (at >= 0) sums[at] = (sums[at] ?? 0) + by;
      continue;
    }
    // Rounded once more, as every kernel must.
    const share = list?.pooling === "mean" ? Math.fround(by / (to - from)) : by;
    for (let entry = from; entry < to; entry += 1) {
      const at = (rowOf[entry] ?? 0) * dim + d;
      sums[at] = (sums[at] ?? 0) + share;
    }
  }
}

/** Where the largest number of a column stands, the first of equal ones; -1 of none. What is no number is larger than all. */
function largestEntry(
  { rowOf, rows, dim }: { readonly rowOf: Uint32Array; readonly rows: Float32Array; readonly dim: number },
  { from, to, d }: { readonly from: number; readonly to: number; readonly d: number },
): number {
  let at = -1;
  for (let entry = from; entry < to; entry += 1) {
    const other = (rowOf[entry] ?? 0) * dim + d;
    if (at < 0 || isAbove(rows[other] ?? 0, rows[at] ?? 0)) at = other;
  }
  return at;
}

/** A broken row must show, not hide behind a sound one. */
function isAbove(value: number, held: number): boolean {
  return value > held || (Number.isNaN(value) && !Number.isNaN(held));
}

function entriesOf({ list }: RowChoice, sample: number): { readonly from: number; readonly to: number } {
  return list === undefined
    ? { from: sample, to: sample + 1 }
    : { from: list.starts[sample] ?? 0, to: list.starts[sample + 1] ?? 0 };
}
