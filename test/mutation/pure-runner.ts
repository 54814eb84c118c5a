/*
 * A test runner of StrykerJS for pure code. What is planted in protocols/ is looked for by tests that need no threads, sockets or files
 * and keep nothing between them, so they are imported once and called again and again in one thread: a change that is seen at once costs
 * milliseconds, where a run of vitest costs a third of a second. Laws are tried with few draws before they are tried with many, and what has
 * seen much for its time goes first.
 *
 * MUTATION_TESTS="properties/sync-*.property.ts test/sync-*.test.ts" names other tests than those below.
 * MUTATION_BUDGET_MS=1500 gives a change that nobody saw up by then; it counts as survived, so the score is at most too low.
 * MUTATION_SAMPLE=1/8 tries the first eighth of all changes, drawn by their places; the others count as errors, which a score leaves out.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { type CollectedFile, collect } from "./collected-tests.ts";
import { askedRuns, limitRuns } from "./few-runs.ts";

/** Laws and examples of pure code. */
const TESTS = [
  "properties/{leadership,learning,model-state,quantile,stream,sync}-*.property.ts",
  "properties/{architectures,binary-heap,columns,compute-{plain,topk},row-bits,sizes,slot-set,subjects,table-learn,two-trainers,urgency}.property.ts",
  "test/sync-{answers,check-frame,epoch,eviction,horizon,lay-horizon,link-window,links,links-standing,own-pull,poll,poll-choice,poll-leaders,pull,pull-rest,pull-standing,pull-urgent,put-rows,refusals,reports}.test.ts",
  "test/sync-{row-store,settling,strays,succeed,urgent}.test.ts",
  "test/{candidate-index,columns,feedback,gradient-steps,learning-*,model-layout,new-rows,region-log,sample-{frame,json},scatter,table-memories,wire-*}.test.ts",
];

/** Of these, what takes minutes or starts threads. */
const LEFT_OUT = ["properties/sync-{world,cache-schedules,catalogue,explorer,replay,fuzz}.property.ts"];

/** What changes lines of protocols/ by their text, which StrykerJS has written anew. */
const PLANTS = /\bbug that is planted\b/;

/** Draws per law: first few, then more. A law that counts what happened and fails with so few gets all it asks for. */
const DRAWS = [4, 20, 100, 300, 1000, 1_000_000];
const MORE = 20;

/** What StrykerJS's instrumented code reads and writes. */
interface Instrumentation {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
  mutantCoverage?: unknown;
}

interface MutantRun {
  readonly testFilter?: readonly string[];
  readonly hitLimit?: number;
  readonly activeMutant: PlantedChange;
}

interface PlantedChange {
  readonly id: string;
  readonly fileName: string;
  readonly location: { readonly start: { readonly line: number; readonly column: number } };
  readonly replacement: string;
}

interface PureTest {
  readonly id: string;
  readonly fileName: string;
  readonly run: () => Promise<void>;
}

/** A test with so many draws, and the time of a core that it took when nothing was planted; how often it looked, and saw. */
interface Attempt {
  readonly test: PureTest;
  readonly draws: number;
  readonly ms: number;
  looked: number;
  saw: number;
}

declare global {
  // oxlint-disable-next-line eslint/no-underscore-dangle -- StrykerJS names it
  var __stryker__: Instrumentation | undefined;
}

/** One of the runners makes the first run and leaves here what it measured: for those beside it, and for one that takes over from it. */
const MEASURED = ".pure-runner.txt";

const BUDGET_MS = Number(process.env["MUTATION_BUDGET_MS"] ?? Infinity);
const [PART = 1, PARTS = 1] = (process.env["MUTATION_SAMPLE"] ?? "1/1").split("/").map(Number);

const SUCCESS = 0;
const FAILED = 1;

export const strykerPlugins = [{ kind: "TestRunner", name: "pure", factory: createPureRunner }];

function createPureRunner() {
  // oxlint-disable-next-line eslint/no-underscore-dangle -- StrykerJS names it
  const instrumentation = (globalThis.__stryker__ ??= {});
  const tests: PureTest[] = [];
  const attempts: Attempt[] = [];
  /** Neighbours are often seen by the same test, so the one that saw the last change goes first. */
  let lastKiller: Attempt | undefined;

  return {
    capabilities: () => ({ reloadEnvironment: false }),

    async init() {
      replaceModules();
      for (const fileName of globSync(process.env["MUTATION_TESTS"]?.split(" ") ?? TESTS, {
        exclude: LEFT_OUT,
      }).toSorted()) {
        tests.push(...testsOf(fileName, await collect(pathToFileURL(fileName).href)));
      }
    },

    async dryRun() {
      instrumentation.activeMutant = undefined;
      const results = [];
      for (const test of tests) {
        instrumentation.currentTestId = test.id;
        const { passed, failure } = await attemptsOf(test);
        instrumentation.currentTestId = undefined;
        attempts.push(...passed);
        const told = { id: test.id, name: test.id, fileName: test.fileName, timeSpentMs: total(passed) };
        results.push(
          failure === undefined ? { ...told, status: SUCCESS } : { ...told, status: FAILED, failureMessage: failure },
        );
      }
      writeFileSync(MEASURED, attempts.map(({ test, draws, ms }) => `${ms} ${draws} ${test.id}\n`).join(""));
      return { status: "complete", tests: results, mutantCoverage: instrumentation.mutantCoverage };
    },

    async mutantRun({ testFilter, hitLimit, activeMutant }: MutantRun) {
      if (!isSampled(activeMutant)) return { status: "error", errorMessage: "not in the sample" };
      if (attempts.length === 0) attempts.push(...readMeasured(tests));
      Object.assign(instrumentation, { activeMutant: activeMutant.id, hitLimit, hitCount: 0 });
      const covering = new Set(testFilter);
      const order = attempts
        .filter(({ test }) => testFilter === undefined || covering.has(test.id))
        .toSorted((a, b) => Number(b === lastKiller) - Number(a === lastKiller) || worth(b) - worth(a));
      const startedMs = coreMs();
      for (const [nrOfTests, attempt] of order.entries()) {
        if (coreMs() - startedMs > BUDGET_MS) return { status: "survived", nrOfTests };
        limitRuns(attempt.draws);
        attempt.looked += 1;
        const failure = await failureOf(attempt.test);
        if (hitLimit !== undefined && (instrumentation.hitCount ?? 0) > hitLimit) {
          return { status: "timeout", reason: `the changed place ran more than ${hitLimit} times` };
        }
        if (failure === undefined) continue;
        attempt.saw += 1;
        lastKiller = attempt;
        return { status: "killed", killedBy: [attempt.test.id], failureMessage: failure, nrOfTests: nrOfTests + 1 };
      }
      return { status: "survived", nrOfTests: order.length };
    },
  };
}

/** Changes it may see for the time it takes, with a little for who has not looked yet. */
function worth({ ms, looked, saw }: Attempt): number {
  return (saw + 0.5) / (looked + 1) / (ms + 0.5);
}

/** By a hash of the place (FNV-1a), so that the choice depends neither on what else is tried nor on where the copy lies that is changed. */
function isSampled({ fileName, location, replacement }: PlantedChange): boolean {
  const file = fileName.slice(fileName.lastIndexOf("/protocols/") + 1);
  const place = `${file}:${location.start.line}:${location.start.column}:${replacement}`;
  let hash = 0x811c9dc5;
  for (const char of place) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 8) % PARTS === PART - 1;
}

function coreMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function testsOf(fileName: string, { tests, before }: CollectedFile): PureTest[] {
  return tests
    .filter(({ name }) => !PLANTS.test(name))
    .map(({ name, run }) => ({
      id: `${fileName}#${name}`,
      fileName,
      async run() {
        for (const prepare of before) await prepare();
        await run();
      },
    }));
}

function readMeasured(tests: readonly PureTest[]): Attempt[] {
  const byId = new Map(tests.map((test) => [test.id, test]));
  return readFileSync(MEASURED, "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, ms, draws, id = ""] = /^(\S+) (\S+) (.*)$/.exec(line) ?? [];
      const test = byId.get(id);
      return test === undefined ? [] : [{ test, draws: Number(draws), ms: Number(ms), looked: 0, saw: 0 }];
    });
}

async function attemptsOf(test: PureTest): Promise<{ passed: Attempt[]; failure: string | undefined }> {
  const passed: Attempt[] = [];
  let failure: string | undefined;
  for (const draws of DRAWS) {
    limitRuns(draws);
    const startedMs = coreMs();
    failure = await failureOf(test);
    if (failure === undefined) passed.push({ test, draws, ms: coreMs() - startedMs, looked: 0, saw: 0 });
    if (failure === undefined && (draws >= MORE || askedRuns() <= draws)) break;
  }
  return { passed, failure };
}

async function failureOf(test: PureTest): Promise<string | undefined> {
  try {
    await test.run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 2000) : String(error);
  }
}

function total(attempts: readonly Attempt[]): number {
  return attempts.reduce((sum, { ms }) => sum + ms, 0);
}

function replaceModules(): void {
  const replaced = new Map([
    ["vitest", new URL("collected-tests.ts", import.meta.url).href],
    ["fast-check", new URL("few-runs.ts", import.meta.url).href],
  ]);
  registerHooks({
    resolve(specifier, context, next) {
      const url = replaced.get(specifier);
      if (url === undefined || context.parentURL === url) return next(specifier, context);
      return { url, shortCircuit: true };
    },
  });
}
