/*
 * A training region's primary and replicas in all regions, over simulated links, with as much of the protocol as a step of the
 * ablation has. Without shard versions there are no polls: each replica pulls every shard from the primary, pass after pass.
 */
import { createRandom, nextBelow, nextFloat } from "../../../protocols/random.ts";
import { covers } from "../../../protocols/sync/row-notes.ts";
import { buildWriterId } from "../../../protocols/sync/version.ts";
import { drawPullId } from "../../../protocols/wire/pull.ts";
import { Clock } from "./clock.ts";
import { type Costs } from "./costs.ts";
import { idlePullBytes } from "./idle-pull.ts";
import { Sightings } from "./latencies.ts";
import { Links, type LinkPlan } from "./links.ts";
import { Machine } from "./machine.ts";
import { Pass } from "./pass.ts";
import { drawRounds, type UpdatePlan } from "./updates.ts";

/** Which parts of the protocol are on. */
export interface Parts {
  readonly cache: boolean;
  readonly versions: boolean;
  readonly leaders: boolean;
  readonly standing: boolean;
}

/** What every way to distribute updates is given. */
export interface WorldPlan {
  readonly links: LinkPlan;
  readonly costs: Costs;
  readonly updates: UpdatePlan;
  /** Milliseconds before the first round. */
  readonly startMs: number;
  /** What is not visible everywhere by then stays unseen. */
  readonly untilMs: number;
  readonly signal: AbortSignal;
}

export interface PullPlan extends WorldPlan {
  readonly parts: Parts;
  /** Poll everyone, instead of the primary and one's own region. */
  readonly everyone: boolean;
  /** Rounds before those that are counted: polls and pulls have found their way by then. */
  readonly roundsBefore: number;
  /** Milliseconds of silence between these and those. */
  readonly pauseMs?: number;
  /** Go on until `untilMs`, whatever has been seen. */
  readonly toTheEnd: boolean;
  /** All shards, also those that do not change in this time; of these, how many the pollers hold; rows of each, for which a scan is charged. */
  readonly shardsTotal: number;
  readonly shardsListed: number;
  readonly rowsPerShard: number;
  readonly pullsMax: number;
  readonly gapMs: number;
}

/** What came of it. Latencies are from when the primary is given an update: what it has to do first is in them. */
export interface WorldOutcome {
  readonly sightings: Sightings;
  readonly links: Links;
  /** From the first round that is counted to the end, as all counts are; and how long each machine's core was busy in it, milliseconds. */
  readonly tookMs: number;
  readonly busyMs: readonly number[];
}

const PRIMARY = 0;

interface Awaited {
  readonly t: number;
  readonly see: (machine: number, nowMs: number) => void;
}

/** Runs until every update is visible everywhere. */
export function runPullWorld(plan: PullPlan): Promise<WorldOutcome> {
  return new PullWorld(plan).run();
}

class PullWorld {
  readonly #plan: PullPlan;
  readonly #clock = new Clock();
  readonly #links: Links;
  readonly #random;
  readonly #sightings: Sightings;
  readonly #machines: readonly Machine[];
  readonly #passes: readonly Pass[];
  /** By machine and shard: groups of updates not seen there yet, oldest first. */
  readonly #awaited: readonly (readonly Awaited[][])[];
  #writesLeft = 0;

  constructor(plan: PullPlan) {
    const { links, updates } = plan;
    this.#plan = plan;
    this.#links = new Links(links);
    this.#random = createRandom(updates.seed);
    this.#sightings = new Sightings({ regions: links.places.length, machinesPerRegion: links.machinesPerRegion });
    const numbers = Array.from({ length: this.#links.machines }, (_, machine) => machine);
    this.#awaited = numbers.map(() => Array.from({ length: updates.shards }, () => []));
    const idlePull = idlePullBytes();
    this.#machines = numbers.map((machine) => this.#createMachine(machine, idlePull));
    const idlePulls = Math.round(plan.shardsTotal / updates.shards) - 1;
    this.#passes = this.#machines.map(
      (machine) => new Pass(machine, { from: PRIMARY, idlePulls, start: nextBelow(this.#random, updates.shards) }),
    );
  }

  async run(): Promise<WorldOutcome> {
    const { parts, updates, startMs, untilMs, toTheEnd, roundsBefore, pauseMs = 0, signal } = this.#plan;
    const countedMs = startMs + roundsBefore * updates.roundEveryMs + pauseMs;
    this.#machines.forEach((machine, at) => {
      // The primary pulls from nobody.
      if (at === PRIMARY) return;
      this.#clock.at(nextFloat(this.#random) * 100, () => {
        if (!parts.versions) this.#passes[at]?.begin();
        else for (const peer of this.#neighbours(at)) machine.follow(peer);
      });
    });
    // What it takes to get going is not counted.
    this.#clock.at(countedMs, () => {
      this.#links.bytes.fill(0);
      for (const { core } of this.#machines) core.busyMs = 0;
    });
    let round = 0;
    for (const shards of drawRounds(updates)) {
      this.#writesLeft += shards.length;
      const afterMs = round * updates.roundEveryMs + (round < roundsBefore ? 0 : pauseMs);
      this.#clock.at(startMs + afterMs, () => {
        const isCounted = this.#clock.nowMs >= countedMs;
        for (const { shard, keys, updates: count } of shards) this.#write(shard, { keys, count, isCounted });
      });
      round += 1;
    }
    await this.#clock.run({
      untilMs,
      isOver: () => signal.aborted || (!toTheEnd && this.#writesLeft === 0 && this.#sightings.unseen === 0),
    });
    return {
      sightings: this.#sightings,
      links: this.#links,
      tookMs: this.#clock.nowMs - countedMs,
      busyMs: this.#machines.map(({ core }) => core.busyMs),
    };
  }

  /** Whom a machine polls: the primary, and the others of its own region; or everyone. */
  #neighbours(machine: number): number[] {
    const region = this.#links.regionOf(machine);
    return [...this.#machines.keys()].filter(
      (peer) => peer !== machine && (this.#plan.everyone || peer === PRIMARY || this.#links.regionOf(peer) === region),
    );
  }

  #createMachine(machine: number, idlePull: { readonly asked: number; readonly answered: number }): Machine {
    const { links, parts, costs, updates, rowsPerShard, pullsMax, gapMs } = this.#plan;
    const region = this.#links.regionOf(machine);
    const nonce = drawPullId(() => nextFloat(this.#random)).slice(0, 20);
    return new Machine({
      machine,
      writer: buildWriterId({ epoch: 0, region: links.places[region]?.region ?? "", node: `n${machine}`, nonce }),
      clock: this.#clock,
      costs,
      idlePull,
      shards: updates.shards,
      shardsListed: this.#plan.shardsListed,
      rowsPerShard,
      cache: parts.cache,
      pullsMax,
      gapMs,
      standing: parts.standing,
      send: (to, message, bytes) => {
        const atMs = this.#links.send({ from: machine, to, bytes, nowMs: this.#clock.nowMs });
        this.#clock.at(atMs, () => this.#machines[to]?.receive(machine, message));
      },
      // The leases have settled: a region's machines lead its shards in turn; in the region that trains the primary leads all.
      leaderOf: (shard) => {
        if (!parts.leaders) return undefined;
        return region === 0 ? PRIMARY : region * links.machinesPerRegion + (shard % links.machinesPerRegion);
      },
      isFar: (peer) => this.#links.regionOf(peer) !== region,
      looked: (shard) => this.#look(machine, shard),
      pulled: () => {
        if (!parts.versions) this.#passes[machine]?.settled();
      },
      drawPullId: () => drawPullId(() => nextFloat(this.#random)),
    });
  }

  #write(
    shard: number,
    { keys, count, isCounted }: { readonly keys: BigUint64Array; readonly count: number; readonly isCounted: boolean },
  ): void {
    const atMs = this.#clock.nowMs;
    const primary = this.#machines[PRIMARY];
    const replica = primary?.replicas[shard];
    if (primary === undefined || replica === undefined) throw new RangeError(`Cannot write to shard ${shard}: none`);
    primary.write({ shard, keys }, () => {
      this.#writesLeft -= 1;
      if (!isCounted) return;
      const see = this.#sightings.written({ machine: PRIMARY, atMs, updates: count });
      const awaited = { t: replica.stamper.last, see };
      this.#awaited.forEach((shards, machine) => {
        if (machine !== PRIMARY) shards[shard]?.push(awaited);
      });
    });
  }

  /** Updates are visible when knowledge covers them: early rows may be seen a little sooner. */
  #look(machine: number, shard: number): void {
    const awaited = this.#awaited[machine]?.[shard];
    const replica = this.#machines[machine]?.replicas[shard];
    const writer = this.#machines[PRIMARY]?.writer;
    if (awaited === undefined || replica === undefined || writer === undefined) return;
    for (let first = awaited[0]; first !== undefined && covers(replica, { t: first.t, writer }); first = awaited[0]) {
      awaited.shift();
      first.see(machine, this.#clock.nowMs);
    }
  }
}
