import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { ensureNatsServer } from "../../runtime/nats-server/provision.ts";
import { openData } from "../data/open-data.ts";
import { DEMO_TRAINING_REGION, type DemoRegion, writeDemoConfigs } from "./demo-regions.ts";
import { type DemoOutcome, describeConvergence, describeOutcome, summarizeRegion } from "./demo-summary.ts";
import { DemoWatch, type Sent } from "./demo-watch.ts";
import { EventSender } from "./event-sender.ts";
import { readFeedPosition, writeFeedPosition } from "./feed-position.ts";
import { type Feed, replayFeed } from "./feed.ts";
import { marketFeed, marketPlan } from "./market-feed.ts";
import { Pace } from "./pace.ts";
import { RegionFailed, RegionProcess, STOP_MS_MAX } from "./region-process.ts";
import { readRowsApplied } from "./region-status.ts";
import { Screen, type ScreenOutput } from "./screen.ts";
import { type StreamProgress, streamFeed } from "./stream.ts";

export interface DemoOptions {
  /** A folder of real clicks. Default: the simulated market. */
  readonly data?: string;
  /** Event time per real time. Default: as fast as the regions learn. A market has the speed of the clock. */
  readonly speed?: number;
  /** Ends the stream after this time. Default: with the data, or by the signal. */
  readonly forMs?: number;
  /** Keeps standard output for the outcome as one JSON object. */
  readonly json: boolean;
  readonly seed?: number;
  /** The first of six ports. Default: free ones. */
  readonly portBase?: number;
  /** Keeps configs, logs and state here; a second run goes on from there. Default: a temporary folder, removed at the end. */
  readonly state?: string;
  /** The program that starts a region node from `start CONFIG`. Default: our own command line. */
  readonly cli?: string;
  /** Ends the demo in order. */
  readonly signal: AbortSignal;
}

/** Runs three regions and streams feedback through them; prints the outcome. Gives the exit code: 1 when the regions did not converge in time. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const output: ScreenOutput = options.json ? process.stderr : process.stdout;
  const outcome = await demonstrate(options, output);
  if (outcome === undefined) return 0;
  if (options.json) process.stdout.write(`${JSON.stringify(outcome.summary)}\n`);
  else for (const line of describeOutcome(outcome)) process.stdout.write(`${line}\n`);
  return outcome.summary.converged || options.signal.aborted ? 0 : 1;
}

/** Runs the demo and gives its outcome; undefined when it was ended before the regions were up. Shows progress on `output`. */
export async function demonstrate(options: DemoOptions, output: ScreenOutput): Promise<DemoOutcome | undefined> {
  const { seed = 1, signal } = options;
  const screen = new Screen(output, { color: output.isTTY === true && (process.env["NO_COLOR"] ?? "") === "" });
  function say(line: string): void {
    screen.say(line);
  }
  // Before anything is started: a wrong folder is said at once.
  const data = options.data === undefined ? undefined : await openData(options.data);

  await using stack = new AsyncDisposableStack();
  let keep = options.state !== undefined;
  const folder = options.state === undefined ? await mkdtemp(join(tmpdir(), "freshet-demo-")) : resolve(options.state);
  stack.defer(async () => {
    if (!keep) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const beginning = {
    data: options.data === undefined ? "" : resolve(options.data),
    seed,
    requests: 0,
    startedMs: Date.now(),
  };
  const position = await readFeedPosition(folder, beginning);
  const natsServer = await ensureNatsServer({ say, signal });
  const replay = data === undefined ? undefined : replayFeed(data, { seed, from: position.requests });
  const regions = await writeDemoConfigs(folder, {
    plan: replay ?? marketPlan(seed),
    natsServer: natsServer.path,
    portBase: options.portBase,
  });
  const feed = replay ?? marketFeed({ seed, startMs: position.startedMs, urls: regions.map(({ url }) => url) });
  say(`Streaming ${feed.title}`);
  if (options.state !== undefined) say(`State, configs and logs are in ${folder}`);

  const processes = regions.map((region) =>
    stack.use(new RegionProcess(region, { say, ...(options.cli === undefined ? {} : { cli: options.cli }) })),
  );
  // All stop at the same time; disposing them one by one afterwards finds them stopped.
  stack.defer(async () => void (await Promise.all(processes.map((each) => each.stop({ deadlineMs: STOP_MS_MAX })))));
  try {
    await Promise.all(processes.map((each) => each.ready({ signal, deadlineMs: READY_MS_MAX })));
    say(describeRegions(regions));
    const outcome = await streamAndWatch({ options, feed, regions, processes, screen, from: position.requests });
    await writeFeedPosition(folder, { ...position, requests: outcome.requests });
    for (const remark of feed.remarks()) say(remark);
    if (options.json) say(describeConvergence(outcome));
    return outcome;
  } catch (error) {
    keep ||= error instanceof RegionFailed; // its log says why
    if (signal.aborted && !(error instanceof RegionFailed)) return undefined;
    throw error;
  }
}

function describeRegions(regions: readonly DemoRegion[]): string {
  const each = regions.map(
    ({ region, url }) => `${region}${region === DEMO_TRAINING_REGION ? " (trains)" : ""} ${url}`,
  );
  return `Three regions are up: ${each.join(", ")}`;
}

interface Running {
  readonly options: DemoOptions;
  readonly feed: Feed;
  readonly regions: readonly DemoRegion[];
  readonly processes: readonly RegionProcess[];
  readonly screen: Screen;
  readonly from: number;
}

async function streamAndWatch(running: Running): Promise<DemoOutcome & { readonly requests: number }> {
  const { options, feed, regions, processes, screen } = running;
  const { signal, forMs } = options;
  const failed = new AbortController(); // a region ended by itself
  for (const each of processes) void each.ended.then(() => each.failure !== undefined && failed.abort(each.failure));
  const streamEnd = AbortSignal.any([
    signal,
    failed.signal,
    ...(forMs === undefined ? [] : [AbortSignal.timeout(forMs)]),
  ]);
  const done = new AbortController();
  const senders = regions.map(
    ({ url }) => new EventSender({ url, signal: AbortSignal.any([failed.signal, done.signal]) }),
  );
  const progress: StreamProgress = { events: 0, requests: running.from };
  const watch = new DemoWatch(regions);
  const pace = new Pace();
  let phase = "streaming";
  function sent(): Sent {
    return { events: progress.events, messages: senders.reduce((sum, { messages }) => sum + messages, 0) };
  }
  function show(): void {
    const rates = watch.rates();
    screen.show({
      phase,
      elapsedMs: watch.elapsedMs,
      progress: shareDone({ feed, elapsedMs: watch.elapsedMs, forMs }),
      events: progress.events,
      eventsPerSecond: rates.events,
      samples: watch.model?.samples ?? 0,
      samplesPerSecond: rates.samples,
      auc: watch.model?.auc,
      logLoss: watch.model?.logLoss,
      waiting: {
        messages: watch.model?.backlog ?? 0,
        impressions: watch.model?.pending ?? 0,
        behindMs: watch.learning.behindMs,
      },
      regions: regions.map(({ region }, index) => ({
        region,
        training: region === DEMO_TRAINING_REGION,
        status: watch.statuses[index],
      })),
      extra: feed.extra(),
    });
  }

  const startMs = performance.now();
  const streaming = streamFeed(feed, {
    senders,
    speed: feed.live ? undefined : options.speed,
    // A chosen speed is a wish: when learning cannot keep up with it, the backlog shows that.
    ...(feed.live || options.speed === undefined ? { pace } : {}),
    signal: streamEnd,
    progress,
  }).finally(() => done.abort());
  const watching = (async () => {
    while (!done.signal.aborted) {
      await watch.look({ sent: sent(), signal: failed.signal });
      pace.look(watch.learning);
      show();
      await setTimeout(LOOK_MS, undefined, { signal: done.signal }).catch(() => undefined); // woken by the stream's end
    }
  })();
  await Promise.all([streaming, watching]).catch((error: unknown) => {
    throw failed.signal.aborted ? failed.signal.reason : error;
  });
  failed.signal.throwIfAborted();
  const endMs = performance.now();

  phase = "converging";
  const waited = AbortSignal.any([signal, failed.signal, AbortSignal.timeout(CONVERGE_MS_MAX)]);
  const convergedMs = await watch.converged({ sinceMs: endMs, sent: sent(), signal: waited, show });
  failed.signal.throwIfAborted();
  // A status that a stop interrupted says nothing; the last word is asked for without hurry.
  await watch.look({ sent: sent(), signal: failed.signal });
  phase = "done";
  show();
  screen.end();
  const converged = convergedMs !== undefined || watch.settled;
  return {
    requests: progress.requests,
    summary: {
      events: progress.events,
      samples: watch.model?.samples ?? 0,
      progressiveAuc: watch.model?.auc ?? null,
      regions: regions.map(({ region }, index) => summarizeRegion(region, watch.statuses[index])),
      converged,
      convergedMs: convergedMs === undefined ? null : Math.round(convergedMs),
    },
    logLoss: watch.model?.logLoss,
    stopped: signal.aborted && !converged,
    unlearned: { messages: watch.model?.backlog ?? 0, impressions: watch.model?.pending ?? 0 },
    streamMs: endMs - startMs,
    trainedMs: Math.max(0, watch.samplesChangedMs - startMs),
    rowsApplied: await Promise.all(regions.map(({ url }) => readRowsApplied(url, failed.signal))),
    measures: feed.measures(),
  };
}

const READY_MS_MAX = 120_000;
const CONVERGE_MS_MAX = 900_000;
const LOOK_MS = 250;

function shareDone(options: {
  readonly feed: Feed;
  readonly elapsedMs: number;
  readonly forMs: number | undefined;
}): number | undefined {
  const { feed, elapsedMs, forMs } = options;
  const ofTime = forMs === undefined ? 0 : elapsedMs / forMs;
  const ofData = feed.progress();
  return ofData === undefined && forMs === undefined ? undefined : Math.max(ofTime, ofData ?? 0);
}
