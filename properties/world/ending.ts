/*
 * How a world ends: some time after all was healed every replica holds the same, which is the newest of everything that was
 * there, and nothing is pulled any more.
 */
import { loadImage } from "../../protocols/sync/image.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { type Horizon, type Known, NO_HORIZON } from "../../protocols/sync/horizon.ts";
import { type Pulling } from "../../protocols/sync/pulling.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { type RowStore } from "../../protocols/sync/row-store.ts";
import { type Version } from "../../protocols/sync/version.ts";
import { expiryOf } from "./horizon-book.ts";
import { type Disk } from "./disk.ts";
import { isOlder, knowsAll, settledBy } from "./seen-row.ts";
import { type SimulatedNode } from "./simulated-node.ts";
import { tablesOf } from "./tables.ts";
import { type Surroundings } from "./surroundings.ts";

/** How long after healing all must be equal, in simulated time; several times the longest back-off. */
const CONVERGE_MS = 120_000;
/**
 * The same where loss lasts: a quarter of all messages, few retries, and places for few answers that askers take from each other. What is lost is taken for slow,
 * and waited for longer each time: seed 20003057 takes some 780 s, and took 1,080 s while it listed half of its shards at once.
 */
const CONVERGE_LOSSY_MS = 1_800_000;
const QUIET_MS = 15_000;

/** What an ending needs to see of a world. */
export interface World extends Surroundings {
  /** And requests for the rest of an answer: a pull that failed goes on with these. */
  readonly pullsSent: number;
  /** Taken by replicas, starts among them. */
  readonly stepsTaken: number;
  readonly nodes: readonly (SimulatedNode | undefined)[];
  readonly disks: readonly Disk[];
}

export class Ending {
  readonly #world: World;
  readonly #convergeMs: number;
  readonly #deadlineMs: number;
  /** By shard and key: the newest version that was anywhere when all was healed. */
  readonly #greatest: readonly (Version | undefined)[][];
  #equalSinceMs: number | undefined;
  #pullsWhenEqual = 0;
  /** What was found when all replicas were last compared, and how far they were then. */
  #last: { readonly difference: Difference | undefined; readonly steps: number } | undefined;

  /** Looks at everything there is, now that nobody writes any more. */
  constructor(world: World) {
    this.#world = world;
    this.#convergeMs = world.knobs.lasting === "loss" ? CONVERGE_LOSSY_MS : CONVERGE_MS;
    this.#deadlineMs = world.nowMs + this.#convergeMs;
    this.#greatest = world.checkers.map((_, shard) => {
      if (world.judge.isBlind) return [];
      const stores = world.nodes.map((node, index) => node?.replicas[shard]?.store ?? onDisk(world, { shard, index }));
      return Array.from({ length: world.knobs.keys }, (__, key) => greatest(stores, BigInt(key)));
    });
  }

  /** Done when all has been equal and quiet for a while. */
  look(): "done" | undefined {
    const { nowMs, judge, knobs, nodes, pullsSent: pulls } = this.#world;
    const difference = this.#compare();
    const isLate = nowMs > this.#deadlineMs;
    if (difference !== undefined) {
      this.#equalSinceMs = undefined;
      if (!isLate) return undefined;
      const what = `${this.#convergeMs} ms after all was healed: ${difference.what}`;
      if (difference.isPartial) judge.breach("X5", what);
      if (difference.isEarly) judge.breach("X12", what);
      // With less than all healed it is a property of its own that the rest suffices.
      judge.breach(knobs.lasting === "cut" ? "L8" : knobs.lasting === "loss" ? "L2" : "L1", what);
      return this.#end();
    }
    // Where loss lasts, a list may come late, and the pull that stands gets its time to answer.
    const isAwaited = nodes.some((node) => [...(node?.poller.pulling.values() ?? [])].some(isExpected));
    if (this.#equalSinceMs === undefined || pulls !== this.#pullsWhenEqual || isAwaited) {
      // Who never hears from a neighbour again goes on asking it, with pauses.
      if (isLate && knobs.lasting !== "cut") judge.breach("L4", "pulls go on although all is equal");
      if (isLate) return this.#end();
      this.#equalSinceMs = nowMs;
      this.#pullsWhenEqual = pulls;
      return undefined;
    }
    return nowMs - this.#equalSinceMs > QUIET_MS ? this.#end() : undefined;
  }

  /** Where no replica took a step since the last time, what was found then is found again. */
  #compare(): Difference | undefined {
    const { stepsTaken: steps } = this.#world;
    if (this.#last?.steps !== steps) this.#last = { difference: this.#leftEarly() ?? this.#difference(), steps };
    return this.#last.difference;
  }

  #end(): "done" {
    if (this.#world.judge.isBlind) return "done";
    this.#expectNothingOpen();
    const { nodes, knobs, promotions } = this.#world;
    for (const node of nodes) {
      if (knobs.aloof && node?.index === promotions.leader) {
        node.scan();
        node.replicas.forEach((replica, shard) => promotions.finish(replica, { shard, where: `node ${node.index}` }));
      } else node?.finish(this.#greatest);
    }
    return "done";
  }

  /** E6: in the quiet no pull is open but what stands, as its node takes it to, and none is still to be made, however often leaders changed. */
  #expectNothingOpen(): void {
    const { nodes, judge, nowMs, knobs } = this.#world;
    // Who never hears from a neighbour again goes on asking it.
    if (knobs.lasting === "cut" || nowMs > this.#deadlineMs) return;
    for (const node of nodes) {
      for (const [shard, { pull }] of node?.replicas.entries() ?? []) {
        const pulling = node?.poller.pulling.get(`s/${shard}`);
        if (pull !== undefined && (!pull.isStanding || pulling?.pending.peer !== pull.peer)) {
          judge.breach("E6", `node ${node?.index} has a pull of shard ${shard} open for ever`);
        }
        if (pulling !== undefined && (pulling.standing !== "quiet" || pull === undefined)) {
          judge.breach("E6", `node ${node?.index} takes a pull of shard ${shard} for running that is over`);
        }
      }
    }
  }

  /** A row that nobody's knowledge covers: X12 when it stays so; X5 when moreover it is not seen by all. */
  #leftEarly(): Difference | undefined {
    const { nodes, checkers, knobs } = this.#world;
    for (const shard of checkers.keys()) {
      const replicas = nodes.flatMap((node) => node?.replicas[shard] ?? []);
      for (let key = 0; key < knobs.keys; key += 1) {
        const name = BigInt(key);
        let early: Version | undefined;
        for (const replica of replicas) {
          const version = replica.store.versionOf(0, name);
          if (version !== undefined && isAhead(version, replica)) early ??= version;
        }
        if (early === undefined) continue;
        const versions = replicas.map(({ store }) => store.versionOf(0, name));
        const isPartial = versions.some((version) => version?.t !== early.t || version.writer !== early.writer);
        return {
          isEarly: true,
          isPartial,
          what: `row ${key} of shard ${shard} is early at ${early.t} of ${early.writer}`,
        };
      }
    }
    return undefined;
  }

  /** Who alone writes holds the same as all others in the end, though others know more; and what they know is settled. */
  #differenceToSole(): string | undefined {
    const { nodes, knobs, promotions } = this.#world;
    if (!knobs.sole || knobs.settleEveryMs === 0 || knobs.lasting === "cut") return undefined;
    const sole = nodes[promotions.leader];
    const other = nodes.find((_, index) => index !== promotions.leader);
    if (sole === undefined || other === undefined) return "a node is down";
    for (const [shard, { store, knowledge }] of sole.replicas.entries()) {
      const isSame = store.digest() === other.replicas[shard]?.store.digest();
      if (!isSame) return `contents of shard ${shard} differ from its writer's`;
      if (store.tombstones > 0 || knowledge.size > 0) return `shard ${shard} has something left to settle`;
    }
    return undefined;
  }

  #difference(): Difference | undefined {
    const { nodes, knobs, promotions } = this.#world;
    // What only others ever held, a node that pulls from nobody lacks.
    const [first, ...others] = knobs.aloof ? nodes.filter((_, index) => index !== promotions.leader) : nodes;
    const apart = this.#differenceToSole();
    if (apart !== undefined) return differs(apart);
    if (first === undefined || nodes.includes(undefined)) return differs("a node is down");
    for (const [shard, replica] of first.replicas.entries()) {
      const digest = replica.store.digest();
      for (const other of others) {
        const theirs = other?.replicas[shard];
        if (theirs === undefined) return differs("a node is down");
        const where = `of shard ${shard} differ between nodes ${first.index} and ${other?.index}`;
        if (!sameSettled(replica.horizon, theirs.horizon)) return differs(`horizons ${where}`);
        if (!sameKnowledge(replica, theirs)) return differs(`knowledges ${where}`);
        if (digest !== theirs.store.digest()) return differs(`contents ${where}`);
      }
      // Others may know more than a primary that pulls from nobody; less is what they have not pulled yet.
      const leader = knobs.aloof ? nodes[promotions.leader]?.replicas[shard] : undefined;
      if (leader !== undefined && !knowsAll(known(replica), known(leader))) {
        return differs(`knowledges of shard ${shard} lack some of node ${promotions.leader}'s`);
      }
    }
    return undefined;
  }
}

/** Why the world is not at its end yet. */
interface Difference {
  readonly what: string;
  readonly isEarly: boolean;
  readonly isPartial: boolean;
}

function differs(what: string): Difference {
  return { what, isEarly: false, isPartial: false };
}

function isAhead({ t, writer }: Version, replica: Replica | undefined): boolean {
  return t > Math.max(settledBy(replica?.horizon ?? NO_HORIZON, writer), replica?.knowledge.get(writer) ?? 0);
}

function sameSettled(a: Horizon, b: Horizon): boolean {
  return a.epoch === b.epoch && a.settled === b.settled && expiryOf(a) === expiryOf(b);
}

function sameKnowledge(a: Replica, b: Replica): boolean {
  return knowsAll(known(a), known(b)) && knowsAll(known(b), known(a));
}

function known({ horizon, knowledge }: Replica): Known {
  return { ...horizon, knowledge };
}

/** The store that a node which is down will start with. */
function onDisk(world: World, { shard, index }: { shard: number; index: number }): RowStore | undefined {
  const image = world.disks[index]?.read(shard);
  if (image === undefined || image.damaged) return undefined;
  const state = !(world.knobs.serving && index === world.knobs.nodes - 1);
  return loadImage(image.bytes, createMapRowStore(tablesOf(world.knobs), { state })).store;
}

function greatest(stores: readonly (RowStore | undefined)[], key: bigint): Version | undefined {
  let newest: Version | undefined;
  for (const store of stores) {
    const version = store?.versionOf(0, key);
    if (version !== undefined && (newest === undefined || isOlder(newest, version))) newest = version;
  }
  return newest;
}

function isExpected({ standing }: Pulling): boolean {
  return standing === "expected";
}
