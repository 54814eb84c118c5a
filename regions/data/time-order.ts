import { type DataReport } from "./data-report.ts";

/** Something that happened at a time, in milliseconds since the epoch. */
export interface Timed {
  readonly time: number;
}

/** A piece of a nearly ordered stream, and the claim that nothing before `until` comes after it. */
export interface Arrivals<T extends Timed> {
  readonly rows: readonly T[];
  readonly until: number;
}

/**
 * Gives a nearly ordered stream in time order, equal times in the order they came, holding at most `pendingMax` rows.
 * A row before what was already given out, because a claim was wrong or the limit was reached, is left out and counted as late.
 */
export async function* inTimeOrder<T extends Timed>(
  arrivals: AsyncIterable<Arrivals<T>>,
  options: { readonly pendingMax: number; readonly report: DataReport },
): AsyncGenerator<readonly T[]> {
  const { pendingMax, report } = options;
  let pending: T[] = [];
  let given = Number.NEGATIVE_INFINITY;
  for await (const { rows, until } of arrivals) {
    for (const row of rows) {
      if (row.time < given) report.late += 1;
      else pending.push(row);
    }
    if (until <= given && pending.length <= pendingMax) continue;
    pending.sort(byTime);
    const ready = Math.max(firstNotBefore(pending, until), pending.length - pendingMax);
    const last = pending[ready - 1];
    if (last === undefined) continue;
    given = last.time;
    yield pending.slice(0, ready);
    pending = pending.slice(ready);
  }
  if (pending.length > 0) yield pending.sort(byTime);
}

function byTime(one: Timed, other: Timed): number {
  return one.time - other.time;
}

function firstNotBefore(rows: readonly Timed[], time: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rows[middle]?.time ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
