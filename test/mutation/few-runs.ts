/* Stands in for fast-check under pure-runner.ts: the same, but a law is tried with as many draws as fit a mutation run. */
import fc from "fast-check";

let runsMax = 1;
let askedMost = 0;

/** From here on a law is tried with at most so many draws: always the same ones, and without shrinking, as nobody reads the example. */
export function limitRuns(most: number): void {
  runsMax = most;
  askedMost = 0;
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 20_261_121, endOnFailure: true });
}

/** How many draws a law has asked for since limitRuns(). */
export function askedRuns(): number {
  return askedMost;
}

// oxlint-disable-next-line import/no-default-export -- the laws import fast-check's
export default {
  ...fc,
  assert<T>(property: fc.IRawProperty<T>, parameters: fc.Parameters<T> = {}): unknown {
    const asked = parameters.numRuns ?? 100;
    askedMost = Math.max(askedMost, asked);
    return fc.assert(property, { ...parameters, numRuns: Math.min(asked, runsMax) });
  },
};
