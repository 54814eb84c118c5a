/*
 * What must hold of how a region's state manager follows the region log and appends to it, whatever is lost, late or refused, whoever is cut off and whatever is
 * asked of it meanwhile: it believes what its own stream says; each entry is there once; whatever it was asked for ends, with success or a
 * refusal, once its own stream can be reached; it reads in one chain. fast-check owns every choice, and shrinks it.
 */
import assert from "node:assert/strict";
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
const ordinary = [
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
] as const;
/** The node is killed while it copies another region's log in place of its own, or its region's disk is lost. */
const cuts = [
  { weight: 3, arbitrary: fc.record({ act: fc.constant("lose-own" as const) }) },
  { weight: 6, arbitrary: fc.record({ act: fc.constant("cut-copy" as const), entries: fc.nat(4) }) },
] as const;
const OF_ANY_LENGTH = { maxLength: 25, size: "max" } as const;
const steps = fc.array(fc.oneof(...ordinary), OF_ANY_LENGTH);
const cutSteps = fc.array(fc.oneof(...ordinary, ...cuts), OF_ANY_LENGTH);
/** Enough for a first start: whoever does not know the log yet does nothing that could go wrong. */
const BEGUN_MS = 500;
type Step = typeof cutSteps extends fc.Arbitrary<(infer Drawn)[]> ? Drawn : never;

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

/** Killed while a later log is taken over, and its stream is emptied only when the next start has read it. */
const EMPTIED_LATE: [Fate[], Step[], Reach] = [
  ["slow", "slow", "done", "late", "done"],
  [
    { act: "hand-over-and-lose", ms: 300 },
    { act: "later-epoch", entries: 0 },
    { act: "pass", ms: 4_000 },
    { act: "pass", ms: 12_000 },
    { act: "pass", ms: 4_000 },
    { act: "reach", region: "b", reach: "refuses" },
    { act: "restart" },
  ],
  "silent",
];

/** A later log is copied over one by which training was to come here, and the node is killed when it has so many entries of it. */
const CUT_COPIES: [Fate[], Step[], Reach][] = [0, 1, 2, 3].map((entries) => [
  ["done"],
  [
    { act: "hand-over" },
    { act: "pass", ms: 4_000 },
    { act: "later-epoch", entries: 1 },
    { act: "cut-copy", entries },
    { act: "pass", ms: 300 },
  ],
  "silent",
]);

/** No log has so many entries. */
const NEVER = 1_000;
/** What was lost is copied anew, and that is cut, while a longer log of an earlier epoch can be had as well. */
const CUT_RESTORES: [Fate[], Step[], Reach][] = [1, 2, 3, 5, NEVER].map((entries) => [
  ["done"],
  [
    ...Array.from({ length: 9 }, (): Step => ({ act: "grow-home" })),
    { act: "later-epoch", entries: 1 },
    { act: "pass", ms: 12_000 },
    { act: "lose-own" },
    { act: "cut-copy", entries },
    { act: "pass", ms: 300 },
  ],
  "answers",
]);

/** Of a log of the second epoch nothing was written when the node was killed, and for a while only a region can be asked that knows of none. */
const CUT_AT_ONCE: [Fate[], Step[], Reach] = [
  ["done"],
  [
    { act: "lose-first", reach: "refuses" },
    { act: "pass", ms: 12_000 },
    { act: "later-epoch", entries: 1 },
    { act: "cut-copy", entries: 0 },
    { act: "reach", region: "c", reach: "silent" },
    { act: "reach", region: "a", reach: "answers" },
    { act: "pass", ms: 4_000 },
  ],
  "answers",
];

export async function checkLaws(numRuns = 150): Promise<void> {
  await everyNodeHears();
  await everyNodeSeesParts();
  await aDeletedRecordSaysNothing();
  for (const how of ["handed-over", "later-epoch"] as const) await anEmptyLogWaitsForAll(how);
  await fc.assert(
    fc.asyncProperty(fates, steps, reaches, (drawnFates, drawn, reach) =>
      tryWorld(new RegionLogWorld(drawnFates, { keeps: true }), drawn, reach),
    ),
    { numRuns, examples: [...HALF_TAKEN_OVER, STARTED_LATER, EMPTIED_LATE] },
  );
  await fc.assert(
    fc.asyncProperty(fates, cutSteps, reaches, (drawnFates, drawn, reach) =>
      tryWorld(new RegionLogWorld(drawnFates, { keeps: true, meetsAll: true }), drawn, reach),
    ),
    { numRuns: Math.ceil(numRuns / 3), examples: [...CUT_COPIES, ...CUT_RESTORES, CUT_AT_ONCE] },
  );
}

async function tryWorld(world: RegionLogWorld, drawn: readonly Step[], reachOfFirst: Reach): Promise<void> {
  await world.start();
  await world.pass(BEGUN_MS);
  world.mayFail = true;
  for (const step of drawn) {
    await take(world, step);
    await world.pass(0);
    await world.checkBelief();
  }
  await world.settle(reachOfFirst);
  await world.checkBelief();
  world.checkEntries();
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

/** A node that keeps no log, and starts where its region's is a part, tells nothing of it: it hears of the whole one. */
async function everyNodeSeesParts(): Promise<void> {
  const world = new RegionLogWorld(["done"], { keeps: false });
  world.logs.beginLaterEpoch(1);
  world.leavePart();
  await world.start();
  await world.pass(12_000);
  await world.checkHeard("c");
}

/** Where no region has the whole log any more, a node goes on with a part once somebody has deleted the record that says how far it was to come. */
async function aDeletedRecordSaysNothing(): Promise<void> {
  const world = new RegionLogWorld(["done"], { keeps: true });
  world.logs.beginLaterEpoch(1);
  world.logs.leavePart();
  world.logs.deleteLeast();
  for (const region of ["a", "c"]) world.reach(region, "silent");
  await world.start();
  await world.pass(BEGUN_MS);
  await world.checkHeard("b");
}

/** Whose LOG alone is lost, after it had come further than its record says, takes no log of a region that may have less of it than another, and keeps its samples. */
async function anEmptyLogWaitsForAll(how: "handed-over" | "later-epoch"): Promise<void> {
  const world = new RegionLogWorld(["done"], { keeps: true });
  await world.start();
  await world.pass(BEGUN_MS);
  if (how === "handed-over") {
    world.logs.copyToLast();
    world.logs.handOver();
  } else {
    world.logs.beginLaterEpoch(1);
    world.logs.giveSamples("c");
  }
  await world.pass(12_000);
  world.reach("a", "silent");
  const samples = world.samples();
  assert.ok(samples.length > 0);
  await world.loseOwn("LOG");
  await world.pass(60_000);
  await world.checkBelief();
  world.reach("a", "answers");
  world.toldAgain();
  await world.settle("answers");
  await world.checkBelief();
  assert.equal(world.samples(), samples);
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
    case "lose-own":
      return world.loseOwn();
    case "cut-copy":
      return world.cutCopy(step.entries);
    case "reach":
      return world.reach(step.region, step.reach);
    case "pass":
      return world.pass(step.ms);
  }
}
