import { type Random } from "../../protocols/random.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { type ShardChecker } from "./checkers.ts";
import { type Timer, type Urging } from "./happening.ts";
import { type Disk } from "./disk.ts";
import { type Judge } from "./judge.ts";
import { type Knobs } from "./knobs.ts";
import { type Leases } from "./leases.ts";
import { type Promotions } from "./promotions.ts";
import { type Envelope } from "./network.ts";
import { type StepChecker } from "./step-checks.ts";

/** What a node asks of its world. */
export interface Surroundings {
  readonly disks: readonly Disk[];
  readonly knobs: Knobs;
  readonly random: Random;
  readonly checkers: readonly ShardChecker[];
  readonly steps: StepChecker;
  readonly judge: Judge;
  readonly leases: Leases;
  readonly promotions: Promotions;
  readonly nowMs: number;
  /** Until when a node does nothing; in the past for one that goes on. */
  pausedUntilMs(node: number): number;
  send(envelope: Envelope): void;
  /** Brings it back after a delay, to this life of the node. */
  after(delayMs: number, what: Timer | Urging): void;
  /** A primary that asks its members took a step, and may have moved the settled time. */
  surveyed(shard: number, primary: Replica): void;
  /** A replica took a step, or started. */
  stepped(): void;
  count(what: string, by?: number): void;
}
