import { createRandom, nextFloat, type Random } from "../../../protocols/random.ts";

/** An estimate and the bounds of its 95 % interval. */
export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** One observation: of whom, and how much of each figure. What was not observed is NaN. */
export interface Observation {
  readonly who: number;
  readonly figures: readonly number[];
}

const RESAMPLES = 1_000;

/**
 * Means of figures with intervals, by drawing those who were observed again and again (the bootstrap over groups, with Poisson weights): what one person did is
 * not independent. `derive` makes figures of the means, such as differences, whose intervals then know that both are of the same people.
 */
export function intervalsOf(
  observations: readonly Observation[],
  options: { readonly seed: number; readonly derive: (means: readonly number[]) => readonly number[] },
): Interval[] {
  const columns = observations[0]?.figures.length ?? 0;
  const groups = new Map<number, { readonly sums: Float64Array; readonly counts: Float64Array }>();
  for (const { who, figures } of observations) {
    let group = groups.get(who);
    if (group === undefined) {
      groups.set(who, (group = { sums: new Float64Array(columns), counts: new Float64Array(columns) }));
    }
    for (const [at, figure] of figures.entries()) {
      if (Number.isNaN(figure)) continue;
      group.sums[at] = (group.sums[at] ?? 0) + figure;
      group.counts[at] = (group.counts[at] ?? 0) + 1;
    }
  }
  const all = [...groups.values()];
  const random = createRandom(options.seed);
  function meansOf(weigh: () => number): readonly number[] {
    const sums = new Float64Array(columns);
    const counts = new Float64Array(columns);
    for (const group of all) {
      const weight = weigh();
      if (weight === 0) continue;
      for (let at = 0; at < columns; at += 1) {
        sums[at] = (sums[at] ?? 0) + weight * (group.sums[at] ?? 0);
        counts[at] = (counts[at] ?? 0) + weight * (group.counts[at] ?? 0);
      }
    }
    return Array.from(sums, (sum, at) => sum / (counts[at] ?? 0));
  }
  const values = options.derive(meansOf(() => 1));
  const drawn = Array.from({ length: RESAMPLES }, () => options.derive(meansOf(() => drawPoisson(random))));
  return values.map((value, at) => {
    const sorted = drawn.map((figures) => figures[at] ?? Number.NaN).sort((a, b) => a - b);
    const tail = Math.floor(0.025 * RESAMPLES);
    return { value, low: sorted[tail] ?? Number.NaN, high: sorted[RESAMPLES - 1 - tail] ?? Number.NaN };
  });
}

/** A draw from the Poisson distribution with mean 1. */
function drawPoisson(random: Random): number {
  let left = nextFloat(random);
  let chance = Math.exp(-1);
  let drawn = 0;
  while (left > chance && drawn < 20) {
    left -= chance;
    drawn += 1;
    chance /= drawn;
  }
  return drawn;
}
