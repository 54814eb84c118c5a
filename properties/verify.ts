/*
 * npm run verify: many simulated worlds, and the planted bugs.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { verifyMutants, verifySeeds } from "./verify-seeds.ts";
import { runWorld } from "./world/world.ts";

const HELP = `npm run verify -- [options]

Runs simulated worlds over the real synchronisation core: links that lose, repeat, reorder and corrupt, cuts, crashes, jumping
clocks. Each seed is one world, run twice and compared. A failure prints the seed and the command that replays it.

  --seeds N    how many worlds (default 1000)
  --start S    the first seed (default 1)
  --trace      print everything that happens in the worlds, in this thread
  --mutants    plant each known bug instead, and run until a world fails, at most N worlds each
  --json       one object on standard output: {seeds, failures, events, simulatedHours} or {planted, killed, equivalent}
  --help       this text

It ends with status 0 when nothing failed, or when every planted bug was found.
`;

const values = readOptions();
const seeds = wholeNumber("--seeds", values.seeds);
const start = wholeNumber("--start", values.start);
const threads = availableParallelism();
if (values.help) process.stdout.write(HELP);
else if (values.trace) traceWorlds();
else if (values.mutants) await mutants();
else await worlds();

async function worlds(): Promise<void> {
  let done = 0;
  const report = await verifySeeds({
    start,
    seeds,
    threads,
    onProgress: (more) => {
      done += more;
      process.stderr.write(`${done} of ${seeds} worlds\n`);
    },
  });
  for (const { seed, message } of report.failures) {
    const replay = seed < 0 ? "a directed situation" : `npm run verify -- --seeds 1 --start ${seed} --trace`;
    process.stderr.write(`${message}\n  ${replay}\n`);
  }
  const simulatedHours = report.simulatedMs / 3_600_000;
  if (values.json) {
    process.stdout.write(
      `${JSON.stringify({ seeds: report.seeds, failures: report.failures.length, events: report.events, simulatedHours })}\n`,
    );
  } else {
    process.stdout.write(
      `${report.seeds} worlds, ${report.failures.length} failures, ${report.events} events, ${simulatedHours.toFixed(2)} simulated hours\n`,
    );
  }
  if (report.failures.length > 0) process.exitCode = 1;
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
      mutants: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  }).values;
}
