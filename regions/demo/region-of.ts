import { keyOf, keySeed } from "../../protocols/keys.ts";

/** The index of the region a user lives in: always the same one. */
export function regionOf(user: string, regions: number): number {
  return keySeed(keyOf(user)) % regions;
}
