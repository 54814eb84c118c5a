/*
 * One link with small numbers, and what happens on it.
 */
import { LINK_LIMITS, type LinkLimits } from "../protocols/limits.ts";
import { spend } from "../protocols/sync/byte-budget.ts";
import { createLink, type Link, type LinkEffect, notePullFrame, openPull } from "../protocols/sync/links.ts";

const LIMITS: LinkLimits = {
  ...LINK_LIMITS,
  frameBytes: 1000,
  framesAtFirst: 2,
  framesMax: 8,
  openingBytes: 100,
  openingFramesMax: 3,
  pullsMax: 3,
  shortFramesMax: 2,
  longMax: 1,
  standingMax: 3,
  standMs: 100,
};

/** One that is known to be quick. */
export function linkOf(limits: Partial<LinkLimits> = {}, bytesPerSecond?: number): Link {
  const link = createLink("x", { limits: { ...LIMITS, ...limits }, bytesPerSecond, nowMs: 0 });
  link.quickBytes = Infinity;
  return link;
}

export function open(link: Link, shard: string, { isLong = false, nowMs = 1 } = {}): number | undefined {
  return openPull(link, { shard, isLong, nowMs });
}

/** Bytes go for something else. */
export function pay({ budget }: Link, bytes: number): void {
  if (budget !== undefined) spend(budget, bytes, 0);
}

export interface Came {
  readonly bytes?: number;
  readonly frames?: number;
  readonly nowMs?: number;
}

export function came(link: Link, shard: string, { bytes = 1000, frames = 1, nowMs = 21 }: Came = {}): LinkEffect[] {
  return notePullFrame(link, { shard, bytes, frames, nowMs });
}
