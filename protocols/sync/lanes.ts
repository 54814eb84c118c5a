import { createLink, type Link } from "./links.ts";
import { type Pending } from "./poll-neighbours.ts";
import { type Poller } from "./poll.ts";

/** One link, and what waits for it in order; not what is being pulled or waits for another try. */
export interface Lane {
  readonly link: Link;
  readonly short: Set<Pending>;
  /** Known to be long. */
  readonly long: Set<Pending>;
}

/** The lane of a link, which is made where there is none. */
export function laneOf(
  poller: Poller,
  { link, bytesPerSecond, nowMs }: { link: string; bytesPerSecond?: number | undefined; nowMs: number },
): Lane {
  const held = poller.lanes.get(link);
  if (held !== undefined) return held;
  const lane: Lane = {
    link: createLink(link, { limits: poller.limits, bytesPerSecond, nowMs }),
    short: new Set(),
    long: new Set(),
  };
  poller.lanes.set(link, lane);
  return lane;
}

/** To be pulled when its turn comes, unless it is being pulled or waits for that to end. */
export function makeReady(poller: Poller, pending: Pending): void {
  const { shard, lane, isLong } = pending;
  if (poller.pulling.get(shard)?.pending === pending || poller.blocked.get(shard)?.has(pending)) return;
  (isLong ? lane.long : lane.short).add(pending);
}

/** Takes a pending one out of what waits for its link. */
export function unready(pending: Pending): void {
  pending.lane.short.delete(pending);
  pending.lane.long.delete(pending);
}
