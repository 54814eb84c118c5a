// What situations that are built by hand (directed-*.ts) have in common.
import { type PollEffect, type Poller } from "../../protocols/sync/poll.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";

/** When they happen, in ms. */
export const NOW = 1_760_000_000_000;

/** One table of single numbers, without state. */
export const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "test" },
];

export const OURS = parseWriterId("0.sim.a.l1");
export const THEIRS = parseWriterId("0.sim.b.l1");

export function pullId(id: number): string {
  return id.toString(16).padStart(32, "0");
}

/** The id of the pull of a shard that runs or stands. */
export function running(poller: Poller, shard = "s/0"): string {
  return poller.pulling.get(shard)?.pullId ?? "";
}

export function hasPull(effects: readonly PollEffect[]): boolean {
  return effects.some((effect) => effect.kind === "pull");
}
