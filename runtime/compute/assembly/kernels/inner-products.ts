import { madd, sum4 } from "../common/fused";

/** out[r] = query . row r, for `rows` rows of `dim` floats. */
export function innerProducts(query: usize, matrix: usize, rows: i32, dim: i32, out: usize): void {
  const quads = dim & ~3;
  for (let row = 0; row < rows; row++) {
    let acc = f32x4.splat(0);
    for (let d = 0; d < quads; d += 4) acc = madd(v128.load(query + (d << 2)), v128.load(matrix + (d << 2)), acc);
    let sum = sum4(acc);
    for (let d = quads; d < dim; d++) sum += load<f32>(query + (d << 2)) * load<f32>(matrix + (d << 2));
    store<f32>(out + (row << 2), sum);
    matrix += dim << 2;
  }
}
