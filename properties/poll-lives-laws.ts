/*
 * What must hold of the poll over many starts of both its ends, and of the shards that it has pull: whatever is lost, late, repeated or of an
 * earlier start, what changed is pulled once messages arrive again. One node polls one or two others. fast-check owns every choice, and shrinks it.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { POLL_LIMITS } from "../protocols/limits.ts";
import { createPoller, type PollEffect, type PollEvent, type Poller, stepPoller } from "../protocols/sync/poll.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { type OnTheWay, ShardOfAsker } from "./shard-lives.ts";
import { pullIds } from "./world/names.ts";

interface Timer {
  readonly node: string;
  readonly name: string;
  readonly atMs: number;
}
interface Sent {
  readonly from: string;
  readonly message: Extract<PollEffect, { kind: "send" }>;
}

const ASKER = "a";
/** Few of them are met by more of what can happen. */
const SIZES = fc.record({
  peers: fc.constantFrom(["b"], ["b", "c"]),
  shards: fc.constantFrom(["s/0"], ["s/0", "s/1", "s/2"]),
  areJoined: fc.boolean(),
  /** Whose messages wait between the asker's shards and its poller, where each is an actor of its own. */
  waits: fc.constantFrom("nobody's", "nobody's", "the poller's", "both's"),
});
/** A shard an answer, so that lists are in parts. */
const LIMITS = { ...POLL_LIMITS, changesMax: 1 };
/** Longer than polls, rests, and pulls that failed again and again. */
const QUIET_MS = 120_000;

const picks = fc.nat(1_000);
const ways = fc.constantFrom<OnTheWay>("lost", "first", "late");
const drawnSteps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("change" as const), pick: picks }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant("deliver" as const), pick: picks, stays: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("timer" as const), pick: picks }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("pulled" as const), pick: picks, fails: fc.boolean() }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant("hand" as const), pick: picks }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("start" as const), pick: picks, onTheWay: ways }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("shard-start" as const), pick: picks, onTheWay: ways }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("save" as const, "announce" as const), pick: picks }) },
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
  /** Peer and shard -> the version that the peer has, which outlives its starts. */
  readonly written = new Map<string, number>();
  readonly #lives = new Map<string, number>();
  readonly #pollers = new Map<string, Poller>();
  readonly #sizes: Sizes;
  readonly #pullIds = pullIds();
  /** The asker's shards, of those that it was given. */
  readonly #shards = new Map<string, ShardOfAsker>();
  #sent: Sent[] = [];
  #timers: Timer[] = [];
  #nowMs = 0;

  constructor(sizes: Sizes) {
    this.#sizes = sizes;
    for (const peer of sizes.peers) {
      for (const shard of sizes.shards) this.written.set(`${peer} ${shard}`, 1);
    }
    for (const node of [...sizes.peers, ASKER]) this.#start(node, "first");
    if (sizes.areJoined) this.#joinAll();
  }

  /** The same of what the asker has pulled from each. */
  get pulled(): Map<string, number> {
    const { peers, shards } = this.#sizes;
    const names = peers.flatMap((peer) => shards.map((shard) => [peer, shard] as const));
    return new Map(names.map(([peer, shard]) => [`${peer} ${shard}`, this.#shards.get(shard)?.held.get(peer) ?? 0]));
  }

  take(step: Step): void {
    this.#take(step);
    const { waits } = this.#sizes;
    while (waits !== "both's" && this.#handOver({ toShards: waits === "nobody's" }));
  }

  #take(step: Step): void {
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
        drawn(
          this.#joined.filter(({ pulls }) => pulls !== undefined),
          step.pick,
        )?.end(step.fails);
        return;
      }
      case "hand": {
        const boxes = this.#joined.flatMap((shard) => [
          ...(shard.toPoller.length > 0 ? [() => this.#tellPoller(shard)] : []),
          ...(shard.toShard.length > 0 ? [() => this.#tellShard(shard)] : []),
        ]);
        const sent = boxes.length > 0 ? undefined : this.#sent.shift();
        if (sent === undefined) drawn(boxes, step.pick)?.();
        else this.#deliver(sent);
        return;
      }
      case "start":
        this.#start(drawn([ASKER, ...this.#sizes.peers], step.pick) ?? ASKER, step.onTheWay);
        return;
      case "shard-start":
        drawn(this.#joined, step.pick)?.start(step.onTheWay);
        return;
      case "save":
      case "announce":
        drawn(this.#joined, step.pick)?.[step.kind]();
        return;
      case "join":
        this.#join(drawn(this.#sizes.shards, step.pick) ?? "");
        return;
      case "calm":
        this.#calm(step.stays);
    }
  }

  /** What was sent to others before is lost; all that is sent from now on arrives, in order, and pulls complete that the poller lets go on. Shards say once more what they have. */
  settle(): void {
    this.#sent = [];
    this.#joinAll();
    for (const shard of this.#joined) shard.announce();
    const untilMs = this.#nowMs + QUIET_MS;
    for (;;) {
      this.#calm(false);
      const timer = this.#timers.toSorted((one, other) => one.atMs - other.atMs)[0];
      if (timer === undefined || timer.atMs > untilMs) return;
      this.#fire(timer);
    }
  }

  /** All that is on its way arrives, in order, with all that follows from it, and pulls complete that the poller lets go on. A copy of each may come again. */
  #calm(stays: boolean): void {
    const copies: Sent[] = [];
    for (;;) {
      const sent = this.#sent.shift();
      const pulling = this.#joined.find(({ pulls }) => pulls !== undefined);
      if (sent !== undefined) {
        if (stays) copies.push(sent);
        this.#deliver(sent);
      } else if (this.#handOver({ toShards: true })) continue;
      else if (pulling !== undefined) pulling.end(this.#pullOf(pulling) !== pulling.pulls);
      else break;
    }
    this.#sent = copies;
  }

  #start(node: string, onTheWay: OnTheWay): void {
    const life = (this.#lives.get(node) ?? 0) + 1;
    this.#lives.set(node, life);
    this.#timers = this.#timers.filter((timer) => timer.node !== node);
    this.#pollers.set(node, createPoller(parseWriterId(`0.sim.${node}.l${life}`), this.#pullIds, LIMITS));
    if (node !== ASKER) {
      for (const shard of this.#sizes.shards) this.#tell(node, shard);
      return;
    }
    // Shards go on, and with them their pulls. Each says again and again what it has.
    for (const shard of this.#joined) {
      if (onTheWay === "lost") shard.toPoller = [];
      shard.announce();
    }
    for (const peer of this.#sizes.peers) this.#step(ASKER, { kind: "neighbour", peer });
  }

  #joinAll(): void {
    for (const shard of this.#sizes.shards) this.#join(shard);
  }

  get #joined(): readonly ShardOfAsker[] {
    return [...this.#shards.values()];
  }

  #join(shard: string): void {
    if (this.#shards.has(shard)) return;
    const joined = new ShardOfAsker(shard, parseWriterId(`0.sim.${ASKER}.l1`));
    this.#shards.set(shard, joined);
    joined.announce();
  }

  /** One message between the poller and a shard; tells whether there was one. */
  #handOver({ toShards }: { readonly toShards: boolean }): boolean {
    const told = this.#joined.find(({ toPoller }) => toPoller.length > 0);
    if (told !== undefined) this.#tellPoller(told);
    const asked = this.#joined.find(({ toShard }) => toShards && toShard.length > 0);
    if (asked !== undefined) this.#tellShard(asked);
    return told !== undefined || asked !== undefined;
  }

  /** The id of the pull of a shard that runs, if the poller is right. */
  #pullOf({ shard }: ShardOfAsker): string | undefined {
    return this.#pollers.get(ASKER)?.pulling.get(shard)?.pullId;
  }

  #tellPoller(shard: ShardOfAsker): void {
    const event = shard.toPoller.shift();
    if (event !== undefined) this.#step(ASKER, event);
  }

  #tellShard(shard: ShardOfAsker): void {
    shard.take((peer) => this.written.get(`${peer} ${shard.shard}`) ?? 0);
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
    if (effect.kind === "pull" || effect.kind === "give-up") this.#shards.get(effect.shard)?.toShard.push(effect);
  }
}

function drawn<Item>(list: readonly Item[], pick: number): Item | undefined {
  return list.length === 0 ? undefined : list[pick % list.length];
}
