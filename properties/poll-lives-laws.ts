/*
 * What must hold of the poll over many starts of both its ends: whatever is lost, late, repeated or of an earlier start, what changed is pulled once
 * messages arrive again. One node polls one or two others. fast-check owns every choice, and shrinks it.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { POLL_LIMITS } from "../protocols/limits.ts";
import { createPoller, type PollEffect, type PollEvent, type Poller, stepPoller } from "../protocols/sync/poll.ts";
import { parseWriterId } from "../protocols/sync/version.ts";

interface Timer {
  readonly node: string;
  readonly name: string;
  readonly atMs: number;
}
interface Sent {
  readonly from: string;
  readonly message: Extract<PollEffect, { kind: "send" }>;
}
/** A pull reads what its peer has when it begins, which is the worst moment for it. */
interface OpenPull {
  readonly shard: string;
  readonly peer: string;
  readonly counter: number;
}

const ASKER = "a";
/** Few of them are met by more of what can happen. */
const SIZES = fc.record({
  peers: fc.constantFrom(["b"], ["b", "c"]),
  shards: fc.constantFrom(["s/0"], ["s/0", "s/1", "s/2"]),
  areJoined: fc.boolean(),
});
/** A shard an answer, so that lists are in parts. */
const LIMITS = { ...POLL_LIMITS, changesMax: 1 };
/** Longer than polls, rests, and pulls that failed again and again. */
const QUIET_MS = 120_000;

const picks = fc.nat(1_000);
const drawnSteps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("change" as const), pick: picks }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant("deliver" as const), pick: picks, stays: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("timer" as const), pick: picks }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("pulled" as const), pick: picks, fails: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("start" as const), pick: picks }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("join" as const), pick: picks }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("calm" as const), stays: fc.boolean() }) },
  ),
  { maxLength: 60, size: "max" },
);
type Sizes = typeof SIZES extends fc.Arbitrary<infer Drawn> ? Drawn : never;
type Step = typeof drawnSteps extends fc.Arbitrary<(infer Drawn)[]> ? Drawn : never;

export function checkLaws(): void {
  fc.assert(
    fc.property(SIZES, drawnSteps, (sizes, steps) => {
      const nodes = new Nodes(sizes);
      for (const step of steps) nodes.take(step);
      nodes.settle();
      assert.deepEqual(nodes.pulled, nodes.written);
    }),
    { numRuns: 2_000 },
  );
}

class Nodes {
  /** Peer and shard -> the version that the peer has, and that the asker pulled from it last. Both outlive starts. */
  readonly written = new Map<string, number>();
  readonly pulled = new Map<string, number>();
  readonly #lives = new Map<string, number>();
  readonly #pollers = new Map<string, Poller>();
  readonly #sizes: Sizes;
  /** Shards that the asker was given since it started. */
  #joined = new Set<string>();
  #sent: Sent[] = [];
  #timers: Timer[] = [];
  #pulls: OpenPull[] = [];
  #nowMs = 0;

  constructor(sizes: Sizes) {
    this.#sizes = sizes;
    for (const peer of sizes.peers) {
      for (const shard of sizes.shards) {
        this.written.set(`${peer} ${shard}`, 1);
        this.pulled.set(`${peer} ${shard}`, 0);
      }
    }
    for (const node of [...sizes.peers, ASKER]) this.#start(node);
  }

  take(step: Step): void {
    switch (step.kind) {
      case "change": {
        const { peers, shards } = this.#sizes;
        const peer = drawn(peers, step.pick);
        const shard = drawn(shards, Math.floor(step.pick / peers.length));
        if (peer !== undefined && shard !== undefined) this.#change(peer, shard);
        return;
      }
      case "deliver": {
        const sent = drawn(this.#sent, step.pick);
        if (sent === undefined) return;
        if (!step.stays) this.#sent = this.#sent.filter((other) => other !== sent);
        this.#deliver(sent);
        return;
      }
      case "timer": {
        const timer = drawn(this.#timers, step.pick);
        if (timer !== undefined) this.#fire(timer);
        return;
      }
      case "pulled": {
        const pull = drawn(this.#pulls, step.pick);
        if (pull !== undefined) this.#end(pull, step.fails);
        return;
      }
      case "start":
        this.#start(drawn([ASKER, ...this.#sizes.peers], step.pick) ?? ASKER);
        return;
      case "join":
        this.#join(drawn(this.#sizes.shards, step.pick) ?? "");
        return;
      case "calm":
        this.#calm(step.stays);
    }
  }

  /** What was sent before is lost; all that is sent from now on arrives, in order, and pulls complete. */
  settle(): void {
    this.#sent = [];
    this.#joinAll();
    const untilMs = this.#nowMs + QUIET_MS;
    for (;;) {
      this.#calm(false);
      const timer = this.#timers.toSorted((one, other) => one.atMs - other.atMs)[0];
      if (timer === undefined || timer.atMs > untilMs) return;
      this.#fire(timer);
    }
  }

  /** All that is on its way arrives, in order, with all that follows from it, and pulls complete. A copy of each may come again. */
  #calm(stays: boolean): void {
    const copies: Sent[] = [];
    for (;;) {
      const sent = this.#sent.shift();
      const [pull] = this.#pulls;
      if (sent !== undefined) {
        if (stays) copies.push(sent);
        this.#deliver(sent);
      } else if (pull !== undefined) this.#end(pull, false);
      else break;
    }
    this.#sent = copies;
  }

  #start(node: string): void {
    const life = (this.#lives.get(node) ?? 0) + 1;
    this.#lives.set(node, life);
    this.#timers = this.#timers.filter((timer) => timer.node !== node);
    this.#pollers.set(node, createPoller(parseWriterId(`0.sim.${node}.l${life}`), LIMITS));
    if (node !== ASKER) {
      for (const shard of this.#sizes.shards) this.#tell(node, shard);
      return;
    }
    this.#pulls = [];
    this.#joined = new Set();
    if (this.#sizes.areJoined) this.#joinAll();
    for (const peer of this.#sizes.peers) this.#step(ASKER, { kind: "neighbour", peer });
  }

  #joinAll(): void {
    for (const shard of this.#sizes.shards) this.#join(shard);
  }

  #join(shard: string): void {
    if (this.#joined.has(shard)) return;
    this.#joined.add(shard);
    this.#tell(ASKER, shard);
  }

  #change(peer: string, shard: string): void {
    const name = `${peer} ${shard}`;
    this.written.set(name, (this.written.get(name) ?? 0) + 1);
    this.#tell(peer, shard);
  }

  #tell(node: string, shard: string): void {
    const counter = this.written.get(`${node} ${shard}`) ?? 0;
    this.#step(node, { kind: "changed", shard, version: { counter, generator: parseWriterId(`0.sim.${node}.l1`) } });
  }

  #deliver({ from, message: { to, message, body } }: Sent): void {
    this.#step(to, { kind: "message", from, message, body });
  }

  #fire(timer: Timer): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    this.#step(timer.node, { kind: "timer", name: timer.name });
  }

  #end(pull: OpenPull, fails: boolean): void {
    const { peer, shard, counter } = pull;
    this.#pulls = this.#pulls.filter((other) => other !== pull);
    if (!fails) this.pulled.set(`${peer} ${shard}`, counter);
    this.#step(ASKER, { kind: "pulled", shard, outcome: fails ? "failed" : "complete" });
  }

  #step(node: string, event: PollEvent): void {
    const poller = this.#pollers.get(node);
    assert.ok(poller !== undefined);
    for (const effect of stepPoller(poller, event, this.#nowMs)) this.#carryOut(node, effect);
  }

  #carryOut(node: string, effect: PollEffect): void {
    if (effect.kind === "send") this.#sent.push({ from: node, message: effect });
    if (effect.kind === "timer") {
      this.#timers.push({ node, name: effect.name, atMs: this.#nowMs + effect.delayMs });
    }
    if (effect.kind === "pull") {
      const { peer, shard } = effect;
      this.#pulls.push({ peer, shard, counter: this.written.get(`${peer} ${shard}`) ?? 0 });
    }
    if (effect.kind === "give-up") {
      const { peer, shard } = effect;
      const given = this.#pulls.find((pull) => pull.peer === peer && pull.shard === shard);
      if (given !== undefined) this.#end(given, true);
    }
  }
}

function drawn<Item>(list: readonly Item[], pick: number): Item | undefined {
  return list.length === 0 ? undefined : list[pick % list.length];
}
