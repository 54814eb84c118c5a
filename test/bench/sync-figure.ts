import { type BenchFigure } from "./bench-figure.ts";

/** A figure of this bench, with what it must not exceed where there is such a thing. */
export function figureOf(
  figure: string,
  value: number,
  unit: string,
  { atMost }: { readonly atMost?: number | undefined } = {},
): BenchFigure {
  const target = atMost === undefined ? {} : { target: `<= ${atMost}`, met: value <= atMost };
  return { bench: "sync", figure, value, unit, ...target };
}
