/*
 * One region node: one process, from one config file. Its state folder is locked, its nats-server runs (or is reached), its workers
 * host the actors, and one actor on the main thread says how it all is. Started in the order in which things need each other, and
 * stopped in the reverse.
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Labels, type Logger } from "../runtime/actor.ts";
import { prepareTensorflow } from "../runtime/compute/tensorflow/load.ts";
import { createLogger, type LogSink } from "../runtime/log.ts";
import { codeFolder } from "../runtime/permissions.ts";
import { type Canary } from "../runtime/probe.ts";
import { lockStateFolder } from "../runtime/state-lock.ts";
import { ActorSystem } from "../runtime/system.ts";
import { httpWorker } from "./http-worker.ts";
import { linkWorker } from "./link-worker.ts";
import { watchNats } from "./nats-watch.ts";
import { startNatsServer } from "./node-nats.ts";
import { nodeActor } from "./node-actor.ts";
import { baselineActor, judgedBy } from "./baseline-actor.ts";
import {
  baselineId,
  hasScratch,
  imageFolder,
  mayTrain,
  nodeAddresses,
  planWorkers,
  scratchFolder,
} from "./node-plan.ts";
import { createPool } from "../runtime/pool.ts";
import { type RegionConfig } from "./read-config.ts";
import { type NodeProtocol, type NodeStatus } from "./status.ts";
import { restoringFolder } from "./snapshot/image-names.ts";
import { warmStart } from "./warm-start.ts";

export interface NodeOptions {
  readonly log: LogSink;
  /** Gives up the start. */
  readonly signal?: AbortSignal;
}

/** A running region node. Hold it with `await using`: disposal stops it in order. */
export interface RegionNode extends AsyncDisposable {
  readonly region: string;
  readonly natsUrl: string;
  readonly system: ActorSystem;
  /** Fulfilled when the node cannot go on by itself, with why: a worker or the nats-server is given up. */
  readonly ended: Promise<string>;
  status(): Promise<NodeStatus>;
}

/** Of the root of a disk. */
const LOST_AND_FOUND = "lost+found";
const STOP_MS = 15_000;
const STATUS_MS = 5_000;

/**
 * Starts a region node; resolves when all its actors run. Rejects with the error of whatever could not start, each of which says what
 * to do, and then nothing is left running.
 */
export async function startNode(config: RegionConfig, options: NodeOptions): Promise<RegionNode> {
  if (config.compute.kind === "tensorflow") prepareTensorflow(config.compute.home);
  await using undo = new AsyncDisposableStack();
  const log = createLogger(options.log, { source: config.region, nowMs: () => Date.now(), level: config.log.level });
  const startedMs = Date.now();
  const problems = new Map<string, string>();
  const { promise: ended, resolve: end } = Promise.withResolvers<string>();

  await mkdir(config.state, { recursive: true, mode: 0o700 });
  undo.use(await lockStateFolder(config.state, { owner: `region ${config.region}, node ${config.node}` }));
  await rm(restoringFolder(config.state), { recursive: true, force: true });
  await mkdir(imageFolder(config), { recursive: true, mode: 0o700 });
  await emptyScratch(config);
  const { signal } = options;
  // The server starts before the system that has the metrics, and what it counts meanwhile waits.
  const started = Promise.withResolvers<ActorSystem>();
  function count(name: string, labels?: Labels): void {
    void started.promise.then(({ ownMetrics }) => ownMetrics.count(name, 1, labels));
  }
  const nats = undo.use(
    await startNatsServer(config, { log, problems, count, end, ...(signal === undefined ? {} : { signal }) }),
  );

  await warmStarts(config, log);
  await moveToEmptyFolder(config, undo);
  const system = await ActorSystem.start(systemOptions(config, options.log, await placeCanaries(config)));
  started.resolve(system);
  undo.defer(() => system.stop({ deadlineMs: STOP_MS }));
  void system.failed.then((failure) => end(failure.message));
  await system.host(nodeActor, {
    id: config.node,
    config: {
      config,
      startedMs,
      health: () => system.health(),
      metrics: () => system.metrics(),
      metricsText: () => system.metricsText(),
      nats: () => nats.about,
      problems: () => [...problems.values()],
    },
  });
  const workers = [
    await linkWorker(config, nats),
    ...planWorkers(config),
    ...(config.http === false ? [] : [await httpWorker(config, config.http)]),
  ];
  const heapMb = Math.ceil(config.supervision.heapBytes / 2 ** 20);
  // One after the other: each may need those before it.
  for (const worker of workers) await system.worker({ heapMb, ...worker });
  await hostBaseline(config, system, undo);
  undo.use(watchNats({ config, system, nats, log, problems }));
  log.info("The region node is up", { nats: nats.url, mayTrain: mayTrain(config) });

  const all = undo.move();
  const address = { region: config.region, kind: "node", id: config.node };
  return {
    region: config.region,
    natsUrl: nats.url,
    system,
    ended,
    status: () => system.ref<NodeProtocol>(address).ask("status", {}, { signal: AbortSignal.timeout(STATUS_MS) }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function systemOptions(
  config: RegionConfig,
  sink: LogSink,
  canaries: readonly Canary[],
): Parameters<typeof ActorSystem.start>[0] {
  const { restarts, withinMs, backoffMs, backoffMaxMs, blockedAfterMs } = config.supervision;
  return {
    region: config.region,
    sink,
    level: config.log.level,
    inspect: config.inspect,
    canaries,
    stuckAfterMs: blockedAfterMs,
    restart: { restartsMax: restarts, withinMs, delayMinMs: backoffMs, delayMaxMs: backoffMaxMs },
  };
}

/** Baselines are retrained in a pool, which only the main thread may have. */
async function hostBaseline(config: RegionConfig, system: ActorSystem, undo: AsyncDisposableStack): Promise<void> {
  if (config.baseline === false || !mayTrain(config)) return;
  const module = new URL("./baseline-worker.ts", import.meta.url);
  const pool = undo.use(createPool({ module, threadsMax: 1 }));
  const { stream, stateManager, joiner } = nodeAddresses(config);
  await system.host(baselineActor, {
    id: baselineId(config.node),
    config: {
      ...config.baseline,
      region: config.region,
      models: config.models,
      batch: config.trainer.batch,
      stream,
      stateManager,
      joiner,
      retrain: async (task, signal) => judgedBy(await pool.run("retrain", task, { signal })),
    },
  });
}

/** Models that are new here, and are to begin with what others have learned, get their first images. */
async function warmStarts(config: RegionConfig, log: Logger): Promise<void> {
  const { region, node, trainer } = config;
  if (!mayTrain(config) || config.training !== region) return;
  for (const [name, { from, model: as = name }] of Object.entries(trainer.warmStart)) {
    const model = config.models.find((each) => each.name === name);
    if (model === undefined) continue;
    const tables = await warmStart({ model, from, as, folder: imageFolder(config), region, node, nowMs: Date.now() });
    for (const { table, rows, hasState, why } of tables ?? []) {
      if (why === undefined) log.info("A model begins with another's rows", { model: name, table, rows, hasState });
      else log.warn("A table begins empty, as it is not the same in both models", { model: name, table, why });
    }
  }
}

/** What a crash left there is as large as the tables were, so it goes, also where no table needs it any more. The folder itself stays: it may be a disk of its own. */
async function emptyScratch(config: RegionConfig): Promise<void> {
  const folder = scratchFolder(config);
  if (hasScratch(config)) await mkdir(folder, { recursive: true, mode: 0o700 });
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (name !== LOST_AND_FOUND) await rm(join(folder, name), { recursive: true, force: true });
}

/** Permissions do not cover what lies under the working directory, so for as long as the node runs nothing does. */
async function moveToEmptyFolder({ state }: RegionConfig, undo: AsyncDisposableStack): Promise<void> {
  const empty = join(state, "empty");
  await mkdir(empty, { recursive: true, mode: 0o700 });
  const before = process.cwd();
  process.chdir(empty);
  undo.defer(() => process.chdir(before));
}

/** Places that no worker may reach: each tries them when it starts, and ends if it can. Those that need not exist, do not. */
async function placeCanaries(config: RegionConfig): Promise<Canary[]> {
  const inState = join(config.state, "canary");
  await writeFile(inState, "A worker that can read this has more rights than it was granted.\n", { mode: 0o600 });
  return [
    { path: inState, refused: ["read", "write"] },
    { path: join(dirname(codeFolder), "freshet-canary"), refused: ["read", "write"] },
    { path: join(codeFolder, "package.json"), refused: ["write"] },
  ];
}
