// A sample's vectors come in parts, each from a tensor of its own. To be multiplied with each other they are laid side by side, each filled up
// with zeros to a multiple of 8 floats; their gradients are put back to where each part has them.
import { ADD } from "./gemm";
import { copyFloats } from "./rows";

/** A part's record: where its values and its gradients stand (address, bytes a row, bytes a sample), its vectors, and how its gradients are put. */
const PART_BYTES: i32 = 32;

/** Bytes from one laid vector to the next. */
export function strideOf(dim: i32): i32 {
  return ((dim + 7) & ~7) << 2;
}

function valuesOf(part: usize, sample: i32): usize {
  return load<i32>(part) + sample * load<i32>(part, 4);
}

/** 0 where nobody asks for them. */
function gradientsOf(part: usize): usize {
  return load<i32>(part, 12);
}

/** Lays one sample's vectors side by side. What lies behind each vector's `dim` floats is 0 already. */
export function layVectors(parts: usize, count: i32, sample: i32, dim: i32, stride: i32, to: usize): void {
  for (let i = 0; i < count; i++) {
    const part = parts + i * PART_BYTES;
    let from = valuesOf(part, sample);
    const vectors = load<i32>(part, 24);
    if (stride == dim << 2) {
      copyFloats(to, from, dim * vectors);
      to += stride * vectors;
      continue;
    }
    for (let v = 0; v < vectors; v++) {
      copyFloats(to, from, dim);
      from += dim << 2;
      to += stride;
    }
  }
}

/** Puts or adds one sample's gradients, laid side by side, to where each part has them. */
export function putGradients(parts: usize, count: i32, start: i32, row: i32, dim: i32, stride: i32, from: usize): void {
  for (let i = 0; i < count; i++) {
    const part = parts + i * PART_BYTES;
    const vectors = load<i32>(part, 24);
    let to = gradientsOf(part);
    if (to) {
      to += start * load<i32>(part, 20) + row * load<i32>(part, 16);
      const adds = load<i32>(part, 28) == ADD;
      for (let v = 0; v < vectors; v++) {
        putVector(to + v * (dim << 2), from + v * stride, dim, adds);
      }
    }
    from += vectors * stride;
  }
}

function putVector(to: usize, from: usize, dim: i32, adds: bool): void {
  let d = 0;
  for (; d + 4 <= dim; d += 4) {
    const at = to + (d << 2);
    const value = v128.load(from + (d << 2));
    v128.store(at, adds ? f32x4.add(v128.load(at), value) : value);
  }
  for (; d < dim; d++) {
    const at = to + (d << 2);
    const value = load<f32>(from + (d << 2));
    store<f32>(at, adds ? load<f32>(at) + value : value);
  }
}
