/*
 * The update cache under random schedules: three real replicas write, pull whole and broken answers, restart and see their clocks
 * jump, with caches of a few rows. After each step the floor is where it must be, and every pull is answered as a scan would.
 */
import { SYNC_LIMITS, type SyncLimits } from "../../protocols/limits.ts";
import { createRandom, nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { encodeImage, loadImage } from "../../protocols/sync/image.ts";
import { type Knowledge, knowledgeToJson } from "../../protocols/sync/knowledge.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, stepReplica } from "../../protocols/sync/replica.ts";
import { knownTimes } from "../../protocols/sync/row-notes.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { cachedCount, cachedSlots } from "../../protocols/sync/update-cache.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { drawPullId } from "../../protocols/wire/pull.ts";

export const CACHED_TABLES: readonly TableSpec[] = ["left", "right"].map((name) => ({
  name,
  dim: 1,
  valueBytes: 4,
  stateBytes: 0,
  precision: "f32",
  optimizer: "test",
}));
const NODES = 3;
const KEYS = 8;
const STEPS = 60;

/** X1 in a few schedules; the test of the cache runs many. */
export function floorInPlace(): string | undefined {
  // In schedule 255 a pull of two tables ends with a cache that is full.
  const few = runCacheSchedules({ start: 1, seeds: 12, only: "X1" });
  return (few.failure ?? runCacheSchedules({ start: 255, seeds: 1, only: "X1" }).failure)?.message;
}

/** X2 in a few schedules. */
export function answersAsAScan(): string | undefined {
  return runCacheSchedules({ start: 1, seeds: 12, only: "X2" }).failure?.message;
}

/** S20 of the cache in a few schedules. */
export function cacheBounded(): string | undefined {
  return runCacheSchedules({ start: 1, seeds: 12, only: "S20" }).failure?.message;
}

/** What the schedules came to; the counts are of all replicas that ever were. */
export interface CacheOutcome {
  readonly failure: Problem | undefined;
  readonly hits: number;
  readonly scans: number;
  readonly gaveUp: number;
  readonly left: number;
}

/** Runs the schedules of these seeds, up to the first that fails; looks at all of X1, X2 and S20, or only at one. */
export function runCacheSchedules(options: {
  readonly start: number;
  readonly seeds: number;
  readonly only?: string;
}): CacheOutcome {
  let [hits, scans, gaveUp, left] = [0, 0, 0, 0];
  let failure: CacheOutcome["failure"];
  for (let seed = options.start; seed < options.start + options.seeds && failure === undefined; seed += 1) {
    const schedule = new Schedule(seed);
    const found = schedule.run(options.only);
    if (found !== undefined) failure = { ...found, message: `${found.message} (schedule ${seed})` };
    for (const { cache } of schedule.lives) {
      hits += cache.counts.hits;
      scans += cache.counts.scans;
      gaveUp += cache.counts.gaveUp;
      left += cache.floor.filter((t, writer) => t > (cache.base[writer] ?? 0)).length;
    }
  }
  return { failure, hits, scans, gaveUp, left };
}

interface Problem {
  readonly property: string;
  readonly message: string;
}

class Schedule {
  readonly lives: Replica[] = [];
  readonly #random: Random;
  readonly #limits: SyncLimits;
  readonly #nodes: Replica[] = [];
  #nowMs = 1_760_000_000_000;

  constructor(seed: number) {
    this.#random = createRandom(seed);
    this.#limits = {
      ...SYNC_LIMITS,
      frameBytes: 30 + nextBelow(this.#random, 60),
      cacheRowsMax: 1 + nextBelow(this.#random, 2 * KEYS),
      cacheAgeMs: 10 + nextBelow(this.#random, 800),
      cacheAgeMsMin: 10,
      cacheAgeMsMax: 2_000,
    };
    for (let node = 0; node < NODES; node += 1) this.#start(node);
  }

  run(only: string | undefined): Problem | undefined {
    for (let step = 0; step < STEPS; step += 1) {
      const node = nextBelow(this.#random, NODES);
      const choice = nextFloat(this.#random);
      if (choice < 0.4) this.#write(node);
      else if (choice < 0.85) this.#pull(node, (node + 1 + nextBelow(this.#random, NODES - 1)) % NODES);
      else if (choice < 0.9) this.#start(node);
      else this.#nowMs += (nextFloat(this.#random) - 0.5) * 7_200_000;
      this.#nowMs += nextBelow(this.#random, 60);
      const replica = this.#node(node);
      for (const found of [checkFloor(replica), this.#ask(replica)]) {
        if (found !== undefined && (only ?? found.property) === found.property) return found;
      }
    }
    return undefined;
  }

  #write(node: number): void {
    const keys = BigUint64Array.from({ length: 1 + nextBelow(this.#random, 4) }, (_, index) => BigInt(index));
    const from = BigInt(nextBelow(this.#random, KEYS - 3));
    const table = nextBelow(this.#random, CACHED_TABLES.length);
    const writes = [{ table, keys: keys.map((key) => key + from), mutate: () => undefined }];
    stepReplica(this.#node(node), { kind: "write", writes }, this.#nowMs);
  }

  /** Pulls; now and then frames are lost and the pull ends there. */
  #pull(node: number, peer: number): void {
    const [asker, responder] = [this.#node(node), this.#node(peer)];
    const lossRate = nextFloat(this.#random) < 0.5 ? 0 : 0.6;
    const pullId = this.#pullId();
    const inbox = stepReplica(asker, { kind: "pull", peer: "b", pullId }, this.#nowMs);
    for (let effect = inbox.shift(); effect !== undefined; effect = inbox.shift()) {
      if (effect.kind !== "send") continue;
      const { message, body } = effect;
      if (message !== "frame") {
        inbox.push(...stepReplica(responder, { kind: "message", from: "a", message, body }, this.#nowMs));
      } else if (nextFloat(this.#random) >= lossRate) {
        inbox.push(...stepReplica(asker, { kind: "message", from: "b", message, body }, this.#nowMs));
      }
    }
    const gone = { pullId, reason: "gone" };
    stepReplica(asker, { kind: "message", from: "b", message: "refuse", body: gone }, this.#nowMs);
  }

  /** Starts a node, or starts it again from its image. */
  #start(node: number): void {
    const before = this.#nodes[node];
    const store = createMapRowStore(CACHED_TABLES, { state: true });
    const replica = createReplica({
      writer: parseWriterId(`0.sim.n${node}.l${this.lives.length}`),
      limits: this.#limits,
      ...(before === undefined ? { store } : loadImage(encodeImage(before), store)),
    });
    this.#nodes[node] = replica;
    this.lives.push(replica);
  }

  /** X2: pulls with any knowledge, mostly about as much as the floor, are answered with what a scan gives. */
  #ask(replica: Replica): Problem | undefined {
    const { store, cache } = replica;
    const known: Knowledge = new Map();
    for (const [index, writer] of store.writers.entries()) {
      const { knowledge: one } = this.#node(nextBelow(this.#random, NODES));
      const floor = (cache.floor[index] ?? 0) - (nextFloat(this.#random) < 0.05 ? 1 : 0);
      const t = nextFloat(this.#random) < 0.3 ? floor : Math.max(floor, one.get(writer) ?? 0);
      if (t > 0) known.set(writer, t);
    }
    const { declaration } = replica;
    const body = {
      pullId: this.#pullId(),
      declaration,
      wantsState: true,
      settled: 0,
      knowledge: knowledgeToJson(known),
    };
    const asker = "c";
    stepReplica(replica, { kind: "message", from: asker, message: "pull", body }, this.#nowMs);
    const answer = [...replica.answers.values()].at(-1);
    const scan = store.collect(knownTimes(store, { epoch: 0, settled: 0, knowledge: known }));
    store.release(scan);
    const [given, wanted] = [answer?.list.slots ?? [], scan.slots].map((slots) =>
      Float64Array.from(slots).toSorted().join(" "),
    );
    if (answer?.pullId !== body.pullId) return problem("X2", "a pull was not answered");
    const release = { pullId: body.pullId, answer: answer.id };
    stepReplica(replica, { kind: "message", from: asker, message: "release", body: release }, this.#nowMs);
    if (given === wanted) return undefined;
    return problem("X2", `the answer has the slots ${given}, a scan gives ${wanted}`);
  }

  #node(index: number): Replica {
    const replica = this.#nodes[index];
    if (replica === undefined) throw new RangeError(`Cannot use node ${index}: there are ${this.#nodes.length}`);
    return replica;
  }

  #pullId(): string {
    return drawPullId(() => nextFloat(this.#random));
  }
}

/** X1, S20: what is outside the cache is at or below the floor, what is in it above; its size is bounded, and early rows stay in it. */
export function checkFloor(replica: Replica): Problem | undefined {
  const { store, cache, early, knowledge, horizon } = replica;
  const cached = new Set(cachedSlots(cache, replica));
  const all = store.collect(new Float64Array());
  store.release(all);
  for (const slot of all.slots) {
    const { t, writer } = store.versionAt(slot);
    const isAbove = t > (cache.floor[writer] ?? 0);
    const isCached = cached.has(slot);
    if (isAbove !== isCached) {
      return problem(
        "X1",
        `slot ${slot} is ${isAbove ? "above" : "below"} the floor and ${isCached ? "" : "not "}cached`,
      );
    }
    if (cache.counts.gaveUp === 0 && early.has(slot) !== cache.early.has(slot)) {
      return problem("X1", `slot ${slot} is ${early.has(slot) ? "" : "not "}early, unlike in the cache`);
    }
  }
  if (cached.size > cache.rowsMax) {
    return problem("S20", `${cached.size} rows are cached, of at most ${cache.rowsMax}`);
  }
  // As `ENTRIES` of the cache.
  const listed = cache.closed.reduce((sum, { end }) => sum + end, cache.open.end);
  if (listed > 4 * cache.rowsMax) return problem("S20", `${listed} entries for at most ${cache.rowsMax} rows`);
  if (cached.size !== cachedCount(cache)) {
    return problem("S20", `${cached.size} rows are cached, and ${cachedCount(cache)} are counted`);
  }
  const known = knownTimes(store, { epoch: 0, settled: horizon.settled, knowledge });
  if (cache.counts.gaveUp === 0 && cache.floor.some((t, writer) => t > (known[writer] ?? 0))) {
    return problem("X1", "the floor is ahead of knowledge");
  }
  return undefined;
}

function problem(property: string, message: string): Problem {
  return { property, message };
}
