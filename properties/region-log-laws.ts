/*
 * What must hold of how a region's state manager follows the region log and appends to it, whatever is lost, late or refused, whoever is cut off and whatever is
 * asked of it meanwhile: it believes what its own stream says; each entry is there once; whatever it was asked for ends, with success or a
 * refusal, once its own stream can be reached; it reads in one chain. fast-check owns every choice, and shrinks it.
 */
import fc from "fast-check";
import { type Fate, type Reach, RegionLogWorld } from "./region-log-world.ts";

const fates = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.constant<Fate>("done") },
    { weight: 5, arbitrary: fc.constantFrom<Fate>("slow", "answer-lost", "never-done", "late", "refused") },
  ),
  { minLength: 4, maxLength: 40, size: "max" },
);
const reaches = fc.constantFrom<Reach>("answers", "refuses", "silent");
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ act: fc.constant("grow-home" as const) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant("grow-own" as const) }) },
    // The first region is lost while its entry is copied, or while what it handed over is taken over.
    { weight: 2, arbitrary: fc.record({ act: fc.constant("grow-home-and-lose" as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ act: fc.constant("hand-over-and-lose" as const), ms: fc.constantFrom(300, 600, 1_000) }),
    },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("hand-over" as const) }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("force" as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        act: fc.constant("lose-first" as const),
        reach: fc.constantFrom<Reach>("refuses", "silent"),
      }),
    },
    { weight: 2, arbitrary: fc.record({ act: fc.constant("add-member" as const) }) },
    { weight: 3, arbitrary: fc.record({ act: fc.constant("later-epoch" as const), entries: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant("restart" as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        act: fc.constant("reach" as const),
        region: fc.constantFrom("a", "b", "c"),
        reach: reaches,
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({ act: fc.constant("pass" as const), ms: fc.constantFrom(5, 300, 1_000, 4_000, 12_000) }),
    },
  ),
  { maxLength: 25, size: "max" },
);
/** Enough for a first start: whoever does not know the log yet does nothing that could go wrong. */
const BEGUN_MS = 500;
type Step = typeof steps extends fc.Arbitrary<(infer Drawn)[]> ? Drawn : never;

/** A log of a later epoch that could not be written whole at first: drawn ones seldom are cut where it shows. */
const HALF_TAKEN_OVER: [Fate[], Step[], Reach][] = [
  [
    ["slow", "done", "done", "done", "answer-lost", "slow"],
    [
      { act: "later-epoch", entries: 0 },
      { act: "pass", ms: 12_000 },
      { act: "hand-over-and-lose", ms: 300 },
    ],
    "answers",
  ],
  [
    ["answer-lost", "done", "done", "done", "done"],
    [
      { act: "later-epoch", entries: 0 },
      { act: "grow-home" },
      { act: "pass", ms: 12_000 },
      { act: "lose-first", reach: "refuses" },
    ],
    "silent",
  ],
];

/** A start in a later epoch, while one region is silent: another tells of that epoch when the own log is known. */
const STARTED_LATER: [Fate[], Step[], Reach] = [
  ["done", "done", "done", "done"],
  [
    { act: "later-epoch", entries: 0 },
    { act: "pass", ms: 12_000 },
    { act: "reach", region: "a", reach: "silent" },
    { act: "restart" },
    { act: "pass", ms: 4_000 },
  ],
  "silent",
];

export async function checkLaws(numRuns = 150): Promise<void> {
  await everyNodeHears();
  await fc.assert(
    fc.asyncProperty(fates, steps, reaches, async (drawnFates, drawnSteps, reachOfFirst) => {
      const world = new RegionLogWorld(drawnFates, { keeps: true });
      await world.start();
      await world.pass(BEGUN_MS);
      world.mayFail = true;
      for (const step of drawnSteps) {
        await take(world, step);
        await world.pass(0);
        await world.checkBelief();
      }
      await world.settle(reachOfFirst);
      await world.checkBelief();
      world.checkEntries();
    }),
    { numRuns, examples: [...HALF_TAKEN_OVER, STARTED_LATER] },
  );
}

/** A node that keeps no log hears of a promotion that its own region was forced to, though no other region answers. */
async function everyNodeHears(): Promise<void> {
  const world = new RegionLogWorld(["done"], { keeps: false });
  await world.start();
  await world.pass(BEGUN_MS);
  for (const region of ["a", "c"]) world.reach(region, "silent");
  world.logs.forceOwn();
  await world.settle("silent");
}

async function take(world: RegionLogWorld, step: Step): Promise<void> {
  switch (step.act) {
    case "grow-home":
      return world.logs.growHome();
    case "grow-own":
      return world.logs.growOwn();
    case "hand-over":
      return world.logs.handOver();
    case "force":
      return world.force();
    case "hand-over-and-lose":
      world.logs.handOver();
      await world.pass(step.ms);
      world.reach("a", "refuses");
      return world.force();
    case "grow-home-and-lose":
      world.logs.growHome();
      await world.pass(5);
      return world.reach("a", "refuses");
    case "lose-first":
      world.reach("a", step.reach);
      return world.force();
    case "add-member":
      return world.addMember();
    case "later-epoch":
      return world.logs.beginLaterEpoch(step.entries);
    case "restart":
      return world.start();
    case "reach":
      return world.reach(step.region, step.reach);
    case "pass":
      return world.pass(step.ms);
  }
}
