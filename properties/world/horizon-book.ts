/*
 * Every horizon that a shard ever had, and what lies below each, worked out from what was written and not by the core's rules.
 */
import { type Horizon } from "../../protocols/sync/horizon.ts";
import { type ReadonlyKnowledge } from "../../protocols/sync/knowledge.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { type Version, type WriterId } from "../../protocols/sync/version.ts";
import { type Judge } from "./judge.ts";
import { epochIn, isOlder, settledBy, type Update } from "./seen-row.ts";

/** The time below which the only table of simulated shards has expired. */
export function expiryOf({ expired }: Horizon): number {
  return expired.get(0) ?? 0;
}

/** Who answered for a settled time, and what it said that it knows. */
export interface Answered {
  readonly replica: Pick<Replica, "writer" | "knowledge" | "horizon">;
  readonly told: ReadonlyKnowledge;
}

export class HorizonBook {
  readonly #judge: Judge;
  readonly #deletions: Update[][];
  /** By epoch, in order of their settled times, each after the one before; with those of earlier epochs that the epoch follows. */
  readonly #horizons = new Map<number, Horizon[]>([[0, []]]);
  /** What a primary was told to let expire. */
  readonly #expiries = new Set([0]);

  constructor(keys: number, judge: Judge) {
    this.#deletions = Array.from({ length: keys }, () => []);
    this.#judge = judge;
  }

  wrote(update: Update): void {
    if (update.deleted) this.#deletions[update.key]?.push(update);
  }

  /** Whether a horizon is one of the chain. Its time alone does not tell: one that was lost with its disk may have had the same, and left out more. */
  holds(horizon: Horizon): boolean {
    return horizon.settled === 0 || this.#chain(horizon.epoch).some((known) => isSame(known, horizon));
  }

  /** X10: every horizon that is held is one of the chain. */
  note(horizon: Horizon, where: string): void {
    const { settled } = horizon;
    if (!this.#expiries.has(expiryOf(horizon))) {
      this.#judge.breach("X10", `${where} lets rows before ${expiryOf(horizon)} expire by itself`);
    }
    if (!this.holds(horizon)) {
      this.#judge.breach("X10", `${where} has a horizon of its own, settled up to ${settled}`);
    }
  }

  /** A primary is told to let rows before this expire. */
  mayExpire(before: number): void {
    this.#expiries.add(before);
  }

  /** A primary has moved on. Later ones than that before it had been lost with all who held them; tells whether there were any. */
  moved(horizon: Horizon): boolean {
    const chain = this.#chain(horizon.epoch);
    let isLost = false;
    while ((chain.at(-1)?.settled ?? 0) > horizon.before) isLost = chain.pop() !== undefined;
    chain.push(horizon);
    return isLost;
  }

  /** A replica that held `after` begins an epoch. */
  began(horizon: Horizon, after: Horizon): void {
    const before = this.#chain(after.epoch).filter(
      (known) => known.settled <= after.settled || known.epoch < after.epoch,
    );
    this.#horizons.set(horizon.epoch, [...before, horizon]);
  }

  #chain(epoch: number): Horizon[] {
    return this.#horizons.get(epoch) ?? [];
  }

  /** Whether a version was stamped up to a settled time and is not among what was settled. */
  isLate(version: Version, upTo: Horizon): boolean {
    const { t, writer } = version;
    if (t > settledBy(upTo, writer)) return false;
    const horizon = this.#settledWith(version, upTo);
    return horizon !== undefined && t > (horizon.graveyard.get(writer) ?? 0);
  }

  /** The first of the horizons before this one that a version lies below. */
  #settledWith({ t, writer }: Version, { epoch }: Horizon): Horizon | undefined {
    return this.#chain(epoch).find((horizon) => t <= settledBy(horizon, writer));
  }

  /** Whether who holds this horizon must not hold this version of a row: it expired, was deleted and settled, or came too late. */
  isGone(key: number, version: Version, horizon: Horizon): boolean {
    if (version.t < expiryOf(horizon) && epochIn(version.writer) <= horizon.epoch) return true;
    if (version.t > settledBy(horizon, version.writer)) return false;
    if (this.isLate(version, horizon)) return true;
    return (this.#deletions[key] ?? []).some(
      ({ version: deletion }) =>
        deletion.t <= settledBy(horizon, deletion.writer) &&
        !isOlder(deletion, version) &&
        !this.isLate(deletion, horizon),
    );
  }

  /** Whether who knows this much may have missed a deletion that nobody who holds the horizon can tell it any more. */
  misses(horizon: Horizon, knows: (version: Version) => boolean): boolean {
    return this.#deletions.some((deletions) =>
      deletions.some(
        ({ version }) =>
          version.t <= settledBy(horizon, version.writer) && !this.isLate(version, horizon) && !knows(version),
      ),
    );
  }

  /**
   * V9: what a settled time leaves behind is known to all whom it was settled with, and they held nothing that it leaves out when they
   * said where they stand. Later a member may pull what somebody stamped who is no member any more: that came too late, and it takes a copy.
   */
  settled(
    horizon: Horizon,
    {
      updates,
      answered,
      held,
      where,
    }: {
      readonly updates: ReadonlyMap<WriterId, readonly Update[]>;
      readonly answered: readonly Answered[];
      /** What the primary holds. */
      readonly held: readonly Version[];
      readonly where: string;
    },
  ): void {
    if (!this.#judge.watches("V9")) return;
    const breach = (what: string): void => this.#judge.breach("V9", `${where} settled ${what}`);
    const leavesOut = (version: Version): boolean =>
      this.isLate(version, horizon) && this.#settledWith(version, horizon)?.settled === horizon.settled;
    for (const version of held) {
      if (leavesOut(version)) breach(`${horizon.settled} without ${version.t}, which it holds`);
    }
    for (const { replica, told } of answered) {
      const { writer, knowledge, horizon: ours } = replica;
      for (const { version } of updates.get(writer) ?? []) {
        if (leavesOut(version)) breach(`${horizon.settled} without ${version.t} of ${writer}, who answered`);
      }
      for (const [other, t] of told) {
        const late = updates.get(other)?.find(({ version }) => version.t <= t && leavesOut(version));
        if (late !== undefined) breach(`${horizon.settled} without ${late.version.t}, of which ${writer} told`);
      }
      for (const [other, t] of horizon.graveyard) {
        const last = updates.get(other)?.findLast(({ version }) => version.t <= t)?.version;
        if (last === undefined || last.t <= Math.max(settledBy(ours, other), knowledge.get(other) ?? 0)) continue;
        breach(`${t} of ${other}, which ${writer} does not know`);
      }
    }
  }
}

function isSame(a: Horizon, b: Horizon): boolean {
  if (a.settled !== b.settled || a.before !== b.before || a.graveyard.size !== b.graveyard.size) return false;
  return [...a.graveyard].every(([writer, t]) => b.graveyard.get(writer) === t);
}
