/*
 * Three regions of two nodes, each node a process of its own with a wall clock of its own, each region with a nats-server, and a piece of
 * network between each two regions in each direction. In the training region the server belongs to the node that does not train, so that
 * each can be killed without the other. Any region can be made to train.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { type RegionConfigInput } from "../../regions/config.ts";
import { NODE_USER, OPERATOR_USER } from "../../regions/server-users.ts";
import { steadyPort } from "../free-ports.ts";
import { Link } from "./link.ts";
import { RealNode } from "./real-node.ts";

/** The region that trains first. */
export const TRAINING = "oregon";
/** By region, the node that owns its nats-server. */
export const OWNERS: Readonly<Record<string, string>> = { frankfurt: "a", [TRAINING]: "b", singapore: "a" };
export const REGIONS: readonly string[] = Object.keys(OWNERS);
export const NODES = ["a", "b"] as const;

export const MODEL: ModelDeclaration = {
  name: "m",
  shards: 2,
  architecture: { kind: "dlrm", embedding: 4, bottom: [4], top: [4] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item", precision: "f16" },
  ],
  dense: [],
  // Its state is the number of its steps.
  optimizer: { kind: "ogd", learningRate: 0.01 },
  denseOptimizer: { kind: "ogd", learningRate: 0.01 },
};

/** All that runs. Disposing ends every process in order. */
export interface RealWorld extends AsyncDisposable {
  readonly folder: string;
  readonly nodes: readonly RealNode[];
  readonly links: readonly Link[];
  /** By region, a connection to its server that may look at everything, and reconnects for ever. */
  readonly operators: ReadonlyMap<string, NatsConnection>;
  /** By region, one that may also read what no operator may. */
  readonly readers: ReadonlyMap<string, NatsConnection>;
  /** The folder of states and logs stays. */
  keep(): void;
}

export interface RealWorldOptions {
  readonly onExit: (node: string, how: string) => void;
  /** Gives the start up. */
  readonly signal: AbortSignal;
}

const READY_MS = 180_000;

/** Starts all of it; resolves when all nodes are ready. */
export async function startRealWorld({ onExit, signal }: RealWorldOptions): Promise<RealWorld> {
  await using undo = new AsyncDisposableStack();
  // Short: a state folder's path has a limit.
  const folder = await mkdtemp(join(tmpdir(), "fv-"));
  let isKept = false;
  undo.defer(async () => {
    if (!isKept) await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  const ports = new Map<string, number>();
  for (const region of REGIONS) ports.set(region, await steadyPort());
  const links: Link[] = [];
  for (const from of REGIONS) {
    for (const to of REGIONS.filter((region) => region !== from)) {
      links.push(undo.use(await Link.open({ from, to, targetPort: ports.get(to) ?? 0 })));
    }
  }
  await writeFile(join(folder, "password"), PASSWORD, { mode: 0o600 });
  const nodes: RealNode[] = [];
  const late = new AbortController();
  for (const region of REGIONS) {
    for (const node of NODES) {
      const http = `127.0.0.1:${await steadyPort()}`;
      const state = join(folder, `${region}-${node}`);
      await mkdir(state);
      const config = configOf({ region, node, state, http, links, serverPort: ports.get(region) ?? 0 });
      const configFile = join(folder, `${region}-${node}.json`);
      await writeFile(configFile, JSON.stringify(config, undefined, 2));
      const name = `${region}/${node}`;
      const made = { region, node, url: `http://${http}`, folder, configFile, state };
      nodes.push(
        new RealNode({
          ...made,
          onExit: (how) => {
            late.abort();
            onExit(name, how);
          },
        }),
      );
    }
  }
  undo.defer(async () => void (await Promise.all(nodes.map((node) => node.stop()))));
  for (const node of nodes) node.start();
  const waiting = AbortSignal.any([signal, late.signal]);
  const ready = await Promise.all(nodes.map((node) => node.ready(READY_MS, waiting)));
  signal.throwIfAborted();
  const missing = nodes.filter((_, at) => ready[at] !== true).map(({ name }) => name);
  if (missing.length > 0) {
    isKept = true;
    throw new Error(`Cannot start: ${missing.join(", ")} did not become ready; the logs are in ${folder}`);
  }

  async function open(region: string, user: string): Promise<NatsConnection> {
    const nc = await connect({
      servers: `127.0.0.1:${ports.get(region) ?? 0}`,
      user,
      pass: PASSWORD,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
    });
    undo.defer(() => nc.close());
    return nc;
  }
  const operators = new Map<string, NatsConnection>();
  const readers = new Map<string, NatsConnection>();
  for (const region of REGIONS) {
    operators.set(region, await open(region, OPERATOR_USER));
    readers.set(region, await open(region, NODE_USER));
  }
  const all = undo.move();
  return {
    folder,
    nodes,
    links,
    operators,
    readers,
    keep: () => {
      isKept = true;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const PASSWORD = "only-for-this-run";

function configOf(of: {
  readonly region: string;
  readonly node: string;
  readonly state: string;
  readonly http: string;
  readonly links: readonly Link[];
  readonly serverPort: number;
}): RegionConfigInput {
  const { region, node, state, http, links, serverPort } = of;
  const password = { file: "password" };
  const owner = OWNERS[region] ?? "a";
  const isOwner = node === owner;
  const { architecture, tables, dense, ...model } = MODEL;
  return {
    region,
    node,
    nodes: [...NODES],
    state,
    training: TRAINING,
    standby: REGIONS.filter((other) => other !== TRAINING),
    nats: isOwner
      ? { listen: `127.0.0.1:${serverPort}`, password, nodesPassword: password }
      : { url: `nats://127.0.0.1:${serverPort}`, node: owner, password },
    grants: isOwner ? REGIONS.filter((peer) => peer !== region).map((peer) => ({ region: peer, password })) : [],
    peers: links
      .filter(({ from }) => from === region)
      .map(({ to, port }) => ({ region: to, url: `nats://127.0.0.1:${port}`, nodes: [...NODES], password })),
    http: { listen: http },
    models: [
      {
        ...model,
        architecture,
        tables: [...tables],
        dense: [...dense],
      },
    ],
    joiner: { window: "1s", lateness: "200ms", correctionWindow: "1h" },
    trainer: { batch: 32, maxWait: "20ms" },
    snapshot: { every: "500ms" },
    leases: { duration: "1s" },
    supervision: { restarts: 1_000, within: "1m", backoff: "20ms", backoffMax: "500ms" },
    log: { level: "info" },
  };
}
