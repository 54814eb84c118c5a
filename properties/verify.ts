/*
 * npm run verify: many simulated worlds, the planted bugs, hostile bytes, and real nodes under faults.
 */
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { appendLedger, currentCommit, keepFailingSeeds, type LedgerLine, nextSeed } from "./verify-ledger.ts";
import { addReports, verifyMutants, verifySeeds } from "./verify-seeds.ts";
import { type VerifyFailure, type VerifyReport } from "./verify-task.ts";
import { runWorld } from "./world/world.ts";

const HELP = `npm run verify -- [options]

Runs simulated worlds over the real synchronisation core: links that lose, repeat, reorder and corrupt, cuts, crashes, jumping
clocks. Each seed is one world, run twice and compared: with all checkers, and without any. A failure prints the seed, its last
events and the command that replays it. All cores are used. Runs and events a second count both runs of each world, on all cores
together, over the time that passed; events a CPU second, over the processor time that all threads took.

  --seeds N    how many worlds (default 1000)
  --start S    the first seed (default 1)
  --trace      print everything that happens in the worlds, in this thread
  --ledger F   append a line {commit, start, seeds, events, simulatedHours, failures} to file F after each 1,000 worlds
  --resume     go on after the seeds that the ledger has for this commit
  --fuzz       give hostile bytes to every decoder instead: --seeds times 10,000 inputs (default 10,000,000 in all); what the
               first twentieth costs is counted. --start goes on where another run ended
  --mutants    plant each known bug instead, and run until a world fails, at most N worlds each
  --real       real region nodes instead: three regions of two processes each with real nats-servers and events over HTTP, under
               kill -9, SIGSTOP, cuts, one-way cuts, slow links, clocks that jump, and promotions in order and by force. After each
               round of faults one region trains, as all know, and all nodes must be byte-equal; versions must not go back, a version
               has one content, a term one holder, and each event takes effect once. Progress goes to standard error. Interrupt it, and it stops everything in order
      --seed S       draws the faults and the events (default 1); the machine decides when exactly they hit
      --minutes M    no round of faults begins after that (default 20)
      --rounds N     and no more than so many rounds
      --within S     seconds within which all nodes must be equal, once all runs again and the stream pauses (default 10)
  --json       one object on standard output: {seeds, failures, events, simulatedHours, worldsPerSecond, eventsPerSecond,
               eventsPerCpuSecond, threads}, {inputs, failures, seconds, counted, blocksPerByte, heapPerByte},
               {planted, killed, equivalent}, or with --real {seed, seconds, rounds, faults, heals, equalMs, violations, ...}
  --help       this text

Seeds that fail are kept in properties/world/failing-seeds.json, which the tests replay.
It ends with status 0 when nothing failed, or when every planted bug was found.
`;

/** Worlds that must hold before bugs are planted. */
const BASELINE = 50;
/** Worlds between two lines of the ledger. */
const BATCH = 1_000;
/** Hostile inputs of one seed. */
const FUZZ_INPUTS = 10_000;

const values = readOptions();
const seeds = wholeNumber("--seeds", values.seeds);
const start = wholeNumber("--start", values.start);
const threads = availableParallelism();
if (values.help) process.stdout.write(HELP);
else if (values.real) await realNodes();
else if (values.trace) traceWorlds();
else if (values.fuzz) await fuzzing();
else if (values.mutants) await mutants();
else await worlds();

async function worlds(): Promise<void> {
  const commit = currentCommit();
  const { ledger, resume } = values;
  const first = ledger !== undefined && resume ? nextSeed(ledger, { commit, start }) : start;
  const end = start + seeds;
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  // Reports come in any order; a line of the ledger is about seeds that follow each other.
  const early = new Map<number, VerifyReport>();
  let at = first;
  let batch: VerifyReport | undefined;
  function onReport(report: VerifyReport): void {
    showFailures(report.failures);
    if (report.seeds > 0) early.set(report.start, report);
    for (let next = early.get(at); next !== undefined; next = early.get(at)) {
      early.delete(at);
      at += next.seeds;
      batch = batch === undefined ? next : addReports(batch, next);
      if (batch.seeds < BATCH && at < end) continue;
      if (ledger !== undefined) appendLedger(ledger, ledgerLine(commit, batch));
      batch = undefined;
      if (at < end) process.stderr.write(`${at - start} of ${seeds} worlds\n`);
    }
  }
  const total = await verifySeeds({ start: first, seeds: Math.max(0, end - first), threads, onReport });
  const cpu = process.cpuUsage(startedCpu);
  const seconds = (performance.now() - startedMs) / 1000;
  const runs = 2 * total.seeds;
  const ran = 2 * total.events;
  const worldsPerSecond = runs / seconds;
  const eventsPerSecond = ran / seconds;
  const eventsPerCpuSecond = (ran * 1e6) / (cpu.user + cpu.system);
  const simulatedHours = total.simulatedMs / 3_600_000;
  const failures = total.failures.length;
  if (values.json) {
    const { events } = total;
    const found = { seeds: total.seeds, events, simulatedHours, failures };
    process.stdout.write(
      `${JSON.stringify({ ...found, worldsPerSecond, eventsPerSecond, eventsPerCpuSecond, threads })}\n`,
    );
  } else {
    process.stdout.write(
      `${total.seeds} worlds, ${failures} failures, ${total.events} events, ${simulatedHours.toFixed(2)} simulated hours; each world ran twice, in ${threads} threads: ${worldsPerSecond.toFixed(0)} runs and ${eventsPerSecond.toFixed(0)} events a second, ${eventsPerCpuSecond.toFixed(0)} events a CPU second\n`,
    );
  }
  if (failures > 0) process.exitCode = 1;
}

function showFailures(failures: readonly VerifyFailure[]): void {
  for (const { seed, message, last } of failures) {
    const replay = seed < 0 ? "a directed situation" : `npm run verify -- --seeds 1 --start ${seed} --trace`;
    process.stderr.write(`${last}\n${message}\n  ${replay}\n`);
  }
  const failing = failures.map(({ seed }) => seed).filter((seed) => seed >= 0);
  if (failing.length > 0) keepFailingSeeds(failing);
}

function ledgerLine(commit: string, batch: VerifyReport): LedgerLine {
  const { start: from, seeds: ran, events, simulatedMs, failures } = batch;
  return {
    commit,
    start: from,
    seeds: ran,
    events,
    simulatedHours: simulatedMs / 3_600_000,
    failures: failures.map(({ seed }) => seed),
  };
}

async function fuzzing(): Promise<void> {
  let done = 0;
  const startedMs = performance.now();
  const batch = await verifySeeds({
    start,
    seeds,
    threads,
    fuzzInputs: FUZZ_INPUTS,
    costSeeds: Math.ceil(seeds / 20),
    onReport: ({ events }) => {
      const millions = Math.floor((done + events) / 1_000_000);
      if (millions > Math.floor(done / 1_000_000)) {
        process.stderr.write(`${millions} of ${(seeds * FUZZ_INPUTS) / 1_000_000} million inputs\n`);
      }
      done += events;
    },
  });
  for (const { message } of batch.failures) process.stderr.write(`${message}\n`);
  const seconds = (performance.now() - startedMs) / 1000;
  const failures = batch.failures.length;
  const counted = batch.counts["inputs counted"] ?? 0;
  const bytes = Math.max(1, batch.counts["bytes counted"] ?? 0);
  const blocksPerByte = (batch.counts["blocks run"] ?? 0) / bytes;
  const heapPerByte = (batch.counts["bytes of objects"] ?? 0) / bytes;
  if (values.json) {
    const figures = { inputs: batch.events, failures, seconds, counted, blocksPerByte, heapPerByte };
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  } else {
    process.stdout.write(
      `${batch.events} hostile inputs, ${failures} failures, ${seconds.toFixed(1)} s; of ${counted} counted, ` +
        `${blocksPerByte.toFixed(1)} blocks of code and ${heapPerByte.toFixed(0)} bytes of objects a byte of input\n`,
    );
  }
  if (failures > 0) process.exitCode = 1;
}

async function mutants(): Promise<void> {
  // Where worlds fail anyway, every planted bug looks found.
  const { failures } = await verifySeeds({ start, seeds: Math.min(seeds, BASELINE), threads });
  if (failures.length > 0) {
    showFailures(failures);
    process.stderr.write("Cannot judge planted bugs: without any the code fails as above\n");
    process.exitCode = 1;
    return;
  }
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

/** Laws know no regions: what runs real ones is a program of its own. */
async function realNodes(): Promise<void> {
  const program = fileURLToPath(new URL("../test/real/main.ts", import.meta.url));
  const { seed, minutes, rounds, within, json } = values;
  const given = Object.entries({ seed, minutes, rounds, within }).flatMap(([option, value]) =>
    value === undefined ? [] : [`--${option}`, value],
  );
  // The channel tells it when we are gone.
  const child = spawn(process.execPath, [program, ...given, ...(json ? ["--json"] : [])], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  // A terminal tells both of us; whoever signals this process alone is passed on. It ends, and then we do.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
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
      real: { type: "boolean", default: false },
      seed: { type: "string" },
      minutes: { type: "string" },
      rounds: { type: "string" },
      within: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  }).values;
}
