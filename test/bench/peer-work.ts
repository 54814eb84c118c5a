import { SYNC_WORKLOAD } from "./sync-workload.ts";

/** Updates in a round, live, and while the replica is away: as `bench sync` has them. */
export const ROUND = 10_000;
export const LIVE_UPDATES = 1_000_000;
export const AWAY_UPDATES = 300_000;
/** Different keys among the latter. */
export const AWAY_KEYS = 48_937;

/** What a peer's process is asked. */
export type PeerAsk =
  | { readonly message: "listen" | "catch-up" | "counts" | "hash" }
  | { readonly message: "connect"; readonly port: number }
  | {
      readonly message: "rounds";
      readonly updates: number;
      readonly round: number;
      /** Every key once, instead of by chance. */
      readonly load: boolean;
      readonly send: boolean;
    };

/** What one peer needed for the work. Bytes are those of sockets or by the server's own count, without TCP's headers. */
export interface PeerCost {
  readonly peer: string;
  readonly liveBytes: number;
  /** Seconds of CPU, all processes of a side together. */
  readonly writerS: number;
  readonly replicaS: number;
  readonly catchUpBytes: number;
  /** All ends hold the same values. */
  readonly isEqual: boolean;
  /** Which part of the live updates was done; cost is scaled to all. */
  readonly part?: number;
}

/** A peer that cannot be measured here, and how it could. */
export interface PeerAbsent {
  readonly peer: string;
  readonly why: string;
}

/** A key as text, six characters. */
export function keyText(key: number): string {
  return `k${key.toString(36).padStart(5, "0")}`;
}

/** One number for all values, in order of key. */
export function hashValues(get: (key: string) => Uint8Array | undefined): number {
  let hash = 0x811c_9dc5;
  for (let key = 0; key < SYNC_WORKLOAD.keys; key += 1) {
    for (const byte of get(keyText(key)) ?? []) hash = Math.imul(hash ^ byte, 0x0100_0193);
  }
  return hash >>> 0;
}
