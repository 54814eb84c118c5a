// Goal: at most one node acts as the leader at any moment, a dead one is replaced in time, a live one is left alone.
// Method: nodes whose clocks begin anywhere and run up to 10 % fast or slow, and a compare-and-set store behind a network that delays,
// loses questions and answers, and cuts nodes off; nodes pause (their messages wait) and die.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  isHeld,
  leaderOf,
  type LeaseEffect,
  type LeaseEvent,
  type LeaseState,
  newLease,
  stepLease,
} from "../protocols/leadership/lease.ts";
import { createRandom, nextFloat, type Random } from "../protocols/random.ts";

const durationMs = 3000;

interface Node {
  readonly name: string;
  readonly startMs: number;
  readonly speed: number;
  state: LeaseState;
  pausedUntilMs: number;
  dead: boolean;
  isCutOff: boolean;
}

interface Faults {
  readonly loss: number;
  readonly delayMsMax: number;
}

class World {
  readonly nodes: Node[];
  readonly terms: { readonly holder: string; readonly term: number }[] = [];
  readonly #random: Random;
  #record: { holder: string; revision: number } | undefined;
  #revision = 0;
  #events: { atMs: number; order: number; run: () => void }[] = [];
  #order = 0;
  nowMs = 0;
  faults: Faults = { loss: 0, delayMsMax: 20 };

  readonly #turnMs: number;

  constructor(seed: number, count: number, turns = 6) {
    this.#turnMs = durationMs / turns;
    this.#random = createRandom(seed);
    this.nodes = Array.from({ length: count }, (_, at) => {
      const name = `node${at}`;
      const startMs = nextFloat(this.#random) * 1e6;
      // Twice the tenth: one clock may be a tenth faster than another.
      const speed = 1 + (nextFloat(this.#random) - 0.5) * 0.095;
      return {
        name,
        startMs,
        speed,
        state: newLease({ self: name, durationMs }),
        pausedUntilMs: 0,
        dead: false,
        isCutOff: false,
      };
    });
    for (const node of this.nodes) this.#at(nextFloat(this.#random) * this.#turnMs, () => this.#turn(node));
  }

  #at(delayMs: number, run: () => void): void {
    this.#order += 1;
    this.#events.push({ atMs: this.nowMs + delayMs, order: this.#order, run });
  }

  clock(node: Node): number {
    return node.startMs + this.nowMs * node.speed;
  }

  holders(): string[] {
    return this.nodes.filter((node) => !node.dead && isHeld(node.state, this.clock(node))).map(({ name }) => name);
  }

  #turn(node: Node): void {
    if (node.dead) return;
    this.#step(node, { kind: "tick" });
    this.#at(this.#turnMs / node.speed, () => this.#turn(node));
  }

  #step(node: Node, event: LeaseEvent): void {
    if (node.dead) return;
    if (this.nowMs < node.pausedUntilMs) {
      this.#at(node.pausedUntilMs - this.nowMs, () => this.#step(node, event));
      return;
    }
    const { state, effects } = stepLease(node.state, event, this.clock(node));
    node.state = state;
    const known = leaderOf(state, this.clock(node));
    if (known !== undefined && (known.holder === node.name) !== isHeld(state, this.clock(node))) {
      throw new Error(`${node.name} takes ${known.holder} for the leader against its own lease`);
    }
    for (const effect of effects) this.#ask(node, effect);
  }

  #delay(): number {
    return nextFloat(this.#random) * this.faults.delayMsMax;
  }

  #ask(node: Node, effect: LeaseEffect): void {
    let answered = false;
    const answer = (event: LeaseEvent): void => {
      if (answered) return;
      answered = true;
      this.#step(node, event);
    };
    const deadlineMs = durationMs / node.speed;
    this.#at(deadlineMs, () => answer({ kind: "not-written" }));
    if (node.isCutOff || nextFloat(this.#random) < this.faults.loss) return;
    this.#at(this.#delay(), () => {
      const event = this.#serve(node.name, effect);
      if (node.isCutOff || nextFloat(this.#random) < this.faults.loss) return;
      this.#at(this.#delay(), () => answer(event));
    });
  }

  #serve(name: string, effect: LeaseEffect): LeaseEvent {
    if (effect.kind === "read") {
      return this.#record === undefined ? { kind: "record" } : { kind: "record", record: this.#record };
    }
    if ((this.#record?.revision ?? 0) !== effect.revision) return { kind: "not-written" };
    this.#revision += 1;
    this.#record = { holder: name, revision: this.#revision };
    this.terms.push({ holder: name, term: this.#revision });
    return { kind: "written", revision: this.#revision };
  }

  run(forMs: number, check: () => void = () => undefined): void {
    const untilMs = this.nowMs + forMs;
    for (;;) {
      let next = this.#events[0];
      for (const event of this.#events) {
        if (next === undefined || event.atMs < next.atMs || (event.atMs === next.atMs && event.order < next.order)) {
          next = event;
        }
      }
      if (next === undefined || next.atMs > untilMs) break;
      this.#events = this.#events.filter((event) => event !== next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      if (this.holders().length > 1) throw new Error(`Two hold the lease: ${this.holders().join(", ")}`);
      check();
    }
    this.nowMs = untilMs;
  }
}

const acts = fc.array(
  fc.oneof(
    fc.record({ act: fc.constant("run" as const), ms: fc.integer({ min: 10, max: 4000 }) }),
    fc.record({ act: fc.constant("pause" as const), node: fc.nat(3), ms: fc.integer({ min: 100, max: 10_000 }) }),
    fc.record({ act: fc.constant("kill" as const), node: fc.nat(3) }),
    fc.record({
      act: fc.constant("faults" as const),
      loss: fc.constantFrom(0, 0.1, 0.5, 0.9),
      delayMsMax: fc.constantFrom(5, 200, 1000, 2900, 8000),
    }),
  ),
  { maxLength: 30, size: "max" },
);

test("never two holders at once; and when the network is well again, a leader within three leases who then stays", () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 2, max: 4 }), acts, (seed, count, played) => {
      const world = new World(seed, count);
      for (const each of played) {
        if (each.act === "run") world.run(each.ms);
        else if (each.act === "faults") world.faults = each;
        else {
          const node = world.nodes[each.node % count];
          if (node === undefined) continue;
          // One node survives, to take over.
          if (each.act === "kill") node.dead = each.node % count !== 0;
          else node.pausedUntilMs = world.nowMs + each.ms;
        }
      }
      world.faults = { loss: 0, delayMsMax: 20 };
      for (const node of world.nodes) node.pausedUntilMs = 0;
      // What is still on its way from before arrives first.
      world.run(20_000);
      const [holder] = world.holders();
      expect(holder).toBeDefined();
      const before = world.terms.length;
      world.run(10 * durationMs, () => expect(world.holders()).toEqual([holder]));
      expect(new Set(world.terms.slice(before).map((each) => each.holder))).toEqual(new Set([holder]));
      expect(world.terms.map(({ term }) => term)).toEqual(world.terms.map((_, at) => at + 1));
    }),
    { numRuns: 150 },
  );
});

test("a holder that died, stands still or is cut off is replaced within three leases", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 2, max: 4 }),
      fc.integer({ min: 0, max: 3000 }),
      fc.constantFrom("dies", "stands", "cut"),
      (seed, count, afterMs, ending) => {
        const world = new World(seed, count, 60);
        world.run(2 * durationMs + afterMs);
        const [first] = world.holders();
        expect(first).toBeDefined();
        const node = world.nodes.find(({ name }) => name === first);
        if (node === undefined) return;
        if (ending === "dies") node.dead = true;
        else if (ending === "cut") node.isCutOff = true;
        else node.pausedUntilMs = world.nowMs + 20 * durationMs;
        world.run(3 * durationMs);
        const [second] = world.holders();
        expect(second).toBeDefined();
        expect(second).not.toBe(first);
      },
    ),
    { numRuns: 150 },
  );
});
