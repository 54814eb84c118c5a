/*
 * Which keys get a row. Most keys of a stream are seen once or twice and never again: a row for each costs memory everywhere and teaches nothing.
 * The primary alone asks; what it turns away leaves no trace but a count. A sighting is a step whose gradients have the key: a key that stands in
 * several samples of one batch is sighted once.
 */
import { mixUint32 } from "../random.ts";
import { type CountSketch, countKey, createCountSketch } from "./count-sketch.ts";

/** When a key that has no row gets one. */
export type AdmissionRule =
  /** At its so manieth sighting, as counted in `bytes` of memory a shard: what that holds, it remembers. */
  | { readonly kind: "count"; readonly count: number; readonly bytes: number }
  /** At each sighting with this probability. */
  | { readonly kind: "probability"; readonly probability: number };

/** What a primary remembers of the keys of one table that have no row. It begins empty with each start: see `admits`. */
export interface Admission {
  readonly rule: AdmissionRule;
  readonly seed: number;
  readonly sketch: CountSketch | undefined;
}

export function createAdmission(rule: AdmissionRule, seed: number): Admission {
  const sketch = rule.kind === "count" ? createCountSketch({ bytes: rule.bytes, seed }) : undefined;
  return { rule, seed, sketch };
}

/**
 * Whether a key without a row gets one with this sighting. By count: after no more sightings than the rule says, unless counts were halved or a
 * start forgot them in between, and seldom after fewer. By probability: `step` says which sighting it is, so that a step that comes again after a crash
 * is answered as before.
 */
export function admits({ rule, seed, sketch }: Admission, key: bigint, step: number): boolean {
  if (rule.kind === "count") return sketch !== undefined && countKey(sketch, key) >= rule.count;
  const low = mixUint32(mixUint32(seed, Number(key & 0xffff_ffffn)), Number(key >> 32n));
  const drawn = mixUint32(mixUint32(low, Math.floor(step / 2 ** 32)), step >>> 0);
  return drawn < rule.probability * 2 ** 32;
}
