import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type Mutant } from "./mutant.ts";
import { KILLING_SEEDS } from "./killing-seeds.ts";
import { MUTANTS } from "./mutants.ts";
import { type VerifyFailure, type VerifyReport, type VerifyTask } from "./verify-task.ts";

/** Seeds that a thread takes at a time. */
const SHARE = 25;

/** Runs worlds in one thread, waits for its end and adds up its reports, which come singly as well. */
async function runTask(
  task: VerifyTask,
  onReport: (report: VerifyReport) => void = () => undefined,
): Promise<VerifyReport> {
  const worker = new Worker(new URL("./verify-worker.ts", import.meta.url), {
    workerData: task,
    execArgv: [],
    // Most of what a world makes is soon garbage.
    resourceLimits: { maxYoungGenerationSizeMb: 128 },
  });
  let sum: VerifyReport | undefined;
  worker.on("message", ({ report }: { readonly report: VerifyReport }) => {
    sum = sum === undefined ? report : addReports(sum, report);
    onReport(report);
  });
  await once(worker, "exit");
  if (sum === undefined) throw new Error(`Cannot verify seeds from ${task.start}: the thread ended without a report`);
  return sum;
}

/**
 * Runs seeds in `threads` threads and adds up their reports, each of which also comes singly, in any order. Each seed is run twice
 * and compared; `fuzzInputs` gives each as many hostile inputs instead.
 */
export async function verifySeeds(options: {
  readonly start: number;
  readonly seeds: number;
  readonly threads: number;
  readonly fuzzInputs?: number;
  /** Of how many seeds, the first ones, the cost of decoding is counted. Default none. */
  readonly costSeeds?: number;
  readonly mutant?: string;
  readonly onReport?: (report: VerifyReport) => void;
}): Promise<VerifyReport> {
  const { start, seeds, threads, fuzzInputs, costSeeds, mutant, onReport } = options;
  // A thread that has nothing left to take waits for less than a share.
  const share = Math.max(1, Math.min(SHARE, Math.ceil(seeds / threads / 8)));
  const task = {
    start,
    seeds,
    twice: true,
    stopAtFailure: false,
    shared: { taken: new SharedArrayBuffer(4), seeds: share },
    ...(fuzzInputs !== undefined && { fuzzInputs }),
    ...(costSeeds !== undefined && { costSeeds }),
    ...(mutant !== undefined && { mutant }),
  };
  const reports = await Promise.all(Array.from({ length: threads }, () => runTask(task, onReport)));
  return reports.reduce(addReports);
}

/** Both together. */
export function addReports(a: VerifyReport, b: VerifyReport): VerifyReport {
  const counts = { ...a.counts };
  for (const [what, count] of Object.entries(b.counts)) counts[what] = (counts[what] ?? 0) + count;
  return {
    start: Math.min(a.start, b.start),
    seeds: a.seeds + b.seeds,
    events: a.events + b.events,
    simulatedMs: a.simulatedMs + b.simulatedMs,
    failures: [...a.failures, ...b.failures],
    counts,
  };
}

/** Explores every schedule of tiny worlds up to so many states, with a bug planted or without. */
export async function verifySchedules(options: {
  readonly statesMax: number;
  readonly mutant?: string;
}): Promise<{ readonly states: number; readonly failure: VerifyFailure | undefined }> {
  const { statesMax: exploreStates, ...rest } = options;
  const report = await runTask({ start: 1, seeds: 0, twice: false, stopAtFailure: true, exploreStates, ...rest });
  return { states: report.counts["states explored"] ?? 0, failure: report.failures[0] };
}

/** A planted bug, and the properties that are looked at while it is sought: all, or some. */
export interface Hunt {
  readonly mutant: Mutant;
  readonly only?: readonly string[];
}

/** What became of a planted bug. */
export interface HuntResult extends Hunt {
  /** The first failure, or undefined when the bug lives. */
  readonly killedBy: VerifyFailure | undefined;
  /** Worlds run until then; 0 when a directed situation found it. */
  readonly seeds: number;
}

/** Plants each bug in turn and runs worlds until one fails, at most `seedsMax` each, from `start` or from the seed that is known to find it. */
export async function verifyMutants(options: {
  readonly start?: number;
  readonly seedsMax: number;
  readonly threads: number;
  readonly hunts?: readonly Hunt[];
  readonly onResult?: (result: HuntResult) => void;
}): Promise<HuntResult[]> {
  const waiting = [...(options.hunts ?? MUTANTS.map((mutant): Hunt => ({ mutant })))];
  const results: HuntResult[] = [];
  async function work(): Promise<void> {
    for (let hunt = waiting.shift(); hunt !== undefined; hunt = waiting.shift()) {
      const known = options.start === undefined ? KILLING_SEEDS[hunt.mutant.name] : undefined;
      const report = await runTask({
        start: options.start ?? known ?? 1,
        seedFirst: known !== undefined,
        seeds: options.seedsMax,
        mutant: hunt.mutant.name,
        ...(hunt.only && { only: hunt.only }),
        twice: hunt.mutant.twice ?? false,
        stopAtFailure: true,
      });
      const result = { ...hunt, killedBy: report.failures[0], seeds: report.seeds };
      results.push(result);
      options.onResult?.(result);
    }
  }
  await Promise.all(Array.from({ length: options.threads }, work));
  return results;
}
