/*
 * A compiled program is two lists of steps in memory, forward and backward, so that a whole batch is one call from outside. It goes through
 * them a part of the batch after the other: what a step leaves is still in the cache when the next one reads it, and gradients by activations
 * need room for one part alone. ../../kernel-steps.ts writes the lists; words and their order are the same there.
 */
import { crossRows, dotRows, multiplyRows, scaleRows, sumRows } from "./by-element";
import { factorize, factorizeBack } from "./factorize";
import { ADD, gemm, REPLACE } from "./gemm";
import { logLosses, sigmoids } from "./loss";
import { pairDots, pairDotsBack } from "./pair-dots";
import { addBiases, columnSums, denseRows, maskRelu, moveRows, scale, turn, zeroRows } from "./rows";

const STEP_BYTES: i32 = 80;
/** Turning the weights pays from so many samples on (measured on the DLRM of `bench -- compute`). */
const FEW: i32 = 20;

/** One word of a step. */
function word(step: usize, at: i32): i32 {
  return load<i32>(step + (at << 2));
}

/** Where a tensor has the sample `start`: three words, its address, bytes a row, and bytes a sample of the batch (0 where it holds one part). */
function rowsAt(step: usize, at: i32, start: i32): usize {
  return word(step, at) + start * word(step, at + 2);
}

/** Runs `count` steps over a batch of `size` samples, `part` at a time. Also an empty batch is run once, so that sums of nothing are 0. */
export function runSteps(steps: usize, count: i32, size: i32, part: i32): void {
  let start = 0;
  do {
    const rows = min(part, size - start);
    for (let i = 0; i < count; i++) runStep(steps + i * STEP_BYTES, start, rows, size);
    start += part;
  } while (start < size);
}

/** Backward steps, then the gradients of the parameters, `floats` at `gradients`, divided by the sum of the weights, the second of the two at `sums`. */
export function runBackward(
  steps: usize,
  count: i32,
  size: i32,
  part: i32,
  sums: usize,
  gradients: usize,
  floats: i32,
): void {
  store<f64>(sums, 0);
  store<f64>(sums, 0, 8);
  runSteps(steps, count, size, part);
  const weight = load<f64>(sums, 8);
  scale(gradients, floats, weight > 0 ? f32(1 / weight) : 0);
}

function runStep(s: usize, start: i32, rows: i32, size: i32): void {
  switch (word(s, 0)) {
    case 0:
      if (start == 0 && size >= FEW) turn(word(s, 4), word(s, 3), word(s, 1), word(s, 2), word(s, 5));
      return;
    case 1:
      return dense(s, start, rows, size);
    case 2:
      return denseBack(s, start, rows);
    case 3:
      return moveRows(
        rows,
        word(s, 7),
        word(s, 10),
        rowsAt(s, 1, start),
        word(s, 2),
        word(s, 8),
        rowsAt(s, 4, start),
        word(s, 5),
        word(s, 9),
        word(s, 11),
      );
    case 4:
      return crossRows(
        rows,
        word(s, 13),
        rowsAt(s, 1, start),
        word(s, 2),
        rowsAt(s, 4, start),
        word(s, 5),
        rowsAt(s, 7, start),
        word(s, 8),
        rowsAt(s, 10, start),
        word(s, 11),
      );
    case 5:
      return multiplyRows(
        rows,
        word(s, 10),
        rowsAt(s, 1, start),
        word(s, 2),
        rowsAt(s, 4, start),
        word(s, 5),
        rowsAt(s, 7, start),
        word(s, 8),
        word(s, 11),
      );
    case 6:
      return addBiases(rows, word(s, 8), rowsAt(s, 1, start), word(s, 2), word(s, 7), rowsAt(s, 4, start), word(s, 5));
    case 7:
      return columnSums(rows, word(s, 5), rowsAt(s, 1, start), word(s, 2), word(s, 4), start ? ADD : REPLACE);
    case 8:
      return pairDots(
        rows,
        word(s, 1),
        word(s, 2),
        start,
        word(s, 6),
        word(s, 7),
        rowsAt(s, 3, start),
        word(s, 4),
        word(s, 8),
      );
    case 9:
      return pairDotsBack(
        rows,
        word(s, 1),
        word(s, 2),
        start,
        word(s, 6),
        word(s, 7),
        rowsAt(s, 3, start),
        word(s, 4),
        word(s, 8),
        word(s, 9),
        word(s, 10),
      );
    case 10:
      return factorize(
        rows,
        word(s, 1),
        word(s, 2),
        start,
        word(s, 6),
        word(s, 7),
        rowsAt(s, 3, start),
        word(s, 4),
        word(s, 8),
        word(s, 9),
      );
    case 11:
      return factorizeBack(
        rows,
        word(s, 1),
        word(s, 2),
        start,
        word(s, 6),
        word(s, 7),
        rowsAt(s, 3, start),
        word(s, 4),
        word(s, 8),
        word(s, 10),
      );
    case 12:
      return sumRows(rows, word(s, 7), rowsAt(s, 1, start), word(s, 2), rowsAt(s, 4, start), word(s, 5));
    case 13:
      return dotRows(
        rows,
        word(s, 10),
        rowsAt(s, 1, start),
        word(s, 2),
        rowsAt(s, 4, start),
        word(s, 5),
        rowsAt(s, 7, start),
        word(s, 8),
      );
    case 14:
      return scaleRows(
        rows,
        word(s, 10),
        rowsAt(s, 1, start),
        word(s, 2),
        rowsAt(s, 4, start),
        word(s, 5),
        rowsAt(s, 7, start),
        word(s, 8),
        word(s, 11),
      );
    case 15:
      return sigmoids(rows, rowsAt(s, 1, start), word(s, 2), word(s, 4) + (start << 2));
    case 16:
      return logLosses(
        rows,
        rowsAt(s, 1, start),
        word(s, 2),
        word(s, 7) + (start << 2),
        word(s, 8) + (start << 2),
        rowsAt(s, 4, start),
        word(s, 5),
        word(s, 9),
      );
    case 17:
      return zeroRows(rows, word(s, 7), rowsAt(s, 1, start), word(s, 2));
    default:
      // A list that nobody of ours wrote.
      unreachable();
  }
}

function dense(s: usize, start: i32, rows: i32, size: i32): void {
  const input = rowsAt(s, 1, start);
  const out = rowsAt(s, 4, start);
  const inputs = word(s, 10);
  const width = word(s, 11);
  const relu = word(s, 12) != 0;
  if (size < FEW) {
    denseRows(rows, inputs, width, input, word(s, 2), word(s, 7), word(s, 8), out, word(s, 5), relu);
  } else {
    gemm(
      rows,
      width,
      inputs,
      input,
      word(s, 2),
      4,
      word(s, 9),
      word(s, 13),
      out,
      word(s, 5),
      REPLACE,
      word(s, 8),
      relu,
    );
  }
}

function denseBack(s: usize, start: i32, rows: i32): void {
  const delta = rowsAt(s, 1, start);
  const deltaRow = word(s, 2);
  const input = rowsAt(s, 7, start);
  const inputs = word(s, 16);
  const width = word(s, 17);
  const weights = word(s, 13);
  const mode = start ? ADD : REPLACE;
  if (word(s, 18)) maskRelu(rows, width, rowsAt(s, 4, start), word(s, 5), delta, deltaRow);
  columnSums(rows, width, delta, deltaRow, word(s, 15), mode);
  gemm(width, inputs, rows, delta, 4, deltaRow, input, word(s, 8), word(s, 14), inputs << 2, mode, 0, false);
  if (!word(s, 10)) return;
  const inputDelta = rowsAt(s, 10, start);
  gemm(rows, inputs, width, delta, deltaRow, 4, weights, inputs << 2, inputDelta, word(s, 11), word(s, 19), 0, false);
}
