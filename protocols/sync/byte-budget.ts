/** So many bytes a second and no more, on average: a bucket that fills with time. Spending may leave a debt, which time pays. */
export interface ByteBudget {
  readonly bytesPerSecond: number;
  /** What an idle time can save up. */
  readonly bytesMax: number;
  /** What may be spent; negative: the debt. */
  bytes: number;
  atMs: number;
}

/** A full bucket that holds a quarter of a second, and at least so many bytes. `nowMs` is of a clock that never jumps. */
export function createByteBudget(
  bytesPerSecond: number,
  { bytesMin, nowMs }: { readonly bytesMin: number; readonly nowMs: number },
): ByteBudget {
  const bytesMax = Math.max(bytesMin, bytesPerSecond / 4);
  return { bytesPerSecond, bytesMax, bytes: bytesMax, atMs: nowMs };
}

/** Takes bytes out; negative puts back what was taken and not used. */
export function spend(budget: ByteBudget, bytes: number, nowMs: number): void {
  fill(budget, nowMs);
  budget.bytes = Math.min(budget.bytesMax, budget.bytes - bytes);
}

/** How long until the debt is no more than `debtMax`; 0 for now. */
export function debtMs(budget: ByteBudget, { nowMs, debtMax = 0 }: { nowMs: number; debtMax?: number }): number {
  fill(budget, nowMs);
  const over = -budget.bytes - debtMax;
  return over <= 0 ? 0 : (over / budget.bytesPerSecond) * 1000;
}

function fill(budget: ByteBudget, nowMs: number): void {
  const passedMs = Math.max(0, nowMs - budget.atMs);
  budget.bytes = Math.min(budget.bytesMax, budget.bytes + (passedMs * budget.bytesPerSecond) / 1000);
  budget.atMs = Math.max(budget.atMs, nowMs);
}
