import { expect, test } from "vitest";
import { Clock, Core } from "./bench/wan/clock.ts";
import { Latencies, Sightings } from "./bench/wan/latencies.ts";
import { type LinkPlan, Links } from "./bench/wan/links.ts";
import { delayMsBetween, PLACES } from "./bench/wan/places.ts";
import { drawRounds } from "./bench/wan/updates.ts";

/** Three regions of two machines: a machine sends 1,000 bytes a millisecond, a link 100, the slow one 50. */
const PLAN: LinkPlan = {
  places: PLACES.slice(0, 3),
  machinesPerRegion: 2,
  machineBytesPerSecond: 1_000_000,
  linkBytesPerSecond: 100_000,
  slowBytesPerSecond: 50_000,
};

test("a message across regions takes its bytes through the machine, then the link, then the delay", () => {
  const links = new Links(PLAN);
  expect(links.send({ from: 0, to: 4, bytes: 1_000, nowMs: 0 })).toBeCloseTo(1 + 10 + links.delayMs(0, 2), 9);
  expect(links.send({ from: 0, to: 2, bytes: 1_000, nowMs: 50 })).toBeCloseTo(50 + 1 + 20 + links.delayMs(0, 1), 9);
  expect(links.send({ from: 4, to: 2, bytes: 1_000, nowMs: 100 })).toBeCloseTo(100 + 1 + 10 + links.delayMs(2, 1), 9);
  expect(links.bytesAcross()).toBe(3_000);
});

test("a link carries one message after the other, whichever machine sent it, and delays none of another link", () => {
  const links = new Links(PLAN);
  const first = links.send({ from: 0, to: 4, bytes: 1_000, nowMs: 0 });
  expect(links.send({ from: 1, to: 5, bytes: 1_000, nowMs: 0 })).toBeCloseTo(first + 10, 9);
  // Back, and to another region, the links are free.
  expect(links.send({ from: 4, to: 0, bytes: 1_000, nowMs: 0 })).toBeCloseTo(first, 9);
  expect(links.send({ from: 2, to: 4, bytes: 1_000, nowMs: 0 })).toBeCloseTo(11 + links.delayMs(1, 2), 9);
});

test("within a region only the machine's own rate counts, and nothing is counted as crossing", () => {
  const links = new Links(PLAN);
  const first = links.send({ from: 0, to: 1, bytes: 5_000, nowMs: 0 });
  expect(first).toBeCloseTo(5 + links.delayMs(0, 0), 9);
  expect(links.send({ from: 0, to: 1, bytes: 5_000, nowMs: 0 })).toBeCloseTo(first + 5, 9);
  expect(links.bytesAcross()).toBe(0);
});

test("delays are those of cables between the places", () => {
  const [oregon, frankfurt, singapore] = PLACES;
  if (oregon === undefined || frankfurt === undefined || singapore === undefined) throw new TypeError("No places");
  expect(delayMsBetween(oregon, frankfurt)).toBeGreaterThan(60);
  expect(delayMsBetween(oregon, frankfurt)).toBeLessThan(70);
  expect(delayMsBetween(frankfurt, oregon)).toBeCloseTo(delayMsBetween(oregon, frankfurt), 9);
  expect(delayMsBetween(oregon, singapore)).toBeGreaterThan(delayMsBetween(oregon, frankfurt));
});

test("a core does one task after the other, and what a task sends leaves when it is paid for", async () => {
  const clock = new Clock();
  const core = new Core(clock);
  const seen: [string, number][] = [];
  function task(name: string, costMs: number) {
    return () => {
      seen.push([`${name} begins`, clock.nowMs]);
      return { costMs, after: () => seen.push([`${name} leaves`, clock.nowMs]) };
    };
  }
  clock.at(5, () => core.do(task("b", 2)));
  clock.at(1, () => {
    core.do(task("a", 10));
  });
  await clock.run({ untilMs: 100, isOver: () => false });
  expect(seen).toEqual([
    ["a begins", 1],
    ["a leaves", 11],
    ["b begins", 11],
    ["b leaves", 13],
  ]);
  expect(core.busyMs).toBe(12);
});

test("the clock stops at its deadline and runs equal times in the order of asking", async () => {
  const clock = new Clock();
  const seen: number[] = [];
  for (const [order, atMs] of [7, 3, 3, 20].entries()) clock.at(atMs, () => seen.push(order));
  await clock.run({ untilMs: 10, isOver: () => false });
  expect(seen).toEqual([1, 2, 0]);
});

test("a latency counts as often as it stands for, and everywhere is the last region's last machine", () => {
  const latencies = new Latencies();
  latencies.add(10, 98);
  latencies.add(500, 2);
  expect([0.5, 0.98, 0.99, 1].map((share) => latencies.quantile(share))).toEqual([10, 10, 500, 500]);

  const sightings = new Sightings({ regions: 2, machinesPerRegion: 2 });
  const see = sightings.written({ machine: 0, atMs: 100, updates: 3 });
  see(2, 150);
  see(1, 120);
  expect(sightings.unseen).toBe(1);
  see(3, 170);
  expect(sightings.unseen).toBe(0);
  expect(sightings.byRegion.map((region) => region.quantile(1))).toEqual([20, 70]);
  expect([sightings.everywhere.quantile(1), sightings.everywhere.count]).toEqual([70, 3]);
});

test("rounds are the same for a seed, have all updates, and some keys far more often than others", () => {
  const plan = { seed: 3, keys: 1_000, shards: 10, updatesPerRound: 5_000, roundEveryMs: 1_000, rounds: 2 };
  const rounds = [...drawRounds(plan)];
  expect([...drawRounds(plan)]).toEqual(rounds);
  expect([...drawRounds({ ...plan, seed: 4 })]).not.toEqual(rounds);
  for (const shards of rounds) {
    expect(shards.reduce((sum, { updates }) => sum + updates, 0)).toBe(5_000);
    const keys = shards.reduce((sum, shard) => sum + shard.keys.length, 0);
    // Were keys drawn evenly, some 993 of 1,000 would have been drawn; by Zipf's law fewer.
    expect(keys).toBeGreaterThan(600);
    expect(keys).toBeLessThan(950);
  }
});
