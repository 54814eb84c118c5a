/*
 * Three other ways to bring updates everywhere, as small models over the same links, machines and updates. Where a choice is open they
 * get the cheaper one: nothing is charged for writing, taking a snapshot, or logging, and messages have no more than a key, a time and
 * the values of each row.
 */
import { Clock, Core } from "./clock.ts";
import { type Costs } from "./costs.ts";
import { Sightings } from "./latencies.ts";
import { Links } from "./links.ts";
import { type WorldOutcome, type WorldPlan } from "./pull-world.ts";
import { drawRounds, type ShardUpdates } from "./updates.ts";
import { ENVELOPE_BYTES } from "./machine.ts";

/** Eight bytes of key, sixty-four of values, four of time. */
export const ROW_BYTES = 76;
/** The payload of a message that only says yes or go. */
const WORD_BYTES = 40;
const PRIMARY = 0;

export interface PushPlan extends WorldPlan {
  /** Send each row once a round, at its last value, instead of each update: only where updates are whole values. */
  readonly coalesced: boolean;
}

export interface BroadcastPlan extends WorldPlan {
  /** Of the whole model. */
  readonly rows: number;
}

/** Machines that take messages one after the other, each paying for them. */
class PushWorld {
  readonly clock = new Clock();
  readonly links: Links;
  readonly sightings: Sightings;
  readonly costs: Costs;
  readonly #cores: readonly Core[];

  constructor({ links, costs }: WorldPlan) {
    this.links = new Links(links);
    this.costs = costs;
    this.sightings = new Sightings({ regions: links.places.length, machinesPerRegion: links.machinesPerRegion });
    this.#cores = Array.from({ length: this.links.machines }, () => new Core(this.clock));
  }

  /** All machines but the primary. */
  others(): number[] {
    return Array.from({ length: this.links.machines - 1 }, (_, at) => at + 1);
  }

  /** Spends time of a machine's core, then goes on. */
  spend(machine: number, micros: number, after: () => void): void {
    this.#cores[machine]?.do(() => ({ costMs: micros / 1_000, after }));
  }

  /** Sends a message; its receiver spends a hop and what else it costs, then goes on. */
  send(
    message: { readonly from: number; readonly to: number; readonly bytes: number; readonly micros?: number },
    after: () => void,
  ): void {
    const { from, to, bytes, micros = 0 } = message;
    const atMs = this.links.send({ from, to, bytes: bytes + ENVELOPE_BYTES, nowMs: this.clock.nowMs });
    this.clock.at(atMs, () => this.spend(to, this.costs.hop + micros, after));
  }

  /** Gives each round to `round` at its time, then runs. */
  async run(
    { updates, startMs, untilMs, signal }: WorldPlan,
    round: (shards: readonly ShardUpdates[]) => void,
  ): Promise<WorldOutcome> {
    let number = 0;
    let roundsLeft = updates.rounds;
    for (const shards of drawRounds(updates)) {
      this.clock.at(startMs + number * updates.roundEveryMs, () => {
        roundsLeft -= 1;
        round(shards);
      });
      number += 1;
    }
    const isOver = (): boolean => signal.aborted || (roundsLeft === 0 && this.sightings.unseen === 0);
    await this.clock.run({ untilMs, isOver });
    const { sightings, links } = this;
    return { sightings, links, tookMs: this.clock.nowMs - startMs, busyMs: this.#cores.map(({ busyMs }) => busyMs) };
  }
}

interface Group {
  readonly rows: number;
  readonly see: (machine: number, nowMs: number) => void;
}

/**
 * Two-phase push, as Adam distributes: the primary sends a shard's updates to every replica, waits until all have them, then tells
 * all to show them. A shard's next transaction takes all that came meanwhile, and begins when the last has been told.
 */
export function runTwoPhasePush(plan: PushPlan): Promise<WorldOutcome> {
  const world = new PushWorld(plan);
  const { clock, costs } = world;
  const waiting = new Map<number, Group[]>();
  const running = new Set<number>();

  function begin(shard: number): void {
    const groups = waiting.get(shard) ?? [];
    if (groups.length === 0 || running.has(shard)) return;
    running.add(shard);
    waiting.delete(shard);
    const bytes = groups.reduce((sum, { rows }) => sum + rows, 0) * ROW_BYTES;
    const others = world.others();
    let answersLeft = others.length;
    world.spend(PRIMARY, (bytes / 1024) * costs.packKb + others.length * costs.hop, () => {
      for (const to of others) {
        world.send({ from: PRIMARY, to, bytes, micros: (bytes / 1024) * costs.mergeKb }, () =>
          world.send({ from: to, to: PRIMARY, bytes: WORD_BYTES }, () => {
            answersLeft -= 1;
            if (answersLeft === 0) commit(shard, groups);
          }),
        );
      }
    });
  }

  function commit(shard: number, groups: readonly Group[]): void {
    world.spend(PRIMARY, world.others().length * costs.hop, () => {
      for (const to of world.others()) {
        world.send({ from: PRIMARY, to, bytes: WORD_BYTES }, () => {
          for (const { see } of groups) see(to, clock.nowMs);
        });
      }
      running.delete(shard);
      begin(shard);
    });
  }

  return world.run(plan, (shards) => {
    for (const updates of shards) {
      waiting.set(updates.shard, [...(waiting.get(updates.shard) ?? []), groupOf(world, plan, updates)]);
      begin(updates.shard);
    }
  });
}

/** Chain replication: each machine hands updates on to the next, the nearest not reached yet. The last one has them when all do. */
export function runChain(plan: PushPlan): Promise<WorldOutcome> {
  const world = new PushWorld(plan);
  const { clock, costs } = world;
  const chain = nearestFirst(world.links);

  function handOn(at: number, group: Group): void {
    const [from, to] = [chain[at], chain[at + 1]];
    if (from === undefined || to === undefined) return;
    const bytes = group.rows * ROW_BYTES;
    world.send({ from, to, bytes, micros: (bytes / 1024) * costs.mergeKb }, () => {
      group.see(to, clock.nowMs);
      handOn(at + 1, group);
    });
  }

  return world.run(plan, (shards) => {
    for (const updates of shards) {
      const group = groupOf(world, plan, updates);
      world.spend(PRIMARY, ((group.rows * ROW_BYTES) / 1024) * costs.packKb, () => handOn(0, group));
    }
  });
}

/** Full broadcast: the whole model goes to every replica, again and again, each time as it is when that begins. */
export function runBroadcast(plan: BroadcastPlan): Promise<WorldOutcome> {
  const world = new PushWorld(plan);
  const chunks = Math.max(1, Math.ceil((plan.rows * ROW_BYTES) / CHUNK_BYTES));
  let next: Group[] = [];
  let isRunning = false;

  function begin(): void {
    if (isRunning || next.length === 0) return;
    isRunning = true;
    const groups = next;
    next = [];
    let left = world.others().length;
    for (const to of world.others()) {
      sendChunk(to, chunks, () => {
        for (const { see } of groups) see(to, world.clock.nowMs);
        left -= 1;
        if (left > 0) return;
        isRunning = false;
        begin();
      });
    }
  }

  function sendChunk(to: number, left: number, done: () => void): void {
    const bytes = (plan.rows * ROW_BYTES) / chunks;
    const before = world.clock.nowMs;
    // The next chunk is handed over when this one has left: the links are shared by turns.
    const delayMs = world.links.delayMs(world.links.regionOf(PRIMARY), world.links.regionOf(to));
    const atMs = world.links.send({ from: PRIMARY, to, bytes, nowMs: before });
    if (left === 1) world.clock.at(atMs, done);
    else world.clock.at(atMs - delayMs, () => sendChunk(to, left - 1, done));
  }

  return world.run(plan, (shards) => {
    for (const updates of shards) next.push(groupOf(world, { ...plan, coalesced: true }, updates));
    begin();
  });
}

const CHUNK_BYTES = 64 * 1024 * 1024;

function groupOf(world: PushWorld, { coalesced }: { readonly coalesced: boolean }, group: ShardUpdates): Group {
  const { keys, updates } = group;
  const see = world.sightings.written({ machine: PRIMARY, atMs: world.clock.nowMs, updates });
  return { rows: coalesced ? keys.length : updates, see };
}

function nearestFirst(links: Links): number[] {
  const { machinesPerRegion, places } = links.plan;
  const left = new Set(places.keys());
  const order: number[] = [];
  let at = 0;
  while (left.size > 0) {
    left.delete(at);
    order.push(at);
    at = [...left].toSorted((a, b) => links.delayMs(at, a) - links.delayMs(at, b))[0] ?? 0;
  }
  return order.flatMap((region) => Array.from({ length: machinesPerRegion }, (_, i) => region * machinesPerRegion + i));
}
