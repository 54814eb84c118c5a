/*
 * Which faults hit what, when and for how long: a function of the seed alone. What the machine makes of it in time is its own affair, so a
 * run that fails is repeated in kind and not in detail.
 */
import { createRandom, nextBelow, type Random } from "../../protocols/random.ts";
import { type Slowness, type Way } from "./link.ts";

/** What goes wrong. Nodes are named `region/node`. */
export type Harm =
  /** The process ends with SIGKILL and starts again after the fault. */
  | { readonly kind: "kill"; readonly node: string }
  /** The nats-server that the node owns, with SIGKILL; its owner starts it again. */
  | { readonly kind: "kill-server"; readonly node: string }
  /** Both at once. */
  | { readonly kind: "kill-both"; readonly node: string }
  /** SIGSTOP, then SIGCONT. */
  | { readonly kind: "suspend"; readonly node: string }
  /** Connections between two regions break, and none is made. */
  | { readonly kind: "cut"; readonly between: Pair }
  /** Nothing gets from one region to another, in whichever connection; nobody is told. */
  | { readonly kind: "one-way"; readonly between: Pair }
  /** The same in both directions. */
  | { readonly kind: "black-hole"; readonly between: Pair }
  | { readonly kind: "slow"; readonly between: Pair; readonly slowness: Slowness }
  /** Slow, and its connections break again and again: what is on its way is lost. */
  | { readonly kind: "flap"; readonly between: Pair; readonly slowness: Slowness; readonly everyMs: number }
  /** `freshet promote`: this region is to train, or where it does, the next one. Over once it trains, or after the fault's time. */
  | { readonly kind: "promote"; readonly region: string }
  /** The same with `--force`, behind a cut that leaves the region that trains alone for as long as the fault lasts. */
  | { readonly kind: "force"; readonly region: string }
  /** The wall clock of a node is off. */
  | { readonly kind: "clock"; readonly node: string; readonly offsetMs: number };

/** Two regions; for one direction, from the first to the second. */
export type Pair = readonly [string, string];

export interface Fault {
  readonly harm: Harm;
  /** After the round's beginning. */
  readonly atMs: number;
  readonly forMs: number;
}

/** Faults that overlap. After all have ended everything must become equal. */
export type Round = readonly Fault[];

/** What there is to harm. */
export interface Targets {
  readonly regions: readonly string[];
  /** All nodes, and those that own a nats-server. */
  readonly nodes: readonly string[];
  readonly owners: readonly string[];
}

const KINDS = [
  ...(["kill", "kill-server", "kill-both", "suspend"] as const),
  ...(["cut", "one-way", "black-hole", "slow", "flap", "clock"] as const),
  ...(["promote", "force"] as const),
];
const FAULTS_MAX = 3;
const AT_MS_MAX = 3_000;
const FOR_MS = { min: 200, max: 12_000 };
/** Who does not answer is found out in seconds. */
const FORCE_MS_MIN = 6_000;
const HOUR_MS = 3_600_000;

/** Rounds for ever. Every kind comes before one comes again. */
export function* rounds(seed: number, targets: Targets): Generator<Round, never> {
  const random = createRandom(seed);
  const kinds = deal(random);
  for (;;) {
    const count = 1 + nextBelow(random, FAULTS_MAX);
    yield Array.from({ length: count }, () => {
      const harm = drawHarm(kinds.next().value, { random, targets });
      const [atMs, forMs] = [nextBelow(random, AT_MS_MAX), FOR_MS.min + nextBelow(random, FOR_MS.max - FOR_MS.min)];
      return { harm, atMs, forMs: harm.kind === "force" ? Math.max(FORCE_MS_MIN, forMs) : forMs };
    });
  }
}

/** In words, for a line of the log. */
export function describeHarm(harm: Harm): string {
  switch (harm.kind) {
    case "kill":
      return `kill -9 of ${harm.node}`;
    case "kill-server":
      return `kill -9 of the nats-server of ${harm.node}`;
    case "kill-both":
      return `kill -9 of ${harm.node} and its nats-server`;
    case "suspend":
      return `SIGSTOP of ${harm.node}`;
    case "cut":
      return `cut between ${harm.between.join(" and ")}`;
    case "one-way":
      return `nothing gets from ${harm.between.join(" to ")}`;
    case "black-hole":
      return `silence between ${harm.between.join(" and ")}`;
    case "slow":
      return `slow between ${harm.between.join(" and ")}: ${harm.slowness.delayMs} ms, ${Math.round(harm.slowness.bytesPerSecond / 1000)} kB/s`;
    case "flap":
      return `connections between ${harm.between.join(" and ")} break every ${(harm.everyMs / 1000).toFixed(1)} s`;
    case "promote":
      return `training is to move to ${harm.region}`;
    case "force":
      return `the region that trains is cut off, and training taken to ${harm.region} by force`;
    case "clock":
      return `clock of ${harm.node} ${harm.offsetMs > 0 ? "ahead" : "back"} by ${(Math.abs(harm.offsetMs) / 1000).toFixed(1)} s`;
  }
}

/** Which directions of a region's own links to `to` a fault between two regions stops; none when it is not between these. */
export function stalledWays(harm: Harm, { from, to }: { readonly from: string; readonly to: string }): Way[] {
  if (harm.kind !== "one-way" && harm.kind !== "black-hole") return [];
  const [first, second] = harm.between;
  const isBoth = harm.kind === "black-hole";
  if (from === first && to === second) return isBoth ? ["out", "back"] : ["out"];
  if (from === second && to === first) return isBoth ? ["out", "back"] : ["back"];
  return [];
}

function drawHarm(kind: Harm["kind"], of: { readonly random: Random; readonly targets: Targets }): Harm {
  const { random, targets } = of;
  switch (kind) {
    case "kill":
    case "suspend":
      return { kind, node: pick(random, targets.nodes) };
    case "kill-server":
    case "kill-both":
      return { kind, node: pick(random, targets.owners) };
    case "cut":
    case "one-way":
    case "black-hole":
      return { kind, between: drawPair(random, targets.regions) };
    case "slow": {
      const slowness = { delayMs: 5 + nextBelow(random, 200), bytesPerSecond: 5_000 + nextBelow(random, 100_000) };
      return { kind, between: drawPair(random, targets.regions), slowness };
    }
    case "flap": {
      const slowness = { delayMs: 20 + nextBelow(random, 150), bytesPerSecond: 50_000 };
      const everyMs = 300 + nextBelow(random, 1_200);
      return { kind, between: drawPair(random, targets.regions), slowness, everyMs };
    }
    case "promote":
    case "force":
      return { kind, region: pick(random, targets.regions) };
    case "clock": {
      const sign = nextBelow(random, 2) === 0 ? 1 : -1;
      // Half of them small: a leap within what timers and leases count.
      const awayMs = nextBelow(random, 2) === 0 ? 100 + nextBelow(random, 10_000) : nextBelow(random, HOUR_MS);
      return { kind, node: pick(random, targets.nodes), offsetMs: sign * awayMs };
    }
  }
}

function drawPair(random: Random, regions: readonly string[]): Pair {
  const first = pick(random, regions);
  return [
    first,
    pick(
      random,
      regions.filter((region) => region !== first),
    ),
  ];
}

function pick(random: Random, from: readonly string[]): string {
  return from[nextBelow(random, from.length)] ?? "";
}

function* deal(random: Random): Generator<Harm["kind"], never> {
  for (;;) {
    const left = [...KINDS];
    while (left.length > 0) yield* left.splice(nextBelow(random, left.length), 1);
  }
}
