/*
 * Rows in memory of their own, each twice: in full, and as 7-bit codes that one kernel looks through. What the codes leave out is bounded by the
 * lengths of what is lost (Cauchy-Schwarz), so whoever is among the best passes; who passes is scored in full, as the reference does it.
 */
import { checkPut, type RowMatrix, type Scored, topK } from "../../protocols/compute/topk.ts";
import { type Build, createMemory } from "./load.ts";
import { loadKernels } from "./kernels.ts";

/** Rows of `dim` numbers, for the largest inner products. */
export function kernelMatrix(dim: number, { build }: { readonly build?: Build } = {}): RowMatrix {
  if (!Number.isSafeInteger(dim) || dim < 1) throw new RangeError(`Cannot make a matrix of ${dim} columns`);
  let rows = 0;
  let store = storeFor(dim, { capacity: BLOCK, build });
  /** Per block of rows, the longest row, and the longest of what the codes of one leave out. Only ever growing: a bound may be too large. */
  const longest: number[] = [];
  const lostMost: number[] = [];
  /** Rows with NaN or infinity, which codes cannot say. */
  const odd = new Set<number>();

  function grow(): void {
    const larger = storeFor(dim, { capacity: 2 * store.capacity, build });
    larger.values.set(store.values);
    larger.codes.set(store.codes);
    larger.scales.set(store.scales);
    store = larger;
  }

  /** All that may be among the best, with their scores, in the order of the rows. */
  function candidates(query: Float32Array, k: number): Scored[] {
    const { kernels, at, width } = store;
    const coded = encodeQuery(query, store.query);
    store.noted.set([0, 0, LEAST_BITS, at.numbers, store.apart]);
    for (let block = 0; block * BLOCK < rows; block += 1) {
      const first = block * BLOCK;
      const length = longest[block] ?? 0;
      const error = coded.length * (lostMost[block] ?? 0) + coded.lost * length;
      // 32-bit rounding on the way is a part of the whole that is far below 1e-5.
      const slack = 1e-5 * (coded.length + coded.lost) * length + TINY;
      kernels.scanCodes(
        Math.min(BLOCK, rows - first),
        width,
        at.codes + first * width,
        at.scales + 4 * first,
        at.query,
        coded.scale,
        error + slack,
        first,
        k,
        at.noted,
      );
    }
    store.exact.set(query);
    const kept = kernels.scoreNoted(k, at.noted, at.exact, dim, at.values, at.scores);
    const found: Scored[] = [];
    for (let i = 0; i < kept; i += 1) found.push({ index: store.numbers[i] ?? 0, score: store.scores[i] ?? 0 });
    return found;
  }

  return {
    size: () => rows,
    put(index, values) {
      checkPut(index, { values, dim, rows });
      if (index === rows) {
        if (rows === store.capacity) grow();
        rows += 1;
      }
      const { kernels, at, about, scales, width } = store;
      store.values.set(values, index * dim);
      kernels.encodeRow(
        at.values + 4 * index * dim,
        dim,
        at.codes + (index >> 2) * 4 * width + (index & 3) * 4,
        at.about,
      );
      const [length = 0, lost = 0] = about.subarray(1, 3);
      const isOdd = !Number.isFinite(length) || !Number.isFinite(lost);
      scales[index] = isOdd ? 0 : (store.scale[0] ?? 0);
      if (isOdd) odd.add(index);
      else odd.delete(index);
      const block = Math.floor(index / BLOCK);
      longest[block] = Math.max(longest[block] ?? 0, isOdd ? 0 : length);
      lostMost[block] = Math.max(lostMost[block] ?? 0, isOdd ? 0 : lost);
    },
    top(query, k) {
      // To codes, an odd row scores 0: it may take the place of one of the best.
      const wanted = k + odd.size;
      const most = Math.max(0, ...longest) * Math.hypot(...query);
      // Few rows, many wanted, or numbers so large that sums may overflow 32 bits: then there is nothing to gain, or nothing to bound with.
      if (query.length !== dim || k < 1 || 8 * wanted > rows || !(most < LARGEST)) {
        return topK(query, { matrix: store.values, rows, k });
      }
      const found = candidates(query, wanted);
      if (odd.size === 0) return best(found, k);
      const regular = found.filter(({ index }) => !odd.has(index));
      const others = Array.from(odd, (index) => ({ index, score: scoreOf(query, { values: store.values, index }) }));
      return best([...regular, ...others], k);
    },
  };
}

/** Rows that share a bound. */
const BLOCK = 2048;
const LARGEST = 1e36;
/** The bits of the least float that there is. */
const LEAST_BITS = 0xff7f_ffff;
/** More than what is lost of numbers so small that 32 bits hold them badly. */
const TINY = 1e-36;

function scoreOf(
  query: Float32Array,
  { values, index }: { readonly values: Float32Array; readonly index: number },
): number {
  let score = 0;
  for (const [d, x] of query.entries()) score += x * (values[index * query.length + d] ?? 0);
  return score;
}

function best(scored: readonly Scored[], k: number): Scored[] {
  return scored
    .filter(({ score }) => !Number.isNaN(score))
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, k);
}

/** Codes with a sign; and how long what they say is, and what they leave out. */
function encodeQuery(
  query: Float32Array,
  codes: Int8Array,
): { readonly scale: number; readonly length: number; readonly lost: number } {
  let largest = 0;
  for (const x of query) largest = Math.max(largest, Math.abs(x));
  const scale = Math.fround(largest / 63);
  let [squares, lost] = [0, 0];
  for (const [d, x] of query.entries()) {
    const code = scale > 0 ? Math.max(-63, Math.min(63, Math.round(x / scale))) : 0;
    codes[d] = code;
    squares += (scale * code) ** 2;
    lost += (x - scale * code) ** 2;
  }
  return { scale, length: Math.sqrt(squares), lost: Math.sqrt(lost) };
}

function storeFor(dim: number, { capacity, build }: { readonly capacity: number; readonly build: Build | undefined }) {
  // Eight codes at a time; those behind the last meet a 0 of the query.
  const width = Math.ceil(dim / 8) * 8;
  // From a column of what is noted to the next.
  const apart = 4 * capacity + 64;
  let bytes = 64;
  function take(size: number): number {
    const at = bytes;
    bytes += Math.ceil(size / 64) * 64;
    return at;
  }
  const at = {
    about: take(24),
    query: take(Math.max(32, width)),
    codes: take(capacity * width),
    scales: take(4 * capacity),
    values: take(4 * capacity * dim),
    // Every row is noted if it comes to the worst.
    noted: take(20),
    numbers: take(3 * apart),
    scores: take(8 * capacity + 32),
    exact: take(4 * dim),
  };
  const memory = createMemory({ bytes, bytesMax: bytes });
  const { buffer } = memory;
  return {
    capacity,
    width,
    at,
    kernels: loadKernels(memory, build),
    about: new Float64Array(buffer, at.about, 3),
    scale: new Float32Array(buffer, at.about, 1),
    query: new Int8Array(buffer, at.query, width),
    codes: new Uint8Array(buffer, at.codes, capacity * width),
    scales: new Float32Array(buffer, at.scales, capacity),
    values: new Float32Array(buffer, at.values, capacity * dim),
    apart,
    noted: new Int32Array(buffer, at.noted, 5),
    numbers: new Int32Array(buffer, at.numbers, capacity),
    scores: new Float64Array(buffer, at.scores, capacity),
    exact: new Float32Array(buffer, at.exact, dim),
  };
}
