import { describe, expect, test } from "vitest";
import { STEPS } from "./bench/wan/ablation.ts";
import { type Costs } from "./bench/wan/costs.ts";
import { type LinkPlan, Links } from "./bench/wan/links.ts";
import { ENVELOPE_BYTES } from "./bench/wan/machine.ts";
import { PLACES } from "./bench/wan/places.ts";
import { type PullPlan, runPullWorld, type WorldOutcome, type WorldPlan } from "./bench/wan/pull-world.ts";
import { ROW_BYTES, runBroadcast, runChain, runTwoPhasePush } from "./bench/wan/pushes.ts";

const FREE: Costs = {
  scanRow: 0,
  writeRow: 0,
  packKb: 0,
  mergeKb: 0,
  ask: 0,
  answer: 0,
  apply: 0,
  poll: 0,
  listShard: 0,
  noteShard: 0,
  hop: 0,
};
/** About what they are on a machine of today; fixed, so that outcomes are. */
const COSTS: Costs = {
  scanRow: 0.02,
  writeRow: 2,
  packKb: 8,
  mergeKb: 20,
  ask: 2,
  answer: 12,
  apply: 8,
  poll: 2,
  listShard: 0.2,
  noteShard: 1,
  hop: 1,
};
/** Fast machines; links of 1,000 bytes a millisecond, the slow one of 500. */
const LINKS: LinkPlan = {
  places: PLACES.slice(0, 3),
  machinesPerRegion: 1,
  machineBytesPerSecond: 1e12,
  linkBytesPerSecond: 1e6,
  slowBytesPerSecond: 5e5,
};
const ONE_ROUND = { seed: 1, keys: 50, shards: 1, updatesPerRound: 1_000, roundEveryMs: 1_000, rounds: 1 };

function plan(links: LinkPlan, more: Partial<WorldPlan> = {}): WorldPlan {
  return {
    links,
    costs: FREE,
    updates: ONE_ROUND,
    startMs: 0,
    untilMs: Infinity,
    signal: new AbortController().signal,
    ...more,
  };
}

function p50({ sightings }: WorldOutcome): number {
  return sightings.everywhere.quantile(0.5);
}

describe("models of other ways", () => {
  const pair = { ...LINKS, places: PLACES.slice(0, 2) };
  const delayMs = new Links(pair).delayMs(0, 1);
  const bytes = ONE_ROUND.updatesPerRound * ROW_BYTES + ENVELOPE_BYTES;

  test("a two-phase push is the updates one way, an answer, and a word to show them", async () => {
    const outcome = await runTwoPhasePush({ ...plan(pair), coalesced: false });
    const words = 2 * (40 + ENVELOPE_BYTES);
    expect(p50(outcome)).toBeCloseTo(3 * delayMs + (bytes + words) / 500, 2);
    expect(outcome.links.bytesAcross()).toBe(bytes + words);
  });

  test("a shard's next two-phase push waits for the one that runs, and takes all that came meanwhile", async () => {
    const updates = { ...ONE_ROUND, roundEveryMs: 1, rounds: 3 };
    const outcome = await runTwoPhasePush({ ...plan(pair, { updates }), coalesced: false });
    // Three messages with updates would be one envelope more.
    expect(outcome.links.bytesAcross()).toBe(3_000 * ROW_BYTES + 2 * (3 * ENVELOPE_BYTES + 2 * 40));
    expect(outcome.sightings.everywhere.quantile(1)).toBeGreaterThan(5 * delayMs);
  });

  test("each row once is fewer bytes, never more than there are keys", async () => {
    const outcome = await runTwoPhasePush({ ...plan(pair), coalesced: true });
    expect(outcome.links.bytesAcross()).toBeLessThanOrEqual(50 * ROW_BYTES + 3 * ENVELOPE_BYTES + 80);
  });

  test("a chain is the sum of its hops, nearest first, and carries each update once a hop", async () => {
    const outcome = await runChain({ ...plan(LINKS), coalesced: false });
    const links = new Links(LINKS);
    const [first, second] = links.delayMs(0, 1) < links.delayMs(0, 2) ? [1, 2] : [2, 1];
    const hops = [0, first, second];
    const ms = hops.slice(1).reduce((sum, to, at) => {
      const from = hops[at] ?? 0;
      return sum + links.delayMs(from, to) + bytes / links.bytesPerMs(from, to);
    }, 0);
    expect(p50(outcome)).toBeCloseTo(ms, 2);
    expect(outcome.links.bytesAcross()).toBe(2 * bytes);
  });

  test("a broadcast is the whole model through the link, and what changes meanwhile waits for the next", async () => {
    const rows = 1e7;
    const updates = { ...ONE_ROUND, rounds: 2 };
    const { sightings } = await runBroadcast({ ...plan(pair, { updates }), rows });
    const onceMs = (rows * ROW_BYTES) / 500 + delayMs;
    expect(sightings.everywhere.quantile(0.5) / onceMs).toBeCloseTo(1, 3);
    expect(sightings.everywhere.quantile(1) / (2 * onceMs - 1_000)).toBeCloseTo(1, 3);
  });

  test("a two-phase push is as slow everywhere as its slowest link", async () => {
    const [slow, even] = await Promise.all(
      [1e5, 1e6].map((slowBytesPerSecond) =>
        runTwoPhasePush({ ...plan({ ...LINKS, slowBytesPerSecond }), coalesced: false }),
      ),
    );
    // The slow link takes 760 ms for what the other takes 76 ms; the other is 73 ms longer, there and back.
    const [before, after] = [even, slow].map((outcome) => outcome?.sightings.byRegion[2]?.quantile(1) ?? Number.NaN);
    expect((after ?? 0) - (before ?? 0)).toBeGreaterThan(500);
  });
});

describe("the protocol's own world", () => {
  function pullPlan(more: Partial<PullPlan>): PullPlan {
    return {
      ...plan({ ...LINKS, machinesPerRegion: 3 }),
      parts: { cache: true, versions: true, leaders: true, standing: true },
      everyone: false,
      roundsBefore: 0,
      toTheEnd: false,
      shardsTotal: 20,
      shardsListed: 20,
      rowsPerShard: 1_000,
      pullsMax: 64,
      gapMs: 50,
      startMs: 500,
      updates: { seed: 2, keys: 400, shards: 4, updatesPerRound: 300, roundEveryMs: 1_000, rounds: 2 },
      ...more,
    };
  }

  test("a pull is listed, asked and sent: three crossings and its bytes, and the region's others follow within it", async () => {
    const links = { ...LINKS, places: PLACES.slice(0, 2) };
    const outcome = await runPullWorld(pullPlan({ links, updates: { ...ONE_ROUND, keys: 400 } }));
    const least = 3 * outcome.links.delayMs(0, 1) + (outcome.links.bytes[1] ?? 0) / 500;
    expect(p50(outcome)).toBeGreaterThan(3 * outcome.links.delayMs(0, 1));
    expect(p50(outcome)).toBeLessThan(least + 4);
  });

  test("where pulls stand, what changes is there after one crossing and its bytes", async () => {
    const links = { ...LINKS, places: PLACES.slice(0, 2) };
    const updates = { ...ONE_ROUND, keys: 400, rounds: 3 };
    const { links: carried, sightings } = await runPullWorld(pullPlan({ links, updates, roundsBefore: 2 }));
    const least = carried.delayMs(0, 1) + (carried.bytes[1] ?? 0) / 500;
    const ms = sightings.byRegion[1]?.quantile(0.5) ?? Number.NaN;
    expect(ms).toBeGreaterThan(carried.delayMs(0, 1));
    expect(ms).toBeLessThan(least + 4);
  });

  test("each part of the protocol pays, leaders in bytes: one copy of a region's three", async () => {
    const costs = COSTS;
    const updates = { seed: 2, keys: 4_000, shards: 4, updatesPerRound: 3_000, roundEveryMs: 1_000, rounds: 4 };
    const outcomes = await Promise.all(
      STEPS.map(({ parts }) =>
        runPullWorld(pullPlan({ costs, parts, updates, rowsPerShard: 500_000, shardsTotal: 20_000 })),
      ),
    );
    const [vectors, cache, versions, leaders, standing] = outcomes;
    if (vectors === undefined || cache === undefined || versions === undefined || leaders === undefined) {
      throw new TypeError("A step is missing");
    }
    if (standing === undefined) throw new TypeError("The last step is missing");
    expect(p50(standing)).toBeLessThan(p50(leaders));
    expect(p50(cache)).toBeLessThan(p50(vectors));
    expect(p50(versions)).toBeLessThan(p50(cache));
    expect(leaders.links.bytesAcross()).toBeLessThan(0.5 * versions.links.bytesAcross());
    for (const { sightings } of outcomes) expect([sightings.unseen, sightings.everywhere.count]).toEqual([0, 12_000]);
  });

  test("a slow link slows only its own region", async () => {
    const costs = COSTS;
    const updates = { seed: 2, keys: 4_000, shards: 4, updatesPerRound: 3_000, roundEveryMs: 1_000, rounds: 2 };
    const slow = await runPullWorld(pullPlan({ costs, updates }));
    const links = { ...LINKS, machinesPerRegion: 3, slowBytesPerSecond: 1e6 };
    const even = await runPullWorld(pullPlan({ costs, updates, links }));
    const [behind, other] = [1, 2].map((region) =>
      [slow, even].map(({ sightings }) => sightings.byRegion[region]?.quantile(0.99) ?? 0),
    );
    expect(behind?.[0]).toBeGreaterThan((behind?.[1] ?? 0) + 50);
    expect((other?.[0] ?? 0) / (other?.[1] ?? 1)).toBeCloseTo(1, 1);
  });

  test("a world is the same each time, and another for another seed", async () => {
    async function outcomeOf(seed: number): Promise<readonly number[]> {
      const { updates } = pullPlan({});
      const { sightings, links, busyMs } = await runPullWorld(
        pullPlan({ costs: COSTS, updates: { ...updates, seed } }),
      );
      return [sightings.everywhere.quantile(0.5), sightings.everywhere.quantile(1), links.bytesAcross(), ...busyMs];
    }
    const five = await outcomeOf(5);
    expect(await outcomeOf(5)).toEqual(five);
    expect(await outcomeOf(6)).not.toEqual(five);
  });

  test("shards that never change cost nothing more, however many they are", async () => {
    const few = await runPullWorld(pullPlan({ costs: COSTS, startMs: 3_000 }));
    const many = await runPullWorld(pullPlan({ costs: COSTS, startMs: 3_000, shardsListed: 2_000 }));
    expect(many.busyMs).toEqual(few.busyMs);
    // Counted change numbers have more digits.
    expect(many.links.bytesAcross() / few.links.bytesAcross()).toBeLessThan(1.02);
  });
});
