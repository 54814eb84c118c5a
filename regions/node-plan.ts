/*
 * Which actors a region node runs, in which workers, with which permissions. Data only: what `node.ts` starts, tests can read.
 */
import { dirname } from "node:path";
import { type InferenceConfig } from "../actors/inference.ts";
import { type JoinerConfig } from "../actors/joiner.ts";
import { type LeaderConfig } from "../actors/leader.ts";
import { type ShardConfig } from "../actors/shard-config.ts";
import { replicaAddress, shardName } from "../actors/shard-name.ts";
import { type StateManagerConfig } from "../actors/state-manager.ts";
import { type TrainerConfig } from "../actors/trainer.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type Address } from "../runtime/actor.ts";
import { backendPermissions } from "../runtime/compute/backends.ts";
import { trainerId } from "../protocols/learning/trainer-layout.ts";
import { type OwnFunctionConfig } from "../runtime/own-function.ts";
import { type FileStoreConfig } from "../runtime/file-store.ts";
import { type WorkerSpec } from "../runtime/managed-worker.ts";
import { type RestartPolicy } from "../runtime/supervisor.ts";
import { type ActorSpec } from "../runtime/worker-protocol.ts";
import { type RegionConfig } from "./read-config.ts";

/** Where this node's actors are reached. */
export interface NodeAddresses {
  readonly stream: Address;
  readonly files: Address;
  readonly leader: Address;
  readonly stateManager: Address;
  readonly joiner: Address;
  readonly shard: (model: string, shard: number) => Address;
  /** What the ids of a model's trainers begin with, and the trainers. */
  readonly trainerBase: (model: string) => string;
  readonly trainers: (model: string) => readonly Address[];
  readonly inference: (model: string) => Address;
  readonly urgency: (model: string) => Address;
}

/** The node that trains is the one of this name, in the region that does. */
export const TRAINING_NODE = "a";

/** Of its heap a joiner remembers a quarter: half while it reads again, and the rest is for what passes through and for the collector. */
const JOINER_HEAP_PARTS = 4;
const HELD_MAX = 100_000;
const SCATTERED_MAX = 100_000;
const FUTURE_MS_MAX = 60_000;
/** How long a source may be silent until its windows are closed by the clock. */
const IDLE_AFTER_MS = 1_000;
const JUDGE_MS = 10_000;
const OWN_HEAP_MB = 256;
/** For an actor that fails when a server it needs is away, and has only to begin again when it is back. */
const FOR_EVER: RestartPolicy = {
  restartsMax: Number.MAX_SAFE_INTEGER,
  withinMs: 60_000,
  delayMinMs: 100,
  delayMaxMs: 5_000,
};

/** The regions that hold all it takes to train: optimizer state, the stream of samples and the log. */
export function fullRegions({ training, standby }: Pick<RegionConfig, "training" | "standby">): string[] {
  return [training, ...standby];
}

/** Whether this is the node of its region that trains whenever the region does. */
export function mayTrain(config: Pick<RegionConfig, "region" | "node" | "training" | "standby">): boolean {
  return config.node === TRAINING_NODE && fullRegions(config).includes(config.region);
}

export function nodeAddresses({
  region,
  node,
  trainer: { count },
}: Pick<RegionConfig, "region" | "node"> & {
  readonly trainer: Pick<RegionConfig["trainer"], "count">;
}): NodeAddresses {
  function trainerBase(model: string): string {
    return `${model}-${node}`;
  }
  function at(kind: string, id: string): Address {
    return { region, kind, id };
  }
  return {
    stream: at("stream", node),
    files: at("files", node),
    leader: at("leader", node),
    stateManager: at("state-manager", node),
    joiner: at("joiner", node),
    shard: (model, shard) => replicaAddress({ region, node }, shardName(model, shard)),
    trainerBase,
    trainers: (model) =>
      Array.from({ length: count }, (_, index) => at("trainer", trainerId(trainerBase(model), { index, count }))),
    inference: (model) => at("inference", `${model}-${node}`),
    urgency: (model) => at("own-function", `urgency-${model}-${node}`),
  };
}

/** The id of the actor that retrains baselines. No model's trainer is called so: a trainer's id ends in its node's name. */
export function baselineId(node: string): string {
  return `${node}-baseline`;
}

/** The workers that hold no socket. The link's and HTTP's are added by `node.ts`, which knows the secrets. */
export function planWorkers(config: RegionConfig): WorkerSpec[] {
  const shardFolders = [imageFolder(config), ...(hasScratch(config) ? [scratchFolder(config)] : [])];
  const isTraining = mayTrain(config);
  return [
    {
      name: "shards",
      permissions: { read: shardFolders, write: shardFolders },
      actors: [files(config), ...config.models.flatMap((model) => shards(config, model))],
    },
    {
      name: "control",
      permissions: {},
      actors: [leader(config), stateManager(config), ...(isTraining ? [joiner(config)] : [])],
    },
    ...config.models.map((model) => ({
      name: `inference-${model.name}`,
      permissions: backendPermissions(config.compute),
      actors: [inference(config, model)],
    })),
    ...(isTraining ? Object.entries(config.urgency).map(([model, path]) => urgency(config, { model, path })) : []),
    ...(isTraining
      ? config.models.flatMap((model) =>
          nodeAddresses(config)
            .trainers(model.name)
            .map((_, index) => ({
              name: index === 0 ? `trainer-${model.name}` : `trainer-${model.name}.${index + 1}`,
              permissions: backendPermissions(config.compute),
              actors: [trainer(config, model, index)],
            })),
        )
      : []),
  ];
}

/** Where the shards' images lie. */
export function imageFolder({ state }: Pick<RegionConfig, "state">): string {
  return `${state}/shards`;
}

/** Where rows of tables lie that are not all in memory. Nothing there outlives the node. */
export function scratchFolder({ state }: Pick<RegionConfig, "state">): string {
  return `${state}/scratch`;
}

export function hasScratch({ models }: Pick<RegionConfig, "models">): boolean {
  return models.some(({ tables }) => tables.some(({ memoryBytes }) => memoryBytes !== undefined));
}

function shardAddresses(config: RegionConfig, model: ModelDeclaration): Address[] {
  const { shard } = nodeAddresses(config);
  return Array.from({ length: model.shards }, (_, index) => shard(model.name, index));
}

function shards(config: RegionConfig, model: ModelDeclaration): ActorSpec[] {
  const addresses = nodeAddresses(config);
  return shardAddresses(config, model).map(({ id }, index): ActorSpec => {
    const shard: ShardConfig = {
      region: config.region,
      node: config.node,
      model,
      shard: index,
      name: shardName(model.name, index),
      primaryAt: replicaAddress({ region: config.training, node: TRAINING_NODE }, shardName(model.name, index)),
      full: fullRegions(config).includes(config.region),
      leader: addresses.leader,
      files: addresses.files,
      ...(hasScratch(config) && { scratch: `${scratchFolder(config)}/${shardName(model.name, index)}` }),
      snapshotMs: config.snapshot.everyMs,
      jumpMs: config.sync.jumpLimitMs,
      urgentHoldMs: config.sync.urgentHoldMs,
      orphanMs: config.sync.orphanMs,
      ...(mayTrain(config) && config.urgency[model.name] !== undefined && { scorer: addresses.urgency(model.name) }),
    };
    return spec("shard", "shard", id, shard);
  });
}

/** A function of the operator's own. Whatever it does, nothing else waits for it or ends with it. */
function urgency(config: RegionConfig, { model, path }: { readonly model: string; readonly path: string }): WorkerSpec {
  const own: OwnFunctionConfig = { path, name: "urgency" };
  return {
    name: `urgency-${model}`,
    permissions: { read: [dirname(path)] },
    heapMb: OWN_HEAP_MB,
    restart: FOR_EVER,
    actors: [
      {
        ...spec("own-function", "ownFunction", nodeAddresses(config).urgency(model).id, own),
        module: new URL("../runtime/own-function.ts", import.meta.url),
        restart: FOR_EVER,
      },
    ],
  };
}

function files(config: RegionConfig): ActorSpec {
  const store: FileStoreConfig = { folder: imageFolder(config) };
  return {
    ...spec("shard", "files", config.node, store),
    module: new URL("../runtime/file-store.ts", import.meta.url),
    export: "fileStore",
  };
}

function leader(config: RegionConfig): ActorSpec {
  const { region, node, leases } = config;
  const settings: LeaderConfig = {
    region,
    node,
    shards: config.models.flatMap((model) =>
      Array.from({ length: model.shards }, (_, index) => shardName(model.name, index)),
    ),
    mayTrain: mayTrain(config),
    peers: pulledFrom(config),
    pollWaitMs: config.sync.pollWaitMs,
    gapMs: config.sync.gapMs,
    stream: nodeAddresses(config).stream,
    leaseMs: leases.durationMs,
  };
  return spec("leader", "leader", node, settings);
}

/** Whom a node's shards are pulled from, while they are not the primaries: full ones from full ones, as no other holds state. */
function pulledFrom(config: RegionConfig): LeaderConfig["peers"] {
  const { region, node, nodes, peers } = config;
  const full = fullRegions(config);
  const siblings = nodes.filter((name) => name !== node).map((name) => ({ region, node: name }));
  const from = full.includes(region) ? peers.filter((peer) => full.includes(peer.region)) : peers;
  return [
    ...siblings,
    ...from.flatMap(({ region: at, nodes: names, budget }) =>
      names.map((name) => ({ region: at, node: name, ...(budget !== undefined && { bytesPerSecond: budget }) })),
    ),
  ];
}

function stateManager(config: RegionConfig): ActorSpec {
  const addresses = nodeAddresses(config);
  const settings: StateManagerConfig = {
    region: config.region,
    regions: regionsOf(config),
    training: config.training,
    full: fullRegions(config),
    mayTrain: mayTrain(config),
    trainer: TRAINING_NODE,
    nodes: [
      ...config.nodes.map((node) => ({ region: config.region, node })),
      ...config.peers.flatMap(({ region, nodes }) => nodes.map((node) => ({ region, node }))),
    ],
    models: config.models.map(({ name }) => name),
    stream: addresses.stream,
    holdings: config.models.flatMap((model) =>
      shardAddresses(config, model).map((shard, index) => ({
        name: shardName(model.name, index),
        shard,
        trainers: addresses.trainers(model.name).map(({ id }) => id),
      })),
    ),
    tells: {
      mayTrain: mayTrain(config),
      shards: config.models.flatMap((model) => shardAddresses(config, model)),
      leader: addresses.leader,
      ...(mayTrain(config) ? { joiner: addresses.joiner } : {}),
      trainers: mayTrain(config) ? config.models.flatMap(({ name }) => addresses.trainers(name)) : [],
      settleMs: config.sync.settleMs,
    },
    windowMs: JUDGE_MS,
    quality: config.quality,
  };
  return spec("state-manager", "stateManager", config.node, settings);
}

function joiner(config: RegionConfig): ActorSpec {
  const { windowMs, latenessMs, memoryBytesMax, correctionWindowMs, positive, emitAfterShare, scatterMsMax } =
    config.joiner;
  const settings: JoinerConfig = {
    region: config.region,
    stream: nodeAddresses(config).stream,
    sources: regionsOf(config),
    positive,
    trainers: [
      ...config.models.flatMap(({ name }) => nodeAddresses(config).trainers(name)).map(({ id }) => id),
      // Samples are kept for it as for a trainer that is behind.
      ...(config.baseline === false ? [] : [baselineId(config.node)]),
    ],
    options: {
      windowMs,
      latenessMs,
      memoryBytesMax: memoryBytesMax ?? Math.floor(config.supervision.heapBytes / JOINER_HEAP_PARTS),
      correctionMs: correctionWindowMs,
      idleAfterMs: IDLE_AFTER_MS,
      futureMsMax: FUTURE_MS_MAX,
      heldMax: HELD_MAX,
      ...(emitAfterShare !== undefined && { emitAfterShare }),
      scatterMsMax,
      scatteredMax: SCATTERED_MAX,
    },
  };
  return { ...spec("joiner", "joiner", config.node, settings), restart: FOR_EVER };
}

function trainer(config: RegionConfig, model: ModelDeclaration, index: number): ActorSpec {
  const addresses = nodeAddresses(config);
  const base = addresses.trainerBase(model.name);
  const share = { index, count: config.trainer.count };
  const settings: TrainerConfig = {
    model,
    shards: shardAddresses(config, model),
    stream: addresses.stream,
    stateManager: addresses.stateManager,
    joiner: addresses.joiner,
    region: config.region,
    compute: config.compute,
    base,
    share,
    compensation: config.trainer.compensation,
    batch: config.trainer.batch,
    maxWaitMs: config.trainer.maxWaitMs,
  };
  return spec("trainer", "trainer", trainerId(base, share), settings);
}

function inference(config: RegionConfig, model: ModelDeclaration): ActorSpec {
  const settings: InferenceConfig = { model, shards: shardAddresses(config, model), compute: config.compute };
  return spec("inference", "inference", nodeAddresses(config).inference(model.name).id, settings);
}

function regionsOf({ region, peers }: RegionConfig): string[] {
  return [region, ...peers.map((peer) => peer.region)].toSorted();
}

function spec(file: string, name: string, id: string, config: unknown): ActorSpec {
  return { module: new URL(`../actors/${file}.ts`, import.meta.url), export: name, id, config };
}
