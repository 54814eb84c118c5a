/** Saves when it is asked to and its time has come: `everyMs` after the last, and so much later that a twentieth of the time goes into saving at most. */
export function timedSaves<S extends readonly unknown[]>(
  everyMs: number,
  save: (...state: S) => Promise<void>,
): (...state: S) => Promise<void> {
  let nextMs = performance.now() + everyMs;
  return async (...state) => {
    const startedMs = performance.now();
    if (startedMs < nextMs) return;
    await save(...state);
    const endedMs = performance.now();
    nextMs = endedMs + Math.max(everyMs, 19 * (endedMs - startedMs));
  };
}
