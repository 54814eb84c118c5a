import { writeFile } from "node:fs/promises";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { leastMs, MODEL, planStep, planWorld, type RunOptions, STEPS } from "./wan/ablation.ts";
import { type Costs, measureCosts } from "./wan/costs.ts";
import { describeGrowth } from "./wan/describe-growth.ts";
import { drawWan, type Drawn } from "./wan/draw-wan.ts";
import { type Latencies } from "./wan/latencies.ts";
import { PLACES } from "./wan/places.ts";
import { type Parts, runPullWorld, type WorldOutcome } from "./wan/pull-world.ts";
import { runBroadcast, runChain, runTwoPhasePush } from "./wan/pushes.ts";

/*
 * The wide area, simulated: the real core on simulated machines and links. What is not simulated: loss, cuts, the election of leaders
 * (its leases have settled), and more than one core a machine.
 */

const UPDATES_PER_ROUND = 100_000;
const PUSH_ROUNDS = 60;
const SILENCE_MS = 30_000;
const ALL: Parts = { cache: true, versions: true, leaders: true, standing: true };
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
const COST_UNITS: Readonly<Record<keyof Costs, string>> = {
  scanRow: "us a row scanned",
  writeRow: "us a row written",
  packKb: "us a KiB packed",
  mergeKb: "us a KiB merged",
  ask: "us a pull asked",
  answer: "us a pull answered with nothing",
  apply: "us an empty frame applied",
  poll: "us a poll taken",
  listShard: "us a shard listed",
  noteShard: "us a listed shard noted",
  hop: "us a message from another thread",
};

/** What each part of the protocol brings, over 1, 5 and 10 regions; other ways to distribute; one slow link; how cost grows. */
export async function* wan(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { seed, quick, progress, signal, chart } = options;
  const costs = measureCosts();
  for (const key of Object.keys(COST_UNITS)) {
    if (isCost(key)) yield figure(`charged: ${COST_UNITS[key]}`, costs[key], "us");
  }
  const regionsMost = quick ? 3 : PLACES.length;
  const updatesPerRound = quick ? UPDATES_PER_ROUND / 5 : UPDATES_PER_ROUND;
  const run: RunOptions = { regions: regionsMost, costs, seed, updatesPerRound, signal };
  const drawn: Drawn[] = [];
  function say(what: string): void {
    progress.write(`wan: ${what}\n`);
  }
  function drawLatencies(label: string, regions: number, { sightings }: WorldOutcome): void {
    const { everywhere } = sightings;
    drawn.push({ label, regions, p50: everywhere.quantile(0.5), p99: everywhere.quantile(0.99) });
  }

  let last: WorldOutcome | undefined;
  const rounds = 2;
  for (const { name, parts, ekkoSeconds } of STEPS) {
    for (const regions of quick ? [1, 3] : [1, 5, 10]) {
      say(`${name}, ${regions} regions`);
      const plan = planStep(parts, { ...run, regions, rounds });
      const outcome = await runPullWorld(plan);
      if (signal.aborted) return;
      drawLatencies(name, regions, outcome);
      yield* figuresOf(`${regions} x 3, ${name}`, outcome, {
        rounds: plan.updates.rounds - plan.roundsBefore,
        ...(regions === 10 && ekkoSeconds !== undefined && { ekkoSeconds }),
      });
      if (regions === regionsMost && parts.standing) last = outcome;
    }
  }
  if (last === undefined) return;
  const lastMs = last.sightings.everywhere.quantile(0.5);

  say("the last step against what the links allow");
  yield* boundFigures("last step", last, rounds);
  const free = await runPullWorld(planStep(ALL, { ...run, costs: FREE, rounds }));
  yield* boundFigures("last step with the core's CPU for nothing", free, rounds);
  if (signal.aborted) return;
  // A tenth of a round ten times as often: what changes next finds the last answer still on its way.
  const often = { ...run, updatesPerRound: updatesPerRound / 10, roundEveryMs: 100, roundsBefore: 10, rounds: 10 };
  yield* boundFigures("last step with ten rounds a second", await runPullWorld(planStep(ALL, often)), often.rounds);
  if (signal.aborted) return;
  const silent = await runPullWorld(planStep(ALL, { ...run, pauseMs: SILENCE_MS, rounds: 1 }));
  yield* boundFigures("last step after half a minute of silence", silent, 1);
  const first = await runPullWorld(planStep(ALL, { ...run, roundsBefore: 0, rounds: 1 }));
  yield* boundFigures("last step, the first change since the start, when no pull stands", first, 1);
  if (signal.aborted) return;

  const pushRounds = quick ? 10 : PUSH_ROUNDS;
  for (const [name, coalesced, share] of [
    ["two-phase push of each update", false, 1],
    ["two-phase push of each update, half the updates", false, 1 / 2],
    ["two-phase push of each row once a round", true, 1],
  ] as const) {
    say(name);
    const outcome = await runTwoPhasePush({
      ...planWorld({ ...run, updatesPerRound: share * updatesPerRound }, pushRounds),
      coalesced,
    });
    if (share === 1) drawLatencies(name, regionsMost, outcome);
    const isAdam = !coalesced && share === 1;
    yield* figuresOf(name, outcome, { rounds: pushRounds, lastMs, ...(isAdam && { ekkoSeconds: 18.8, timesLast: 7 }) });
  }
  say("chain replication");
  const chain = await runChain({ ...planWorld(run, pushRounds), coalesced: true });
  drawLatencies("chain, each row once a round", regionsMost, chain);
  yield* figuresOf("chain replication of each row once a round", chain, { rounds: pushRounds, lastMs });
  say("full broadcast");
  const rows = MODEL.shardsTotal * MODEL.rowsPerShard;
  const broadcast = await runBroadcast({ ...planWorld(run, 2), untilMs: Infinity, rows });
  drawLatencies("full broadcast", regionsMost, broadcast);
  yield* figuresOf("full broadcast", broadcast, { rounds: 2, lastMs, ekkoSeconds: 29 * 60 });

  say("a link at half speed");
  yield* slowLinkFigures(last, await runPullWorld(planStep(ALL, { ...run, even: true, rounds })), "last step");
  const pushed = { ...run, updatesPerRound: updatesPerRound / 2 };
  yield* slowLinkFigures(
    await runTwoPhasePush({ ...planWorld(pushed, rounds), coalesced: false }),
    await runTwoPhasePush({ ...planWorld({ ...pushed, even: true }, rounds), coalesced: false }),
    "two-phase push, half the updates",
  );
  if (chart !== undefined) await writeFile(chart, drawWan(drawn));
  yield* describeGrowth({ costs, seed, quick, signal, say });
}

function* figuresOf(
  name: string,
  { sightings, links, busyMs, tookMs }: WorldOutcome,
  beside: { rounds: number; ekkoSeconds?: number; lastMs?: number; timesLast?: number },
): Generator<BenchFigure> {
  const { rounds, ekkoSeconds, lastMs, timesLast } = beside;
  const p50 = sightings.everywhere.quantile(0.5);
  yield figure(
    `${name}: p50`,
    p50 / 1_000,
    "s",
    ekkoSeconds === undefined ? {} : { compared: `Ekko: ${ekkoSeconds} s` },
  );
  yield figure(`${name}: p99`, sightings.everywhere.quantile(0.99) / 1_000, "s");
  yield figure(`${name}: across regions`, links.bytesAcross() / rounds / 1e6, "MB a round");
  yield figure(`${name}: the busiest core`, (100 * Math.max(...busyMs)) / tookMs, "%");
  if (lastMs === undefined) return;
  const target = timesLast === undefined ? {} : { target: `>= ${timesLast}`, met: p50 >= timesLast * lastMs };
  yield figure(`${name}: times the last step`, p50 / lastMs, "", target);
}

/** Each region's latency over the least that its delay and bytes allow. */
function* boundFigures(name: string, { sightings, links }: WorldOutcome, rounds: number): Generator<BenchFigure> {
  const ratios: number[] = [];
  for (const [region, { region: place }] of links.plan.places.entries()) {
    if (region === 0) continue;
    const ms = quantileOf(sightings.byRegion[region], 0.5);
    const least = leastMs(links, { region, rounds });
    ratios.push(ms / least);
    yield figure(`${name}: ${place}: p50`, ms, "ms", {
      compared: `one way ${links.delayMs(0, region).toFixed(0)} ms + bytes / bandwidth: ${least.toFixed(0)} ms`,
      ratio: ms / least,
    });
  }
  const worst = Math.max(...ratios);
  const target = name.includes("since the start") ? {} : { target: "<= 2", met: worst <= 2 };
  yield figure(`${name}: p50`, sightings.everywhere.quantile(0.5), "ms");
  yield figure(`${name}: most over delay + bytes / bandwidth`, worst, "x", target);
}

/** Latencies of all regions but the one behind the slow link, with it and without. */
function* slowLinkFigures(slow: WorldOutcome, even: WorldOutcome, name: string): Generator<BenchFigure> {
  let worst = 0;
  for (const [region, { region: place }] of slow.links.plan.places.entries()) {
    const [ms, before] = [slow, even].map(({ sightings }) => quantileOf(sightings.byRegion[region], 0.99));
    if (ms === undefined || before === undefined || region === 0) continue;
    const isBehind = region === 1;
    if (!isBehind) worst = Math.max(worst, ms / before);
    const others = { compared: `all links alike: ${before.toFixed(0)} ms`, ratio: ms / before };
    yield figure(`${name}, one link at half speed: ${place}${isBehind ? ", behind it" : ""}: p99`, ms, "ms", others);
  }
  const target = name.startsWith("last") ? { target: "<= 1.05", met: worst <= 1.05 } : {};
  yield figure(`${name}, one link at half speed: most that another region slows`, worst, "x", target);
}

function quantileOf(latencies: Latencies | undefined, share: number): number {
  return latencies?.quantile(share) ?? Number.NaN;
}

function isCost(key: string): key is keyof Costs {
  return Object.hasOwn(COST_UNITS, key);
}

function figure(
  name: string,
  value: number,
  unit: string,
  more: Pick<BenchFigure, "compared" | "ratio" | "target" | "met"> = {},
): BenchFigure {
  return { bench: "wan", figure: name, value, unit, ...more };
}
