import { type BenchFigure } from "../bench-figure.ts";
import { type Costs } from "./costs.ts";
import { type GrowthPlan, measureGrowth } from "./growth.ts";

type Case = Pick<GrowthPlan, "groups" | "simulated" | "machinesPerRegion" | "shards" | "shardsChangedPerSecond">;

/** Replicas and shards together, at one rate of change a shard; shards alone, at one rate of change; then replicas of the same shards. */
const CASES: readonly Case[] = [
  { groups: 1, simulated: 1, machinesPerRegion: 3, shards: 3_000, shardsChangedPerSecond: 30 },
  { groups: 10, simulated: 5, machinesPerRegion: 3, shards: 30_000, shardsChangedPerSecond: 300 },
  { groups: 33, simulated: 33, machinesPerRegion: 3, shards: 100_000, shardsChangedPerSecond: 1_000 },
  { groups: 33, simulated: 3, machinesPerRegion: 3, shards: 10_000, shardsChangedPerSecond: 1_000 },
  { groups: 33, simulated: 3, machinesPerRegion: 3, shards: 100_000, shardsChangedPerSecond: 10_000 },
  { groups: 33, simulated: 3, machinesPerRegion: 3, shards: 100_000, shardsChangedPerSecond: 0 },
  { groups: 1, simulated: 1, machinesPerRegion: 1, shards: 3_000, shardsChangedPerSecond: 30 },
  { groups: 1, simulated: 1, machinesPerRegion: 10, shards: 3_000, shardsChangedPerSecond: 30 },
  { groups: 1, simulated: 1, machinesPerRegion: 25, shards: 3_000, shardsChangedPerSecond: 30 },
];
const FOR_MS = 3_000;
/** An idle link speaks once in a poll's wait: what is idle is watched for longer. */
const IDLE_FOR_MS = 20_000;

/** How bytes and CPU of polling and pulling grow with replicas and shards, each case as three figures. */
export async function* describeGrowth(options: {
  readonly costs: Costs;
  readonly seed: number;
  readonly quick: boolean;
  readonly signal: AbortSignal;
  readonly say: (what: string) => void;
}): AsyncGenerator<BenchFigure> {
  const { costs, seed, quick, signal, say } = options;
  for (const { simulated, ...rest } of CASES) {
    const { groups, machinesPerRegion, shards, shardsChangedPerSecond } = rest;
    const name = `${groups * machinesPerRegion * 10} replicas, ${shards} shards, ${shardsChangedPerSecond} changed/s, ${machinesPerRegion * 10} of each`;
    say(name);
    const growth = await measureGrowth({
      ...rest,
      simulated: quick ? 1 : simulated,
      costs,
      seed,
      forMs: shardsChangedPerSecond === 0 ? IDLE_FOR_MS : FOR_MS,
      signal,
    });
    if (signal.aborted) return;
    yield { bench: "wan", figure: `${name}: sent by a replica`, value: growth.bytesPerSecond / 1_000, unit: "kB/s" };
    yield { bench: "wan", figure: `${name}: CPU of a replica`, value: growth.cpuMsPerSecond, unit: "ms/s" };
    yield { bench: "wan", figure: `${name}: CPU of a primary`, value: growth.primaryCpuMsPerSecond, unit: "ms/s" };
  }
}
