/*
 * Rounds of faults over three regions of two real nodes each, while events are posted to all of them. After each round everything is
 * healed, the stream pauses, and all nodes must become byte-equal; at the end every event must have taken effect once.
 */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { rest } from "../crash-driver.ts";
import { CrashRows } from "../crash-rows.ts";
import { SampleLog } from "../crash-samples.ts";
import { judge } from "../crash-verdict.ts";
import { becomeEqual } from "./equality.ts";
import { type Round, rounds, type Targets } from "./fault-plan.ts";
import { heal, play } from "./harm.ts";
import { connectionOf, Lead } from "./lead.ts";
import { deviationsIn, type RealReport, Tally } from "./report.ts";
import { RealStream } from "./stream.ts";
import { Watch } from "./watch.ts";
import { MODEL, NODES, OWNERS, REGIONS, type RealWorld, startRealWorld, TRAINING } from "./world.ts";

export interface RealOptions {
  readonly seed: number;
  /** No round begins after this. */
  readonly forMs: number;
  /** And no more than so many rounds. */
  readonly roundsMax: number;
  /** All nodes must be equal so long after the stream has paused. */
  readonly equalWithinMs: number;
  /** Told a line for each thing that happens. */
  readonly say: (line: string) => void;
  /** Ends the run in order. */
  readonly signal: AbortSignal;
  /** Faults in the place of those that the seed draws. */
  readonly rounds?: Iterable<Round>;
}

/** What there is to harm. */
export const TARGETS: Targets = {
  regions: REGIONS,
  nodes: REGIONS.flatMap((region) => NODES.map((node) => `${region}/${node}`)),
  owners: REGIONS.map((region) => `${region}/${OWNERS[region] ?? ""}`),
};

const READY_MS = 90_000;
/** Between the heal and the pause of the stream. */
const CALM_MS = 1_500;
/** What is unequal for so long is taken to be so for ever. */
const UNEQUAL_MS = 60_000;
const ACKNOWLEDGED_MS = 60_000;

/** Runs until the time is up, something is wrong or the signal fires; nothing of it is left running. */
export async function runReal(options: RealOptions): Promise<RealReport> {
  const { seed, say, signal } = options;
  const tally = new Tally(say);
  const world = await startRealWorld({
    signal,
    onExit: (node, how) => tally.wrong(`${node} ended by itself: ${how}`),
  });
  await using held = new AsyncDisposableStack();
  held.use(world);
  tally.onLine = (line) => appendFileSync(join(world.folder, "events.log"), `${line}\n`);
  const log = await SampleLog.open(connectionOf(world.readers, TRAINING));
  const stream = held.use(new RealStream(world, { seed, log }));
  const watch = held.use(
    new Watch(world, {
      rows: () => stream.recent(),
      onWrong: ({ what, detail }) => tally.wrong(`${what}: ${detail}`),
    }),
  );
  const lead = new Lead(world, { log, judgement: watch.judgement, say: (line) => tally.say(line) });
  tally.say(`six nodes run in ${world.folder}`);
  await playRounds({ options, world, lead, stream, tally });
  heal(world);
  if (!signal.aborted) {
    await verdict({ world, lead, stream, log, tally }).catch((error: unknown) =>
      tally.wrong(`what took effect cannot be counted: ${String(error)}`),
    );
  }
  const isKept = tally.violations.length > 0;
  if (isKept) world.keep();
  return {
    seed,
    ...tally.figures(),
    promotions: lead.done,
    events: stream.posting.acknowledged,
    resent: stream.posting.resent,
    looks: watch.looks,
    compared: watch.judgement.compared,
    terms: watch.judgement.terms,
    interrupted: signal.aborted,
    ...(isKept ? { folder: world.folder } : {}),
  };
}

interface Running {
  readonly world: RealWorld;
  readonly lead: Lead;
  readonly stream: RealStream;
  readonly tally: Tally;
}

async function playRounds({
  options,
  world,
  lead,
  stream,
  tally,
}: Running & { readonly options: RealOptions }): Promise<void> {
  const signal = AbortSignal.any([options.signal, tally.failed]);
  const untilMs = performance.now() + options.forMs;
  for (const round of options.rounds ?? rounds(options.seed, TARGETS)) {
    if (tally.rounds >= options.roundsMax || performance.now() > untilMs) return;
    if (signal.aborted) return;
    tally.begin(round);
    await play(round, { world, lead, say: (line) => tally.say(line), signal });
    const ready = await Promise.all(world.nodes.map((node) => node.ready(READY_MS, signal)));
    for (const [at, node] of world.nodes.entries()) {
      if (ready[at] === true || signal.aborted) continue;
      const problems = (await node.status())?.problems.join("; ") ?? "it does not answer";
      tally.wrong(`${node.name} is not ready ${READY_MS / 1000} s after the heal: ${problems}`);
    }
    const agreement = await lead.settle(signal);
    if (agreement !== undefined) tally.agreed(agreement);
    await delay(CALM_MS, undefined, { signal }).catch(() => undefined); // woken by the end
    stream.pause();
    await compare({ world, lead, stream, tally }, { ...options, signal });
    stream.resume();
  }
}

/** Waits until nothing is on its way to a node, then until all are equal. */
async function compare({ world, stream, tally }: Running, { equalWithinMs, signal }: RealOptions): Promise<void> {
  const deadline = performance.now() + ACKNOWLEDGED_MS;
  while (stream.posting.open > 0 && performance.now() < deadline && !signal.aborted) await delay(50);
  if (signal.aborted) return;
  const { open } = stream.posting;
  if (open > 0) tally.wrong(`${open} posts are not taken ${ACKNOWLEDGED_MS / 1000} s after the heal`);
  const equality = await becomeEqual(world.nodes, { deadlineMs: Math.max(UNEQUAL_MS, equalWithinMs), signal });
  if (signal.aborted) return;
  tally.compared(equality, equalWithinMs);
}

async function verdict({ world, lead, stream, log, tally }: Running & { readonly log: SampleLog }): Promise<void> {
  await stream.finish();
  const { region } = lead;
  const operator = connectionOf(world.operators, region);
  const rows = new CrashRows(operator, { region, model: MODEL, trainers: [`${MODEL.name}-a`] });
  await rest({ posting: stream.posting, log, stream: stream.events, rows }, (line) => tally.say(line));
  const found = await judge(stream.events.shown, { log, rows });
  tally.effects(found, log.missed);
  for (const deviation of deviationsIn(found, log.missed)) tally.wrong(deviation);
  if (stream.posting.refusal !== undefined) tally.wrong(`events were refused: ${stream.posting.refusal}`);
}
