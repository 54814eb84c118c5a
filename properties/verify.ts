/*
 * npm run verify: many simulated worlds, and the planted bugs.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { appendLedger, currentCommit, keepFailingSeeds, nextSeed } from "./verify-ledger.ts";
import { verifyMutants, verifySeeds } from "./verify-seeds.ts";
import { runWorld } from "./world/world.ts";

const HELP = `npm run verify -- [options]

Runs simulated worlds over the real synchronisation core: links that lose, repeat, reorder and corrupt, cuts, crashes, jumping
clocks. Each seed is one world, run twice and compared. A failure prints the seed, its last events and the command that replays
it. All cores are used.

  --seeds N    how many worlds (default 1000)
  --start S    the first seed (default 1)
  --trace      print everything that happens in the worlds, in this thread
  --ledger F   append a line {commit, start, seeds, events, simulatedHours, failures} to file F after each 1,000 worlds
  --resume     go on after the seeds that the ledger has for this commit
  --fuzz       give hostile bytes to every decoder instead: --seeds times 10,000 inputs (default 10,000,000 in all)
  --mutants    plant each known bug instead, and run until a world fails, at most N worlds each
  --json       one object on standard output: {seeds, failures, events, simulatedHours} or {planted, killed, equivalent}
  --help       this text

Seeds that fail are kept in properties/world/failing-seeds.json, which the tests replay.
It ends with status 0 when nothing failed, or when every planted bug was found.
`;

/** Worlds between two lines of the ledger. */
const BATCH = 1_000;
/** Hostile inputs of one seed. */
const FUZZ_INPUTS = 10_000;

const values = readOptions();
const seeds = wholeNumber("--seeds", values.seeds);
const start = wholeNumber("--start", values.start);
const threads = availableParallelism();
if (values.help) process.stdout.write(HELP);
else if (values.trace) traceWorlds();
else if (values.fuzz) await fuzzing();
else if (values.mutants) await mutants();
else await worlds();

async function worlds(): Promise<void> {
  const commit = currentCommit();
  const { ledger, resume } = values;
  let at = ledger !== undefined && resume ? nextSeed(ledger, { commit, start }) : start;
  const total = { seeds: 0, events: 0, simulatedHours: 0, failures: 0 };
  const startedMs = performance.now();
  while (at < start + seeds) {
    const batch = await verifySeeds({ start: at, seeds: Math.min(BATCH, start + seeds - at), threads });
    const simulatedHours = batch.simulatedMs / 3_600_000;
    const failing = batch.failures.map(({ seed }) => seed).filter((seed) => seed >= 0);
    for (const { seed, message, last } of batch.failures) {
      const replay = seed < 0 ? "a directed situation" : `npm run verify -- --seeds 1 --start ${seed} --trace`;
      process.stderr.write(`${last}\n${message}\n  ${replay}\n`);
    }
    if (failing.length > 0) keepFailingSeeds(failing);
    if (ledger !== undefined) {
      const { events, seeds: ran } = batch;
      appendLedger(ledger, { commit, start: at, seeds: ran, events, simulatedHours, failures: failing });
    }
    total.seeds += batch.seeds;
    total.events += batch.events;
    total.simulatedHours += simulatedHours;
    total.failures += batch.failures.length;
    at += batch.seeds;
    if (at < start + seeds) process.stderr.write(`${at - start} of ${seeds} worlds\n`);
  }
  report(total, startedMs);
}

async function fuzzing(): Promise<void> {
  let done = 0;
  const startedMs = performance.now();
  const batch = await verifySeeds({
    start,
    seeds,
    threads,
    fuzzInputs: FUZZ_INPUTS,
    onProgress: (more) => {
      done += more;
      if (done % 1_000_000 === 0) process.stderr.write(`${done} of ${seeds * FUZZ_INPUTS} inputs\n`);
    },
  });
  for (const { message } of batch.failures) process.stderr.write(`${message}\n`);
  const seconds = (performance.now() - startedMs) / 1000;
  const failures = batch.failures.length;
  if (values.json) process.stdout.write(`${JSON.stringify({ inputs: batch.events, failures, seconds })}\n`);
  else process.stdout.write(`${batch.events} hostile inputs, ${failures} failures, ${seconds.toFixed(1)} s\n`);
  if (failures > 0) process.exitCode = 1;
}

function report(
  total: {
    readonly seeds: number;
    readonly events: number;
    readonly simulatedHours: number;
    readonly failures: number;
  },
  startedMs: number,
): void {
  // Each world ran twice.
  const seconds = (performance.now() - startedMs) / 1000;
  const worldsPerSecond = (2 * total.seeds) / seconds;
  const eventsPerSecond = (2 * total.events) / seconds;
  if (values.json) process.stdout.write(`${JSON.stringify({ ...total, worldsPerSecond, eventsPerSecond })}\n`);
  else {
    process.stdout.write(
      `${total.seeds} worlds, ${total.failures} failures, ${total.events} events, ${total.simulatedHours.toFixed(2)} simulated hours; ${worldsPerSecond.toFixed(0)} runs and ${eventsPerSecond.toFixed(0)} events a second\n`,
    );
  }
  if (total.failures > 0) process.exitCode = 1;
}

async function mutants(): Promise<void> {
  const results = await verifyMutants({
    start,
    seedsMax: seeds,
    threads,
    onResult: ({ mutant, killedBy, seeds: needed }) => {
      process.stderr.write(
        killedBy === undefined
          ? `LIVES   ${mutant.name} after ${needed} worlds\n`
          : `killed  ${mutant.name} by ${killedBy.property} after ${needed} worlds\n`,
      );
    },
  });
  const killed = results.filter(({ killedBy }) => killedBy !== undefined).length;
  // None of the planted bugs is believed to be without effect.
  if (values.json) process.stdout.write(`${JSON.stringify({ planted: results.length, killed, equivalent: 0 })}\n`);
  else process.stdout.write(`${killed} of ${results.length} planted bugs found\n`);
  if (killed < results.length) process.exitCode = 1;
}

function traceWorlds(): void {
  for (let seed = start; seed < start + seeds; seed += 1) {
    const { failure } = runWorld(seed, { trace: (line) => void process.stdout.write(`${line}\n`) });
    process.stdout.write(failure === undefined ? `seed ${seed}: all holds\n` : `seed ${seed}: ${failure.message}\n`);
    if (failure !== undefined) process.exitCode = 1;
  }
}

function wholeNumber(option: string, text: string): number {
  if (!/^[0-9]{1,12}$/.test(text)) {
    process.stderr.write(`Cannot use ${JSON.stringify(text)} for ${option}: give a whole number\n`);
    process.exit(2);
  }
  return Number(text);
}

function readOptions(): ReturnType<typeof parseOptions> {
  try {
    return parseOptions();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

// The compiler infers each option's type from its declaration.
function parseOptions() {
  return parseArgs({
    options: {
      seeds: { type: "string", default: "1000" },
      start: { type: "string", default: "1" },
      trace: { type: "boolean", default: false },
      fuzz: { type: "boolean", default: false },
      ledger: { type: "string" },
      resume: { type: "boolean", default: false },
      mutants: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  }).values;
}
