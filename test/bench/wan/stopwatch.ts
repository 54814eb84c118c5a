/** The least time that one of so many runs took, microseconds. */
export function bestMicros(tries: number, run: () => void): number {
  let best = Infinity;
  for (let at = 0; at < tries; at += 1) {
    const beganMs = performance.now();
    run();
    best = Math.min(best, (performance.now() - beganMs) * 1_000);
  }
  return best;
}
