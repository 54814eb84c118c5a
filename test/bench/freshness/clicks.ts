import { openData } from "../../../regions/data/open-data.ts";

/** Clicks of real people in time order, as columns. */
export interface ClickColumns {
  readonly count: number;
  readonly users: number;
  readonly items: number;
  readonly user: Int32Array;
  readonly item: Int32Array;
  readonly time: Float64Array;
  /** The user's click before, where it was less than half an hour ago; else -1. */
  readonly before: Int32Array;
  /** Of each item. */
  readonly firstSeen: Float64Array;
}

const SESSION_MS = 1_800_000;

/** Reads a folder's clicks, those of the first `days`. */
export async function readClicks(
  folder: string,
  options: { readonly days: number; readonly onProgress: (share: number) => void },
): Promise<ClickColumns> {
  const data = await openData(folder);
  const users = new Map<string, number>();
  const items = new Map<string, number>();
  const columns: { user: number[]; item: number[]; time: number[] } = { user: [], item: [], time: [] };
  for await (const batch of data.clicks()) {
    options.onProgress(data.report.done);
    for (const { user, item, time } of batch) {
      if (time > (columns.time[0] ?? time) + options.days * 86_400_000) break;
      columns.user.push(numberOf(users, user));
      columns.item.push(numberOf(items, item));
      columns.time.push(time);
    }
  }
  return columnsOf(columns, { users: users.size, items: items.size });
}

/** Columns of clicks that are in time order already. */
export function columnsOf(
  clicks: { readonly user: readonly number[]; readonly item: readonly number[]; readonly time: readonly number[] },
  { users, items }: { readonly users: number; readonly items: number },
): ClickColumns {
  const count = clicks.time.length;
  const user = Int32Array.from(clicks.user);
  const item = Int32Array.from(clicks.item);
  const time = Float64Array.from(clicks.time);
  const before = new Int32Array(count).fill(-1);
  const firstSeen = new Float64Array(items).fill(Infinity);
  const last = new Int32Array(users).fill(-1);
  for (let at = 0; at < count; at += 1) {
    const [u, i, now] = [user[at] ?? 0, item[at] ?? 0, time[at] ?? 0];
    const earlier = last[u] ?? -1;
    if (earlier >= 0 && now - (time[earlier] ?? 0) < SESSION_MS) before[at] = earlier;
    last[u] = at;
    firstSeen[i] = Math.min(firstSeen[i] ?? Infinity, now);
  }
  return { count, users, items, user, item, time, before, firstSeen };
}

function numberOf(numbers: Map<string, number>, name: string): number {
  let found = numbers.get(name);
  if (found === undefined) numbers.set(name, (found = numbers.size));
  return found;
}
