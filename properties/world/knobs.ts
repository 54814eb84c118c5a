import { POLL_LIMITS, SYNC_LIMITS } from "../../protocols/limits.ts";
import { createRandom, nextBelow, nextFloat, type Random } from "../../protocols/random.ts";

/** What is fixed for one world: everything is drawn from its seed, and about half of the kinds of faults are off in each. */
export interface Knobs {
  readonly nodes: number;
  readonly shards: number;
  readonly keys: number;
  /** No faults at all: what must not happen twice is counted. */
  readonly calm: boolean;
  /** The last node serves: it holds no optimizer state, and full nodes do not pull from it. */
  readonly serving: boolean;
  /** Each node polls only the one before and the one after it, instead of all. */
  readonly ring: boolean;
  /** Simulated time with faults and writes, before all is healed. */
  readonly troubleMs: number;
  /** What stays broken when the rest is healed: messages still get lost, or two nodes never hear each other again. */
  readonly lasting: "nothing" | "loss" | "cut";
  readonly delayMs: number;
  /** Delays with a heavy tail instead of exponential ones. */
  readonly heavyTail: boolean;
  /** Messages of one link never overtake each other, as on one connection. */
  readonly inOrder: boolean;
  /** Bytes that a link carries in a second; 0 for any. */
  readonly bytesPerSecond: number;
  readonly lossRate: number;
  readonly duplicateRate: number;
  readonly corruptRate: number;
  /** Mean time between events of a kind; 0 for never. */
  readonly writeEveryMs: number;
  readonly cutEveryMs: number;
  readonly clogEveryMs: number;
  readonly crashEveryMs: number;
  readonly pauseEveryMs: number;
  readonly saveEveryMs: number;
  readonly jumpEveryMs: number;
  /** The primary asks the members where they stand. */
  readonly settleEveryMs: number;
  readonly expireEveryMs: number;
  /** How old a row gets, where rows expire. */
  readonly ttlMs: number;
  readonly evictEveryMs: number;
  /** Rows of a shard beyond which the oldest are evicted, and how many at once at most. */
  readonly rowsMax: number;
  readonly evictRowsMax: number;
  readonly entriesKept: number;
  /** Of crashes, how many are taken for the end: the node is no member until it is back. */
  readonly retireRate: number;
  /** Of writes, how many delete. */
  readonly deleteRate: number;
  /** Of restarts, how many have lost their disk; how many begin from an older image; how many find an image damaged. */
  readonly amnesiaRate: number;
  readonly olderRate: number;
  readonly damageRate: number;
  /** Clocks tick in steps of this size, so that writers stamp the same t. */
  readonly clockStepMs: number;
  readonly frameBytes: number;
  readonly answersMax: number;
  /** An answer that nobody asked for during one to two of these is closed. */
  readonly answerIdleMs: number;
  /** Shards in one answer to a poll. */
  readonly changesMax: number;
  readonly retryMs: number;
  readonly retriesMax: number;
  readonly cacheRowsMax: number;
  readonly cacheAgeMs: number;
  /**
   * Who leads the shards of each region: whoever has the lease of a store; nobody whom anyone knows of; everybody, as each believes of
   * itself; nobody, as each believes of another; or there are no regions.
   */
  readonly leaders: "none" | "leased" | "unknown" | "everybody" | "nobody";
  readonly leaseMs: number;
  /** Of questions to a lease's store, and of their answers, how many are lost. */
  readonly storeLossRate: number;
  /** How long a shard is left to its leader. */
  readonly patienceMs: number;
  /** How the table's numbers are held. */
  readonly precision: "f32" | "f16" | "i8";
  /** Rows are held as region nodes hold them, in compiled tables, and not in Maps. */
  readonly compiled: boolean;
  /** So many rows of a compiled table have their contents in memory, the others on disk; 0 for all. */
  readonly warmRows: number;
  /** Of writes, how many are urgent. */
  readonly urgentRate: number;
  readonly urgentRowsMax: number;
  readonly urgentHoldMs: number;
  /** Half of the urgent rows are found to be urgent only so long after their write; 0 for none. */
  readonly urgeMs: number;
  readonly orphanMs: number;
  /** After how long a pull that stands may give way; 0: none is left standing. How long what is listed may be expected of it. */
  readonly standMs: number;
  readonly standPatienceMs: number;
  /** Frames in flight on a link, the fewest. */
  readonly framesMin: number;
  /** The first node, to which rows left early are reported, pulls from nobody. The others need not hold what it lacks. */
  readonly aloof: boolean;
  /** And it alone writes: then all is settled that it knows, whatever its earlier starts told the others. */
  readonly sole: boolean;
  /** Another node becomes the one that writes; 0 for never. */
  readonly promoteEveryMs: number;
}

/** Kinds of events that come again and again while there is trouble. */
export const RECURRING = [
  "write",
  "cut",
  "clog",
  "crash",
  "pause",
  "save",
  "jump",
  "settle",
  "expire",
  "evict",
  "promote",
] as const;

export function drawKnobs(random: Random): Knobs {
  const calm = nextFloat(random) < 0.12;
  function sometimes(draw: () => number): number {
    return nextFloat(random) < 0.5 || calm ? 0 : draw();
  }
  function between(low: number, high: number): number {
    return low + nextFloat(random) * (high - low);
  }
  const nodes = 2 + nextBelow(random, 4);
  const ring = nextFloat(random) < 0.3;
  const delayMs = between(1, calm ? 20 : 120);
  const lossRate = sometimes(() => between(0, 0.3));
  const lasting = calm ? 1 : nextFloat(random);
  // A world of deletions that are settled soon, and of replicas that come back from long ago.
  const graves = nextFloat(random) < 0.36 && !calm;
  function inGraves(often: number, drawn: number): number {
    return graves ? often : drawn;
  }
  const shards = 1 + nextBelow(random, 2);
  const keys = 2 + nextBelow(random, 14);
  const serving = nodes > 2 && nextFloat(random) < 0.3;
  return {
    nodes,
    shards,
    calm,
    serving,
    ring,
    troubleMs: between(5_000, 20_000),
    lasting:
      lossRate > 0 && !graves && lasting < 0.42 ? "loss" : nodes > 2 && !ring && lasting < 0.53 ? "cut" : "nothing",
    delayMs,
    heavyTail: nextFloat(random) < 0.2 && !calm,
    inOrder: nextFloat(random) < 0.3,
    bytesPerSecond: sometimes(() => between(2_000, 50_000)),
    lossRate: inGraves(0, lossRate),
    duplicateRate: sometimes(() => between(0, 0.3)),
    corruptRate: sometimes(() => between(0, 0.05)),
    writeEveryMs: between(20, 400),
    cutEveryMs: inGraves(
      0,
      sometimes(() => (nextFloat(random) < 0.3 ? between(50, 300) : between(500, 4_000))),
    ),
    clogEveryMs: sometimes(() => between(500, 4_000)),
    crashEveryMs: inGraves(
      1_200,
      sometimes(() => between(500, 6_000)),
    ),
    pauseEveryMs: sometimes(() => between(800, 5_000)),
    saveEveryMs: between(200, 3_000),
    jumpEveryMs: sometimes(() => between(500, 5_000)),
    settleEveryMs: inGraves(100, nextFloat(random) < 0.2 ? 0 : between(50, 800)),
    expireEveryMs: nextFloat(random) < 0.6 ? 0 : between(500, 3_000),
    ttlMs: between(1_000, 10_000),
    entriesKept: [0, 0, 2, 8][nextBelow(random, 4)] ?? 0,
    retireRate: sometimes(() => 0.5),
    deleteRate: inGraves(0.4, nextFloat(random) < 0.5 ? 0 : between(0, 0.4)),
    amnesiaRate: inGraves(
      0.2,
      sometimes(() => 0.3),
    ),
    olderRate: inGraves(
      0.6,
      sometimes(() => 0.4),
    ),
    damageRate: sometimes(() => 0.3),
    clockStepMs: sometimes(() => between(100, 5_000)),
    frameBytes: [40, 40, 90, 90, 100_000][nextBelow(random, 5)] ?? 0,
    answersMax: calm ? 8 : ([2, 2, 3, 4][nextBelow(random, 4)] ?? 2),
    retryMs: calm ? 1_000 : between(200, 1_000),
    retriesMax: 1 + nextBelow(random, 4),
    cacheRowsMax: [1, 3, 8, 1000][nextBelow(random, 4)] ?? 1,
    cacheAgeMs: between(50, 5_000),
    // Looked at, not drawn: a seed keeps the rest of its world.
    precision: random.a % 4 === 0 ? "f16" : random.a % 8 === 3 ? "i8" : "f32",
    compiled: (random.a >>> 2) % 8 === 0,
    warmRows: (random.a >>> 25) % 2 === 0 ? 1 + ((random.a >>> 26) % 4) : 0,
    ...drawBudget(random.a >>> 5, keys),
    ...drawRoles(createRandom(random.b), { calm, nodes, serving, graves }),
    ...drawUrgent(createRandom(random.c)),
    ...drawStanding(createRandom(random.d), { calm, lossRate: inGraves(0, lossRate) }),
    ...drawPromotions(createRandom(random.a ^ random.d), { calm, nodes, serving }),
    ...drawUrging(createRandom(random.a ^ random.b ^ random.c ^ random.d)),
    ...drawPatience(createRandom(random.a ^ random.c), { calm, lossRate, keys }),
  };
}

/** Of its own chance: a seed keeps the rest of its world. */
function drawLeaders(
  random: Random,
  { calm, nodes }: { readonly calm: boolean; readonly nodes: number },
): Pick<Knobs, "leaders" | "leaseMs" | "storeLossRate" | "patienceMs"> {
  const kind = nextFloat(random);
  const rare = kind < 0.7 ? "unknown" : kind < 0.85 ? "everybody" : "nobody";
  return {
    leaders: nodes < 3 || kind < 0.2 ? "none" : kind < 0.65 ? "leased" : rare,
    leaseMs: 800 + nextFloat(random) * 2_200,
    storeLossRate: calm || nextFloat(random) < 0.5 ? 0 : nextFloat(random) * 0.3,
    patienceMs: 300 + nextFloat(random) * 2_700,
  };
}

/** Who leads, and whether the first node pulls from nobody: then it cannot pull for others. Nothing is settled where others write as well. */
function drawRoles(
  random: Random,
  { calm, nodes, serving, graves }: Pick<Knobs, "calm" | "nodes" | "serving"> & { readonly graves: boolean },
): ReturnType<typeof drawLeaders> & Pick<Knobs, "aloof" | "sole"> {
  const leaders = drawLeaders(random, { calm, nodes });
  const sole = nextFloat(random) < 0.5;
  const mayBe = leaders.leaders === "none" && nodes > 2 && !serving;
  return { ...leaders, aloof: mayBe && (sole || !graves), sole: mayBe && sole };
}

/** Of one world in eight: how many rows a shard may hold. Looked at, not drawn. */
function drawBudget(word: number, keys: number): Pick<Knobs, "evictEveryMs" | "rowsMax" | "evictRowsMax"> {
  return {
    evictEveryMs: word % 8 === 0 ? 100 + ((word >>> 3) % 900) : 0,
    rowsMax: 1 + ((word >>> 13) % keys),
    evictRowsMax: [1, 2, 1000, 1000][(word >>> 17) % 4] ?? 1,
  };
}

/** What urgent rows and rows left early meet, from a generator of its own: a seed keeps the rest of its world. */
function drawUrgent(random: Random): Pick<Knobs, "urgentRate" | "urgentRowsMax" | "urgentHoldMs" | "orphanMs"> {
  return {
    urgentRate: [0, 0.1, 0.5, 1][nextBelow(random, 4)] ?? 0,
    urgentRowsMax: [1, 2, 4, 1000][nextBelow(random, 4)] ?? 1,
    urgentHoldMs: 10 + nextBelow(random, 590),
    orphanMs: 200 + nextBelow(random, 2_800),
  };
}

/** Of pulls that stand, and of links' windows, from a generator of its own. */
function drawStanding(
  random: Random,
  { calm, lossRate }: Pick<Knobs, "calm" | "lossRate">,
): Pick<Knobs, "standMs" | "standPatienceMs" | "framesMin"> {
  const framesMin = 1 + nextBelow(random, 4);
  return {
    standMs: nextBelow(random, 6) === 0 ? 0 : 300 + nextBelow(random, 4_000),
    standPatienceMs: calm ? 1_000 : 50 + nextBelow(random, 950),
    // Where many messages are lost, as on no real link, a pull with one frame in flight might never come to its end.
    framesMin: lossRate > 0.05 ? 4 : framesMin,
  };
}

/** A world in which training moves, whatever else was drawn of who writes. */
function drawPromotions(
  random: Random,
  { calm, nodes, serving }: Pick<Knobs, "calm" | "nodes" | "serving">,
): Pick<Knobs, "promoteEveryMs"> & Partial<Pick<Knobs, "leaders" | "aloof" | "sole">> {
  if (calm || serving || nodes < 3 || nextFloat(random) >= 0.12) return { promoteEveryMs: 0 };
  return { promoteEveryMs: 1_500 + nextFloat(random) * 6_000, leaders: "none", aloof: true, sole: true };
}

/** Of one world in eight, from a generator of its own: somebody takes a while to tell which rows are urgent. */
function drawUrging(random: Random): Pick<Knobs, "urgeMs"> {
  return { urgeMs: nextFloat(random) < 0.125 ? 5 + nextFloat(random) * 1_000 : 0 };
}

/**
 * Of about one world in five, from a generator of its own: answers are closed soon after they were last asked for, half of the shards are listed at once, and a whole
 * shard takes many frames.
 */
function drawPatience(
  random: Random,
  { calm, lossRate, keys }: Pick<Knobs, "calm" | "lossRate" | "keys">,
): Pick<Knobs, "answerIdleMs" | "changesMax" | "keys"> {
  const { answerIdleMs } = SYNC_LIMITS;
  // Where many messages are lost, askers ask again later than that, and long answers that take each other's places might never end.
  if (calm || lossRate > 0 || nextFloat(random) >= 0.5) {
    return { answerIdleMs, changesMax: POLL_LIMITS.changesMax, keys };
  }
  return { answerIdleMs: 1_000 + nextBelow(random, 4_000), changesMax: 1, keys: 16 + nextBelow(random, 48) };
}

/** Whom a node polls. */
export function peersOf({ nodes, ring, serving, aloof }: Knobs, index: number): number[] {
  if (aloof && index === 0) return [];
  const all = Array.from({ length: nodes }, (_, peer) => peer).filter((peer) => peer !== index);
  // Full replicas pull only from full ones; these alone form the ring.
  const last = serving ? nodes - 1 : nodes;
  const useful = all.filter((peer) => peer < last);
  if (!ring || index >= last) return useful;
  return useful.filter((peer) => (peer + 1) % last === index || (index + 1) % last === peer);
}
