import { type Costs } from "./costs.ts";
import { EKKO_RATES } from "./links.ts";
import { PLACES } from "./places.ts";
import { runPullWorld } from "./pull-world.ts";

/** How many replicas there are, how they share the shards, and how much changes. */
export interface GrowthPlan {
  readonly costs: Costs;
  readonly seed: number;
  /** Machines are in groups, in ten regions each; a group's machines hold the same shards. */
  readonly groups: number;
  /** So many of them are simulated: they do not touch each other. */
  readonly simulated: number;
  readonly machinesPerRegion: number;
  /** Over all groups. */
  readonly shards: number;
  /** Over all groups; each change is of some twenty rows. */
  readonly shardsChangedPerSecond: number;
  readonly forMs: number;
  readonly signal: AbortSignal;
}

/** What one machine spends in a second, polling and pulling. */
export interface Growth {
  readonly replicas: number;
  readonly shardsPerReplica: number;
  /** The mean over all machines but the primaries; a primary's own. */
  readonly bytesPerSecond: number;
  readonly cpuMsPerSecond: number;
  readonly primaryCpuMsPerSecond: number;
}

const UPDATES_PER_CHANGE = 20;
/** By then every machine knows its neighbours' shards. */
const START_MS = 3_000;

/** Simulates groups, each with its own seed. Latencies do not matter here: bytes and charged CPU do. */
export async function measureGrowth(plan: GrowthPlan): Promise<Growth> {
  const { groups, simulated, machinesPerRegion, forMs, costs, signal } = plan;
  const shardsPerReplica = Math.max(1, Math.round(plan.shards / groups));
  const changed = Math.round(plan.shardsChangedPerSecond / groups);
  const shards = Math.max(1, Math.min(changed, shardsPerReplica));
  const machines = PLACES.length * machinesPerRegion;
  const rounds = changed === 0 ? 0 : forMs / 1_000;
  let [bytes, cpuMs, primaryCpuMs] = [0, 0, 0];
  for (let group = 0; group < simulated && !signal.aborted; group += 1) {
    const { links, busyMs } = await runPullWorld({
      links: { places: PLACES, machinesPerRegion, ...EKKO_RATES },
      costs,
      parts: { cache: true, versions: true, leaders: true, standing: true },
      everyone: false,
      roundsBefore: 0,
      updates: {
        seed: plan.seed * 1_000 + group,
        keys: shards * UPDATES_PER_CHANGE * 4,
        shards,
        updatesPerRound: changed * UPDATES_PER_CHANGE,
        roundEveryMs: 1_000,
        rounds,
      },
      startMs: START_MS,
      untilMs: START_MS + forMs,
      toTheEnd: true,
      signal,
      shardsTotal: shards,
      shardsListed: shardsPerReplica,
      rowsPerShard: 1,
      pullsMax: 64,
      gapMs: 50,
    });
    bytes += links.bytes.reduce((sum, carried) => sum + carried, 0);
    const [primary = 0, ...others] = busyMs;
    primaryCpuMs += primary;
    cpuMs += others.reduce((sum, busy) => sum + busy, 0);
  }
  const seconds = forMs / 1_000;
  return {
    replicas: groups * machines,
    shardsPerReplica,
    bytesPerSecond: bytes / seconds / (simulated * machines),
    cpuMsPerSecond: cpuMs / seconds / (simulated * (machines - 1)),
    primaryCpuMsPerSecond: primaryCpuMs / seconds / simulated,
  };
}
