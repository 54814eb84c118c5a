/*
 * How often keys were seen lately, in bounded memory: a count-min sketch (Cormode, Muthukrishnan 2005) with conservative update (Estan,
 * Varghese 2002), whose counters are halved after so many counts, as TinyLFU ages its own (Einziger, Friedman, Manes 2017). A key has a counter
 * in each of four lines, and its count is the least of them: what other keys add can only raise it. Plain data; the same seed and the same keys in the same
 * order give the same counts.
 */
import { mixUint32 } from "../random.ts";

/** Counters are bytes. */
const COUNT_MAX = 255;
export const SKETCH_BYTES_MIN = 1024;

/** A power of two of counters a line, four lines one after the other. */
export interface CountSketch {
  readonly counters: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly seed: number;
  /** Counts until all are halved. */
  left: number;
}

const LINES = 4;
/** So many counters of a line for each count between two halvings: then hardly any key meets others in all lines. */
const COUNTERS_A_COUNT = 2;

/** An empty sketch of at most so many bytes, at least `SKETCH_BYTES_MIN`. */
export function createCountSketch({ bytes, seed }: { readonly bytes: number; readonly seed: number }): CountSketch {
  if (!(bytes >= SKETCH_BYTES_MIN)) {
    throw new RangeError(`Cannot count in ${bytes} bytes: ${SKETCH_BYTES_MIN} is the least`);
  }
  const width = 2 ** Math.floor(Math.log2(bytes / LINES));
  return { counters: new Uint8Array(LINES * width), width, seed, left: width / COUNTERS_A_COUNT };
}

/** Counts a key once more; gives how often it was seen, this time included: no less than it was since the last halving, and at most `COUNT_MAX`. */
export function countKey(sketch: CountSketch, key: bigint): number {
  const { counters, width, seed } = sketch;
  const low = Number(key & 0xffff_ffffn);
  const high = Number(key >> 32n);
  const places = PLACES;
  let least = COUNT_MAX - 1;
  for (let line = 0; line < LINES; line += 1) {
    const place = line * width + (mixUint32(mixUint32(seed + line, low), high) & (width - 1));
    places[line] = place;
    least = Math.min(least, counters[place] ?? 0);
  }
  const count = least + 1;
  for (const place of places) if ((counters[place] ?? 0) < count) counters[place] = count;
  sketch.left -= 1;
  if (sketch.left === 0) halve(sketch);
  return count;
}

const PLACES = new Uint32Array(LINES);

function halve(sketch: CountSketch): void {
  // Four counters a word.
  const words = new Uint32Array(sketch.counters.buffer);
  for (let at = 0; at < words.length; at += 1) words[at] = ((words[at] ?? 0) >>> 1) & 0x7f7f_7f7f;
  sketch.left = sketch.width / COUNTERS_A_COUNT;
}
