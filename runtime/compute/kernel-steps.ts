/*
 * The words of the steps that assembly/kernels/steps.ts runs: there each kind reads what is written here, by number and position. A place is
 * three words.
 */

/** Floats that stand together in a program's memory. */
export interface Region {
  /** In bytes. */
  readonly address: number;
  readonly floats: number;
}

/** Where a tensor stands: its first row; bytes from row to row; and bytes from sample to sample of the batch, 0 where it holds one part. */
export interface Place {
  readonly address: number;
  readonly row: number;
  readonly step: number;
}

/** How a result is put: in place of what was there, or added to it. */
export type Mode = typeof REPLACE | typeof ADD;
export const REPLACE = 0;
export const ADD = 1;

/** Samples that go through all steps together: what they make on the way fits the second-level cache. */
export const BATCH_PART = 96;

const WORDS_PER_STEP = 20;
/** Of a part of the vectors that are multiplied with each other. */
const WORDS_PER_PART = 8;

export type Step = readonly number[];

/** An affine map's parameters, and the same weights turned, for batches of more than a few. */
export interface AffinePlace {
  readonly weights: number;
  readonly biases: number;
  readonly turned: Pick<Place, "address" | "row">;
  readonly inputs: number;
  readonly width: number;
  readonly weightGradients: number;
  readonly biasGradients: number;
}

/** Vectors of one tensor, `deltas` absent where nobody asks for gradients by it. */
export interface VectorPart {
  readonly values: Place;
  readonly deltas: Place | undefined;
  readonly vectors: number;
  readonly mode: Mode;
}

/** Vectors that are multiplied with each other. */
interface Vectors {
  /** Address of the parts' records. */
  readonly parts: number;
  readonly count: number;
  readonly dim: number;
  readonly vectors: number;
  /** Room to lay them side by side. */
  readonly scratch: number;
}

interface Unary {
  readonly from: Place;
  readonly to: Place;
  readonly width: number;
}

interface Binary extends Pick<Unary, "to" | "width"> {
  readonly left: Place;
  readonly right: Place;
}

export function turnStep({ weights, turned, inputs, width }: AffinePlace): Step {
  return [0, weights, turned.address, inputs, width, turned.row];
}

export function denseStep(map: AffinePlace, of: Pick<Unary, "from" | "to"> & { readonly relu: boolean }): Step {
  const { weights, biases, turned, inputs, width } = map;
  const relu = of.relu ? 1 : 0;
  return [1, ...words(of.from), ...words(of.to), weights, biases, turned.address, inputs, width, relu, turned.row];
}

/** Gradients of the parameters, and by the input where `fromDelta` is given. Changes the gradient by the result where it has a ReLU. */
export function denseBackStep(
  map: AffinePlace,
  of: {
    readonly delta: Place;
    readonly to: Place;
    readonly from: Place;
    readonly fromDelta: Place | undefined;
    readonly relu: boolean;
    readonly mode: Mode;
  },
): Step {
  const { weights, weightGradients, biasGradients, inputs, width } = map;
  const tensors = [of.delta, of.to, of.from, of.fromDelta].flatMap(words);
  return [2, ...tensors, weights, weightGradients, biasGradients, inputs, width, of.relu ? 1 : 0, of.mode];
}

/** Runs of `floats`, `blocks` a row, that start a number of floats apart. */
export function moveStep(
  { from, to }: Pick<Unary, "from" | "to">,
  runs: {
    readonly blocks?: number;
    readonly fromEvery?: number;
    readonly toEvery?: number;
    readonly floats: number;
    readonly mode: Mode;
  },
): Step {
  const { blocks = 1, fromEvery = 0, toEvery = 0, floats, mode } = runs;
  return [3, ...words(from), ...words(to), blocks, 4 * fromEvery, 4 * toEvery, floats, mode];
}

/** first * mapped + x. */
export function crossStep({
  first,
  mapped,
  x,
  to,
  width,
}: Record<"first" | "mapped" | "x" | "to", Place> & { readonly width: number }): Step {
  return [4, ...words(first), ...words(mapped), ...words(x), ...words(to), width];
}

/** left * right by element. */
export function multiplyStep({ left, right, to, width }: Binary, mode: Mode): Step {
  return [5, ...words(left), ...words(right), ...words(to), width, mode];
}

export function biasStep({ from, to, width }: Unary, biases: number): Step {
  return [6, ...words(from), ...words(to), biases, width];
}

/** The sum of each column over the batch. */
export function columnSumsStep(from: Place, { sums, width }: { readonly sums: number; readonly width: number }): Step {
  return [7, ...words(from), sums, width];
}

export function pairDotsStep(vectors: Vectors, to: Place): Step {
  return [8, vectors.parts, vectors.count, ...words(to), vectors.dim, vectors.vectors, vectors.scratch];
}

export function pairDotsBackStep(
  vectors: Vectors,
  of: { readonly delta: Place; readonly square: number; readonly gradients: number },
): Step {
  const { parts, count, dim, vectors: all, scratch } = vectors;
  return [9, parts, count, ...words(of.delta), dim, all, scratch, of.square, of.gradients];
}

export function factorizeStep(vectors: Vectors, { to, sums }: { readonly to: Place; readonly sums: number }): Step {
  const { parts, count, dim, vectors: all, scratch } = vectors;
  return [10, parts, count, ...words(to), dim, all, scratch, sums];
}

export function factorizeBackStep(
  vectors: Vectors,
  { delta, gradients }: { readonly delta: Place; readonly gradients: number },
): Step {
  const { parts, count, dim, vectors: all, scratch } = vectors;
  return [11, parts, count, ...words(delta), dim, all, scratch, 0, gradients];
}

/** The sum of each row. */
export function rowSumsStep({ from, to, width }: Unary): Step {
  return [12, ...words(from), ...words(to), width];
}

/** The inner product of each pair of rows. */
export function rowDotsStep({ left, right, to, width }: Binary): Step {
  return [13, ...words(left), ...words(right), ...words(to), width];
}

/** Each row times its factor; the factor itself where no row is given. */
export function scaleRowsStep(
  { factors, rows, to, width }: { factors: Place; rows: Place | undefined; to: Place; width: number },
  mode: Mode,
): Step {
  return [14, ...words(factors), ...words(rows), ...words(to), width, mode];
}

export function sigmoidStep(logits: Place, probabilities: number): Step {
  return [15, ...words(logits), probabilities];
}

/** The gradient by the logits, and the sums of losses and weights. */
export function lossStep(
  { logits, delta }: { readonly logits: Place; readonly delta: Place },
  of: { readonly labels: number; readonly weights: number; readonly sums: number },
): Step {
  return [16, ...words(logits), ...words(delta), of.labels, of.weights, of.sums];
}

export function zeroStep(to: Place, width: number): Step {
  return [17, ...words(to), 0, 0, 0, width];
}

/** Steps one after the other, as memory has them. */
export function stepWords(steps: readonly Step[]): Int32Array {
  return paddedWords(steps, WORDS_PER_STEP);
}

export function partWords(parts: readonly VectorPart[]): Int32Array {
  const records = parts.map(({ values, deltas, vectors, mode }) => [...words(values), ...words(deltas), vectors, mode]);
  return paddedWords(records, WORDS_PER_PART);
}

function paddedWords(records: readonly (readonly number[])[], each: number): Int32Array {
  const all = new Int32Array(records.length * each);
  for (const [at, record] of records.entries()) {
    if (record.length > each) throw new RangeError(`Cannot write a record of ${record.length} words: it has ${each}`);
    all.set(record, at * each);
  }
  return all;
}

/** Three zeros stand for none. */
function words(place: Place | undefined): readonly number[] {
  return place === undefined ? [0, 0, 0] : [place.address, place.row, place.step];
}
