import { POLL_LIMITS } from "../../../protocols/limits.ts";
import { type Costs } from "./costs.ts";
import { EKKO_RATES, type LinkPlan, type Links } from "./links.ts";
import { PLACES } from "./places.ts";
import { type Parts, type PullPlan, type WorldPlan } from "./pull-world.ts";

/** One step of the ablation, with what Ekko's paper gives for it at ten regions, seconds, where it has it. */
export interface Step {
  readonly name: string;
  readonly parts: Parts;
  readonly ekkoSeconds?: number;
}

export const STEPS: readonly Step[] = [
  { name: "version vectors only", parts: partsOf(), ekkoSeconds: 76.3 },
  { name: "+ update cache", parts: partsOf("cache"), ekkoSeconds: 27.4 },
  { name: "+ shard versions", parts: partsOf("cache", "versions"), ekkoSeconds: 6 },
  { name: "+ regional leaders", parts: partsOf("cache", "versions", "leaders"), ekkoSeconds: 2.6 },
  { name: "+ standing pulls", parts: partsOf("cache", "versions", "leaders", "standing") },
];

function partsOf(...on: readonly (keyof Parts)[]): Parts {
  const [cache, versions] = [on.includes("cache"), on.includes("versions")];
  return { cache, versions, leaders: on.includes("leaders"), standing: on.includes("standing") };
}

/** What is simulated: a model of 10^9 rows in 10^4 shards, of which some change all the time and the others do not. */
export const MODEL = { shardsTotal: 10_000, rowsPerShard: 100_000, shardsChanging: 250, keysChanging: 50_000 } as const;
const ROUND_MS = 1_000;
const MACHINES_PER_REGION = 3;
/** Before the first round: passes over all shards are under way by then, at different places. */
const WARM_UP_MS = 40_000;
const UNTIL_MS = 3_600_000;
const ROUNDS_MAX = 45;
/** A shard that changes for the first time is listed, asked for and sent; then pulls stand. */
const ROUNDS_BEFORE = 2;

/** How one run is made. */
export interface RunOptions {
  readonly regions: number;
  readonly costs: Costs;
  readonly seed: number;
  readonly updatesPerRound: number;
  readonly signal: AbortSignal;
  /** All links between regions alike. */
  readonly even?: boolean;
  /** Rounds that are not counted. */
  readonly roundsBefore?: number;
  /** Milliseconds of silence before the first round that is counted. */
  readonly pauseMs?: number;
  /** Instead of one each second. */
  readonly roundEveryMs?: number;
}

/** Links, updates and costs that all ways to distribute are given. */
export function planWorld(options: RunOptions, rounds: number): WorldPlan {
  const { regions, costs, seed, updatesPerRound, signal, even = false, roundEveryMs = ROUND_MS } = options;
  const links: LinkPlan = {
    places: PLACES.slice(0, regions),
    machinesPerRegion: MACHINES_PER_REGION,
    ...EKKO_RATES,
    ...(even && { slowBytesPerSecond: EKKO_RATES.linkBytesPerSecond }),
  };
  const { keysChanging: keys, shardsChanging: shards } = MODEL;
  const updates = { seed, keys, shards, updatesPerRound, roundEveryMs, rounds };
  return { links, costs, updates, startMs: 1_000, untilMs: UNTIL_MS, signal };
}

/** A run of the protocol with some of its parts. Without shard versions a run is as long as two passes over all shards. */
export function planStep(parts: Parts, options: RunOptions & { readonly rounds: number }): PullPlan {
  const rounds = parts.versions ? options.rounds : Math.max(options.rounds, passRounds(parts, options));
  const roundsBefore = parts.versions ? (options.roundsBefore ?? ROUNDS_BEFORE) : 0;
  const world = planWorld(options, rounds + roundsBefore);
  return {
    ...world,
    parts,
    startMs: parts.versions ? world.startMs : WARM_UP_MS,
    everyone: false,
    roundsBefore,
    ...(options.pauseMs !== undefined && { pauseMs: options.pauseMs }),
    toTheEnd: false,
    shardsTotal: MODEL.shardsTotal,
    shardsListed: MODEL.shardsChanging,
    rowsPerShard: MODEL.rowsPerShard,
    pullsMax: POLL_LIMITS.pullsMax,
    gapMs: POLL_LIMITS.gapMs,
  };
}

/** How many rounds pass while the primary answers a pass of every replica, twice. */
function passRounds({ cache }: Parts, { regions, costs }: RunOptions): number {
  const scanned = cache ? 0 : MODEL.shardsChanging * MODEL.rowsPerShard * costs.scanRow;
  const passMicros = (regions * MACHINES_PER_REGION - 1) * (scanned + MODEL.shardsTotal * (costs.answer + costs.hop));
  return Math.min(ROUNDS_MAX, Math.ceil((2 * passMicros) / 1_000 / ROUND_MS));
}

/** Least time in which a region could have its part of a round: one way, and its bytes through the link. */
export function leastMs(
  links: Links,
  { region, rounds }: { readonly region: number; readonly rounds: number },
): number {
  const bytes = (links.bytes[region] ?? 0) / rounds;
  return links.delayMs(0, region) + bytes / links.bytesPerMs(0, region);
}
