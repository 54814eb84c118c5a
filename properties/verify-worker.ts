/*
 * A thread that runs worlds. With a mutant it first arranges that the mutant's file is loaded with the bug planted, so
 * everything that could import that file is imported afterwards.
 */
import { parentPort, workerData } from "node:worker_threads";
import { DecodeCost } from "./decode-cost.ts";
import { COST_MUTANTS } from "./mutants-cost.ts";
import { MUTANTS } from "./mutants.ts";
import { plant } from "./plant.ts";
import { type VerifyFailure, type VerifyReport, type VerifyTask } from "./verify-task.ts";

const given: unknown = workerData;
const task = readTask(given);
const mutant = [...MUTANTS, ...COST_MUTANTS].find(({ name }) => name === task.mutant);
if (mutant !== undefined) plant(mutant);
// Before the decoders are loaded: what was loaded before is not looked into.
const costBefore = task.start + (task.costSeeds ?? 0);
let cost = costBefore > task.start ? new DecodeCost() : undefined;
const { runWorld } = await import("./world/world.ts");
const { runDirected } = await import("./world/directed.ts");
const { explore } = await import("./explorer.ts");
const { fuzz } = await import("./fuzz.ts");

const end = task.start + task.seeds;
const taken = new Int32Array(task.shared?.taken ?? new SharedArrayBuffer(4));
const share = task.shared?.seeds ?? task.seeds;
const isKnown = task.seedFirst === true && tell(runSeeds(task.start, task.start + 1));
let isOver = isKnown || tell(lookOnce());
while (!isOver) {
  const start = task.start + Atomics.add(taken, 0, 1) * share;
  isOver = start >= end || tell(runSeeds(start, Math.min(start + share, end)));
}

/** Sends a report; tells whether it was the last that is wanted. */
function tell(report: VerifyReport): boolean {
  parentPort?.postMessage({ report });
  return report.failures.length > 0 && task.stopAtFailure;
}

/** What has no seed: every schedule of tiny worlds, or the directed situations. */
function lookOnce(): VerifyReport {
  const empty = { start: task.start, seeds: 0, events: 0, simulatedMs: 0, failures: [], counts: {} };
  if (task.exploreStates !== undefined) {
    const { states, failure } = explore({ statesMax: task.exploreStates, ...(task.only && { only: task.only }) });
    const failures = failure === undefined ? [] : [{ seed: -1, ...failure }];
    return { ...empty, failures, counts: { "states explored": states } };
  }
  if (task.fuzzInputs !== undefined) return empty;
  // A hunt for a planted bug ends with the first that sees it.
  const failures = runDirected(task.only).map((failure) => ({ seed: -1, last: "", ...failure }));
  return { ...empty, failures: [...(task.stopAtFailure ? failures.take(1) : failures)] };
}

function runSeeds(start: number, before: number): VerifyReport {
  const failures: VerifyFailure[] = [];
  const counts = new Map<string, number>();
  let events = 0;
  let simulatedMs = 0;
  let seed = start;
  for (; seed < before; seed += 1) {
    if (failures.length > 0 && task.stopAtFailure) break;
    if (task.fuzzInputs !== undefined) {
      if (seed >= costBefore) cost = cost?.end();
      const problem = fuzz({ seed, inputs: task.fuzzInputs, ...(cost && { cost }) });
      for (const [what, count] of Object.entries(cost?.take() ?? {})) counts.set(what, (counts.get(what) ?? 0) + count);
      if (problem !== undefined) failures.push({ seed, property: "I1", message: `I1: ${problem}`, last: "" });
      events += task.fuzzInputs;
      continue;
    }
    const options = task.only === undefined ? {} : { only: task.only };
    const outcome = runWorld(seed, options);
    events += outcome.events;
    simulatedMs += outcome.simulatedMs;
    for (const [what, count] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    if (outcome.failure !== undefined) failures.push({ seed, ...outcome.failure });
    else if (task.twice && runWorld(seed, { only: [] }).hash !== outcome.hash) {
      failures.push({ seed, property: "I6", message: "I6: the same seed gave another history", last: "" });
    }
  }
  return { start, seeds: seed - start, events, simulatedMs, failures, counts: Object.fromEntries(counts) };
}

function readTask(value: unknown): VerifyTask {
  if (!isVerifyTask(value)) {
    throw new TypeError("Cannot verify: this module runs in threads that verify-seeds.ts starts");
  }
  return value;
}

function isVerifyTask(value: unknown): value is VerifyTask {
  return (
    typeof value === "object" &&
    value !== null &&
    "start" in value &&
    "seeds" in value &&
    "twice" in value &&
    "stopAtFailure" in value
  );
}
