import { type InferenceProtocol, type InferenceStatus } from "../actors/inference.ts";
import { type JoinerProtocol, type JoinerStatus } from "../actors/joiner.ts";
import { type LeaderProtocol, type LinkLoad } from "../actors/leader-protocol.ts";
import { type ShardProtocol, type ShardStatus } from "../actors/shard-protocol.ts";
import { shardName } from "../actors/shard-name.ts";
import { type StateManagerProtocol } from "../actors/state-manager-protocol.ts";
import { type ModelSummary } from "../actors/watched-model.ts";
import { type TrainerProtocol, type TrainerStatus } from "../actors/trainer.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { createSketch, mergeSketch, quantile } from "../protocols/quantile-sketch.ts";
import { type Asked, type ActorRef, type Address, type Context, defineActor, type Protocol } from "../runtime/actor.ts";
import { type Series } from "../runtime/metrics.ts";
import { type SystemHealth } from "../runtime/system.ts";
import { imageProblems } from "./image-problems.ts";
import { mayTrain, nodeAddresses } from "./node-plan.ts";
import { type RegionConfig } from "./read-config.ts";
import { type ModelStatus, type NodeProtocol, type NodeStatus } from "./status.ts";
import { freshetVersion } from "./version.ts";

/** What the node actor knows of the process it lives in. It runs on the main thread, so it may hold functions. */
export interface NodeActorConfig {
  readonly config: RegionConfig;
  readonly startedMs: number;
  readonly health: () => Promise<SystemHealth>;
  readonly metrics: () => Promise<Series[]>;
  readonly metricsText: () => Promise<string>;
  readonly nats: () => NodeStatus["nats"];
  /** What the process itself knows to be wrong. */
  readonly problems: () => readonly string[];
}

/** Says how the node is: gathers what its actors say of themselves, and waits for none of them long. */
export const nodeActor = defineActor<NodeProtocol, NodeActorConfig>({
  kind: "node",
  messages: ["status", "ready", "metrics"],
  fromElsewhere: ["status"],
  setup: (settings, context) => ({
    handlers: {
      status: () => {
        const answer = context.later<NodeStatus>();
        void gatherStatus(settings, context).then(answer.resolve, answer.reject);
        return answer.reply;
      },
      ready: () => {
        const answer = context.later<Readiness>();
        void gatherReadiness(settings, context).then(answer.resolve, answer.reject);
        return answer.reply;
      },
      metrics: () => {
        const answer = context.later<string>();
        void settings.metricsText().then(answer.resolve, answer.reject);
        return answer.reply;
      },
    },
  }),
});

type Readiness = Pick<NodeStatus, "ready" | "problems">;

const ASK_MS = 800;
/** Orchestrators wait a second for a probe, and HTTP a little less. */
const READY_MS = 700;

/** Asks for what costs nothing: no shard looks at its rows. */
async function gatherReadiness(settings: NodeActorConfig, context: Context<NodeProtocol>): Promise<Readiness> {
  const { config } = settings;
  const addresses = nodeAddresses(config);
  const ask = asker(context, READY_MS);
  const late = context.deadline(READY_MS);
  const [health, series, models] = await Promise.all([
    unlessLate(settings.health(), late),
    unlessLate(settings.metrics(), late),
    Promise.all(
      config.models.map(async (model): Promise<Answered> => {
        const [shards, inference] = await Promise.all([
          Promise.all(
            Array.from({ length: model.shards }, (_, index) =>
              ask<ShardProtocol, "gather">(addresses.shard(model.name, index), "gather", { lists: [] }),
            ),
          ),
          ask<InferenceProtocol, "status">(addresses.inference(model.name), "status", {}),
        ]);
        return { model, shards, inference };
      }),
    ),
  ]);
  const problems = problemsOf(settings, { health, series: series ?? [], models });
  return { ready: problems.length === 0, problems };
}

/** Which actors of a model answered: undefined stands for those that did not. */
interface Answered {
  readonly model: ModelDeclaration;
  readonly shards: readonly unknown[];
  readonly inference: unknown;
}

/** What keeps a node from being ready. */
function problemsOf(
  { config, problems }: NodeActorConfig,
  found: {
    readonly health: SystemHealth | undefined;
    readonly series: readonly Series[];
    readonly models: readonly Answered[];
  },
): string[] {
  const { health, series, models } = found;
  return [
    ...problems(),
    ...(health === undefined ? ["a worker is blocked"] : []),
    ...(health?.workers ?? [])
      .filter(({ state }) => state !== "running")
      .map(({ name, state }) => `worker ${name} is ${state}`),
    ...models.flatMap(({ model, shards, inference }) => [
      ...shards.flatMap((shard, index) =>
        shard === undefined ? [`shard ${shardName(model.name, index)} does not answer`] : [],
      ),
      ...(inference === undefined ? [`the inference replica of ${model.name} does not answer`] : []),
    ]),
    ...(valueOf(series, "freshet_link_connected", { peer: config.region }) === 0
      ? ["not connected to the region's own nats-server"]
      : []),
  ];
}

/** What an actor answers, or nothing: a status must come also from a node that is half down. */
function asker(context: Context<NodeProtocol>, withinMs: number) {
  return async function ask<P extends Protocol<P>, K extends Asked<P>>(
    to: Address,
    message: K,
    request: P[K]["request"],
  ): Promise<P[K]["reply"] | undefined> {
    try {
      const ref: ActorRef<P> = context.ref<P>(to);
      return await ref.ask(message, request, { signal: context.deadline(withinMs) });
    } catch {
      // Whoever is down shows in the workers' states; the reason is in the log.
      return undefined;
    }
  };
}

/** What becomes of work, or undefined once the signal fires. */
async function unlessLate<T>(work: Promise<T>, late: AbortSignal): Promise<T | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  late.addEventListener("abort", () => resolve(undefined), { once: true });
  if (late.aborted) resolve(undefined);
  return Promise.race([work, promise]);
}

async function gatherStatus(settings: NodeActorConfig, context: Context<NodeProtocol>): Promise<NodeStatus> {
  const { config } = settings;
  const addresses = nodeAddresses(config);
  const asksTrainers = mayTrain(config);

  const ask = asker(context, ASK_MS);
  const [health, series, summary, leader, joiner, models] = await Promise.all([
    settings.health(),
    settings.metrics(),
    ask<StateManagerProtocol, "summary">(addresses.stateManager, "summary", {}),
    ask<LeaderProtocol, "status">(addresses.leader, "status", {}),
    asksTrainers ? ask<JoinerProtocol, "status">(addresses.joiner, "status", {}) : undefined,
    Promise.all(
      config.models.map(async (model) => {
        const [shards, trainers, inference] = await Promise.all([
          Promise.all(
            Array.from({ length: model.shards }, (_, index) =>
              ask<ShardProtocol, "status">(addresses.shard(model.name, index), "status", {}),
            ),
          ),
          Promise.all(
            (asksTrainers ? addresses.trainers(model.name) : []).map((each) =>
              ask<TrainerProtocol, "status">(each, "status", {}),
            ),
          ),
          ask<InferenceProtocol, "status">(addresses.inference(model.name), "status", {}),
        ]);
        return { model, shards, trainer: together(trainers), inference };
      }),
    ),
  ]);

  const isTraining = summary?.trains === true;
  const workers = health.workers.map(({ name, state, restarts, lastFailure }) => ({
    name,
    state,
    restarts,
    ...(lastFailure === undefined ? {} : { lastFailure: `${lastFailure.reason}: ${lastFailure.message}` }),
  }));
  const nats = settings.nats();
  const links = linksOf(series, config, leader?.links ?? []);
  const problems = problemsOf(settings, { health, series, models });
  const lag = createSketch();
  for (const { shards } of models) for (const shard of shards) if (shard !== undefined) mergeSketch(lag, shard.lag);
  const [p50, p99] = [quantile(lag, 0.5), quantile(lag, 0.99)];
  return {
    region: config.region,
    node: config.node,
    version: freshetVersion(),
    role: isTraining ? "training" : "serving",
    ...(summary === undefined ? {} : { training: { region: summary.training, term: summary.term } }),
    upSeconds: Math.round((context.now() - settings.startedMs) / 1000),
    ready: problems.length === 0,
    // Links that are down, and images that are not written, are worth saying and no reason not to serve.
    problems: [
      ...problems,
      ...imageProblems(models),
      ...links.filter(({ connected }) => !connected).map(({ peer }) => `the link to ${peer} is down`),
    ],
    models: models.map(({ model, shards, trainer, inference }) =>
      modelStatus({
        model,
        shards,
        inference,
        trainer: isTraining ? trainer : undefined,
        joiner: isTraining ? joiner : undefined,
        summary: summary?.models.find((each) => each.model === model.name),
      }),
    ),
    ...(p50 === undefined || p99 === undefined ? {} : { lagMs: { p50, p99, count: lag.count } }),
    links,
    events: {
      accepted: sumOf(series, "freshet_http_events_total"),
      refused: series
        .filter(({ name, labels }) => name === "freshet_http_requests_total" && labels["route"] === "/v1/events")
        .reduce((sum, { labels, value }) => (Number(labels["status"]) >= 400 ? sum + value : sum), 0),
    },
    workers,
    leaders: (leader?.leaders ?? []).map(({ shard, holder }) => {
      const dash = shard.lastIndexOf("-");
      return { model: shard.slice(0, dash), shard: Number(shard.slice(dash + 1)), holder };
    }),
    nats,
  };
}

/** All trainers of a model as one; undefined while none or not all are known. */
function together(trainers: readonly (TrainerStatus | undefined)[]): TrainerStatus | undefined {
  const known = trainers.filter((each) => each !== undefined);
  if (known.length === 0 || known.length < trainers.length) return undefined;
  return {
    applied: Math.min(...known.map(({ applied }) => applied)),
    durable: Math.min(...known.map(({ durable }) => durable)),
    backlog: Math.max(...known.map(({ backlog }) => backlog)),
    samples: known.reduce((sum, { samples }) => sum + samples, 0),
    late: known.reduce((sum, { late }) => sum + late, 0) / known.length,
  };
}

/** Where all shards have answered, and know it. */
function digestOf(shards: readonly (ShardStatus | undefined)[]): { readonly digest?: string } {
  const digests = shards.map((shard) => shard?.digest);
  return digests.includes(undefined) ? {} : { digest: digests.join("-") };
}

function modelStatus(of: {
  readonly model: ModelDeclaration;
  readonly shards: readonly (ShardStatus | undefined)[];
  readonly inference: InferenceStatus | undefined;
  readonly trainer: TrainerStatus | undefined;
  readonly joiner: JoinerStatus | undefined;
  readonly summary: ModelSummary | undefined;
}): ModelStatus {
  const { model, shards, inference, trainer, joiner, summary } = of;
  return {
    model: model.name,
    rows: shards.reduce((sum, shard) => sum + (shard?.rows ?? 0), 0),
    ...digestOf(shards),
    samples: trainer?.samples ?? 0,
    ...(trainer === undefined || joiner === undefined
      ? {}
      : { backlog: joiner.backlog + trainer.backlog, pending: joiner.pending, stepsLate: trainer.late }),
    ...(summary?.auc === undefined ? {} : { auc: summary.auc }),
    ...(summary?.logLoss === undefined ? {} : { logLoss: summary.logLoss }),
    ...(summary?.calibration === undefined ? {} : { calibration: summary.calibration }),
    ...(summary === undefined || summary.slices.length === 0 ? {} : { slices: summary.slices }),
    ...(summary?.baseline !== undefined && { baseline: summary.baseline }),
    ...(inference?.epochs !== undefined && { epochs: inference.epochs }),
    verdict: summary?.verdict ?? "uncertain",
    ...(summary?.cause === undefined ? {} : { verdictCause: summary.cause }),
  };
}

function linksOf(series: readonly Series[], { peers }: RegionConfig, loads: readonly LinkLoad[]): NodeStatus["links"] {
  return peers.map(({ region: peer }) => {
    const load = loads.find((each) => each.peer === peer);
    const connected = valueOf(series, "freshet_link_connected", { peer }) === 1;
    // Of a link that is down the last one says nothing.
    const rttSeconds = connected ? valueOf(series, "freshet_link_rtt_seconds", { peer }) : undefined;
    return {
      peer,
      connected,
      ...(rttSeconds === undefined ? {} : { rttMs: rttSeconds * 1000 }),
      bytesIn: valueOf(series, "freshet_link_bytes_total", { peer, direction: "in" }) ?? 0,
      bytesOut: valueOf(series, "freshet_link_bytes_total", { peer, direction: "out" }) ?? 0,
      ...(load !== undefined && { pulls: load.pulls }),
    };
  });
}

function valueOf(
  series: readonly Series[],
  name: string,
  labels: Readonly<Record<string, string>>,
): number | undefined {
  return series.find(
    (each) => each.name === name && Object.entries(labels).every(([label, value]) => each.labels[label] === value),
  )?.value;
}

function sumOf(series: readonly Series[], name: string): number {
  return series.reduce((sum, each) => (each.name === name ? sum + each.value : sum), 0);
}
