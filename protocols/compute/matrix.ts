// The two matrix operations that a multi-layer network needs, over flat row-major arrays. Sums are kept in 64-bit floats.

/** Sizes of a product: `a` is m x k from index 0, `b` is n x k from index `bAt`, `out` is m x n from index `outAt`; with `adds` the product is added to it. */
export interface ProductSizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly bAt?: number;
  readonly outAt?: number;
  readonly adds?: boolean;
}

/**
 * out = a b^T. Both inputs are read along their rows, so every product of training takes this form once the operands that
 * lie the wrong way are transposed. Tiles of 2 x 4 sums live in registers: 6 loads for 8 multiply-adds.
 */
export function multiplyTransposed(
  a: Float32Array,
  b: Float32Array,
  into: ProductSizes & { readonly out: Float32Array },
): void {
  const { m, n, k, out, bAt = 0, outAt = 0, adds = false } = into;
  if (!adds) out.fill(0, outAt, outAt + m * n);
  const pairs = m - (m % 2);
  const quads = n - (n % 4);
  for (let row = 0; row < pairs; row += 2) {
    const a0 = row * k;
    const a1 = a0 + k;
    const o0 = outAt + row * n;
    const o1 = o0 + n;
    for (let column = 0; column < quads; column += 4) {
      let b0 = bAt + column * k;
      let b1 = b0 + k;
      let b2 = b1 + k;
      let b3 = b2 + k;
      let s00 = 0;
      let s01 = 0;
      let s02 = 0;
      let s03 = 0;
      let s10 = 0;
      let s11 = 0;
      let s12 = 0;
      let s13 = 0;
      for (let i = 0; i < k; i += 1) {
        const x0 = a[a0 + i] ?? 0;
        const x1 = a[a1 + i] ?? 0;
        const y0 = b[b0] ?? 0;
        const y1 = b[b1] ?? 0;
        const y2 = b[b2] ?? 0;
        const y3 = b[b3] ?? 0;
        s00 += x0 * y0;
        s01 += x0 * y1;
        s02 += x0 * y2;
        s03 += x0 * y3;
        s10 += x1 * y0;
        s11 += x1 * y1;
        s12 += x1 * y2;
        s13 += x1 * y3;
        b0 += 1;
        b1 += 1;
        b2 += 1;
        b3 += 1;
      }
      out[o0 + column] = (out[o0 + column] ?? 0) + s00;
      out[o0 + column + 1] = (out[o0 + column + 1] ?? 0) + s01;
      out[o0 + column + 2] = (out[o0 + column + 2] ?? 0) + s02;
      out[o0 + column + 3] = (out[o0 + column + 3] ?? 0) + s03;
      out[o1 + column] = (out[o1 + column] ?? 0) + s10;
      out[o1 + column + 1] = (out[o1 + column + 1] ?? 0) + s11;
      out[o1 + column + 2] = (out[o1 + column + 2] ?? 0) + s12;
      out[o1 + column + 3] = (out[o1 + column + 3] ?? 0) + s13;
    }
  }
  // The edges that the tiles leave over.
  for (let row = 0; row < m; row += 1) {
    for (let column = row < pairs ? quads : 0; column < n; column += 1) {
      const from = row * k;
      const against = bAt + column * k;
      let sum = 0;
      for (let i = 0; i < k; i += 1) sum += (a[from + i] ?? 0) * (b[against + i] ?? 0);
      const to = outAt + row * n + column;
      out[to] = (out[to] ?? 0) + sum;
    }
  }
}

/** out = transpose of the rows x columns matrix that starts at `at` in `a`. */
export function transpose(
  a: Float32Array,
  into: { readonly rows: number; readonly columns: number; readonly out: Float32Array; readonly at?: number },
): void {
  const { rows, columns, out, at = 0 } = into;
  // Blocks of 16 keep both sides within a few cache lines.
  for (let rowBlock = 0; rowBlock < rows; rowBlock += 16) {
    const rowEnd = Math.min(rows, rowBlock + 16);
    for (let column = 0; column < columns; column += 1) {
      for (let row = rowBlock; row < rowEnd; row += 1) out[column * rows + row] = a[at + row * columns + column] ?? 0;
    }
  }
}
