import { type ExactMetrics, exactMetrics } from "../../protocols/learning/exact-metrics.ts";
import { sliceOf } from "../../protocols/learning/quality-slices.ts";
import { type KeyBook, type SampleSet } from "../../protocols/learning/sample-set.ts";
import { type LabelledExample } from "../../protocols/learning/training-batch.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";

/** The samples of each slice by their numbers: `new users`, `new items`, `country=de`. */
export type SampleSlices = ReadonlyMap<string, readonly number[]>;

/** Finds the slices of a part's samples: those of which no sample to train has the user, or the item, and the values of declared features. */
export class SampleSlicer {
  readonly #slices = new Map<string, number[]>();
  readonly #features: readonly string[];
  readonly #tables: number;
  readonly #novelties: readonly { readonly slice: string; readonly table: number; readonly known: number }[];
  #next = 0;

  /** `book` has the keys of all that is learned from, and of nothing else yet. */
  constructor({ slices = [], tables }: ModelDeclaration, book: KeyBook) {
    this.#features = slices;
    this.#tables = tables.length;
    this.#novelties = (["user", "item"] as const).flatMap((key) => {
      const table = tables.findIndex((each) => each.key === key && each.sequence === undefined);
      return table < 0 ? [] : [{ slice: `new ${key}s`, table, known: book[table]?.size ?? 0 }];
    });
  }

  get slices(): SampleSlices {
    return this.#slices;
  }

  /** Takes in the part's next samples, and what they are in numbers. */
  add(samples: readonly LabelledExample[], { rows, starts }: SampleSet): void {
    for (const [at, { features }] of samples.entries()) {
      for (const { slice, table, known } of this.#novelties) {
        const cell = at * this.#tables + table;
        // Keys are numbered as they are met: what comes after those that are learned from is new.
        if ((rows[starts?.[cell] ?? cell] ?? 0) >= known) this.#add(slice);
      }
      for (const feature of this.#features) this.#add(sliceOf(this.#slices, feature, features[feature] ?? ""));
      this.#next += 1;
    }
  }

  #add(slice: string): void {
    const samples = this.#slices.get(slice);
    if (samples === undefined) this.#slices.set(slice, [this.#next]);
    else samples.push(this.#next);
  }
}

/** Metrics of each slice, the largest first. */
export function slicedMetrics(
  slices: SampleSlices,
  probabilities: Float32Array,
  labels: Float32Array,
): readonly SliceMetrics[] {
  function pick(of: Float32Array, samples: readonly number[]): Float32Array {
    return Float32Array.from(samples, (sample) => of[sample] ?? Number.NaN);
  }
  return [...slices]
    .map(([slice, samples]) => ({ slice, ...exactMetrics(pick(probabilities, samples), pick(labels, samples)) }))
    .toSorted((one, other) => other.samples - one.samples);
}

export interface SliceMetrics extends ExactMetrics {
  readonly slice: string;
}
