/*
 * Feedback through a system whose processes are killed at random moments, and whose threads and actors are ended one by one; then
 * whether each click and each impression took effect once. The seed decides what is sent and what is killed; when exactly that hits is
 * the machine's affair, so a run that fails is repeated in kind and not in detail.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createRandom } from "../protocols/random.ts";
import { crashes, pause } from "./crash-plan.ts";
import { Posting } from "./crash-posting.ts";
import { CrashRows } from "./crash-rows.ts";
import { SampleLog } from "./crash-samples.ts";
import { CrashStream } from "./crash-stream.ts";
import { type CrashVerdict, judge, lacking } from "./crash-verdict.ts";
import { type CrashWorld, MODEL, startCrashWorld, TRAINERS, TRAINING } from "./crash-world.ts";

export interface CrashOptions {
  readonly seed: number;
  /** Processes to end with SIGKILL. */
  readonly kills: number;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal;
  /** A folder to work in that is left for looking at. */
  readonly keep?: string;
}

export interface CrashReport extends CrashVerdict {
  readonly seed: number;
  readonly kills: number;
  /** Threads and actors ended while the rest of their process went on. */
  readonly parts: number;
  readonly starts: number;
  /** Processes that ended by themselves. */
  readonly gaveUp: number;
  readonly events: number;
  readonly resent: number;
  /** An answer that refused events which it should have taken. */
  readonly refusal: string | undefined;
  /** Messages of samples that were purged before the test read them: for these nothing is known. */
  readonly missed: number;
}

const ROUND_MS = 250;
/** Posts on their way above which no more is shown: a region that is away must not be flooded when it is back. */
const OPEN_MAX = 60;
/** A start costs some three seconds of CPU: beside ten busy processes it took 43 by the clock. */
const READY_MS = 180_000;
const RUN_MS_MAX = 900;
const DRAIN_MS = 60_000;

/** Runs until so many processes were killed, lets the system come to rest, and counts. */
export async function runCrashes(options: CrashOptions): Promise<CrashReport> {
  const { seed, say, signal } = options;
  await using world = await startCrashWorld({ keep: options.keep });
  for (const region of world.regions) await region.start();
  for (const region of world.regions) await region.ready(READY_MS);
  await using posting = new Posting(new Map(world.regions.map(({ region, url }) => [region, url])));
  const log = await SampleLog.open(world.nc);
  const stream = new CrashStream({ seed, regions: world.regions.map(({ region }) => region) });

  let kills = 0;
  let parts = 0;
  let streaming = true;
  async function feed(): Promise<void> {
    while (streaming) {
      if (posting.open < OPEN_MAX) for (const post of stream.round(Date.now())) posting.send(post);
      for (const post of stream.due(Date.now(), { all: false })) posting.send(post);
      await log.read();
      await delay(ROUND_MS);
    }
  }
  const feeding = feed();
  try {
    const random = createRandom(seed + 1);
    for (const crash of crashes(random)) {
      await pause(random, RUN_MS_MAX);
      if (kills >= options.kills || signal?.aborted === true) break;
      await crash.run(world, random);
      kills += crash.kills;
      parts += crash.kills === 0 ? 1 : 0;
      for (const region of world.regions) await region.ready(READY_MS);
      say(`${kills} killed, ${parts} parts ended: ${crash.name}; ${stream.shown.size} shown, ${posting.resent} resent`);
    }
  } finally {
    streaming = false;
    await feeding;
  }
  for (const post of stream.due(Date.now(), { all: true })) posting.send(post);
  const rows = new CrashRows(world.operator, { region: TRAINING, model: MODEL, trainers: TRAINERS });
  await rest({ posting, log, stream, rows }, say);
  const verdict = await judge(stream.shown, { log, rows, isStepPerMessage: true });
  return {
    ...verdict,
    seed,
    kills,
    parts,
    starts: sum(world, ({ starts }) => starts),
    gaveUp: sum(world, ({ gaveUp }) => gaveUp),
    events: posting.acknowledged,
    resent: posting.resent,
    refusal: posting.refusal,
    missed: log.missed,
  };
}

/** Waits until all is acknowledged, joined and learned; or until it takes too long, and then the verdict says what is lost. */
export async function rest(
  of: { posting: Posting; log: SampleLog; stream: CrashStream; rows: CrashRows },
  say: (line: string) => void,
): Promise<void> {
  const { posting, log, stream, rows } = of;
  const deadline = performance.now() + DRAIN_MS;
  let why = "";
  while (performance.now() < deadline) {
    await delay(200);
    const isRead = await log.read();
    const applied = await rows.applied().catch(() => -1);
    const behind = [...posting.stored].filter(
      ([region, seq]) => (log.last?.positions.find(({ source }) => source === region)?.applied ?? 0) < seq,
    );
    const open = lacking(stream.shown, log).length;
    why = `${posting.open} posts, ${behind.length} sources, ${open} samples, learned to ${applied} of ${log.seq}`;
    if (isRead && posting.open === 0 && behind.length === 0 && open === 0 && applied >= log.seq) return;
  }
  say(`It did not come to rest in ${DRAIN_MS / 1_000} s: ${why}`);
}

function sum(world: CrashWorld, of: (region: CrashWorld["regions"][number]) => number): number {
  return world.regions.reduce((total, region) => total + of(region), 0);
}
