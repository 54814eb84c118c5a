import { type Version, compare } from "./sync/version.ts";

/** Chance and time come in from outside, so a seed replays what follows. */
export function laterOf(nowMs: number, random: () => number): number {
  return nowMs + Math.floor(random() * 10);
}

export function isNewer(left: Version, right: Version): boolean {
  return compare(left, right) > 0;
}
