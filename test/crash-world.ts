import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { trainerId } from "../protocols/learning/trainer-layout.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type RegionConfigInput } from "../regions/config.ts";
import { NODE_USER, OPERATOR_USER, serverUsers } from "../regions/server-users.ts";
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";
import { NatsServerProcess } from "../runtime/nats-server/server.ts";
import { CrashProcess } from "./crash-process.ts";
import { steadyPort } from "./free-ports.ts";

/** The region that trains, and one that brings events. */
export const TRAINING = "oregon";
export const PEER = "frankfurt";

export const MODEL: ModelDeclaration = {
  name: "m",
  shards: 2,
  architecture: { kind: "dlrm", embedding: 4, bottom: [4], top: [4] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
  ],
  dense: [],
  // Its state is the number of its steps.
  optimizer: { kind: "ogd", learningRate: 0.01 },
  denseOptimizer: { kind: "ogd", learningRate: 0.01 },
};

const PASSWORD = "only-for-this-test";

/**
 * Two regions as processes that can be killed. The training region's nats-server is ours, so that it can outlive its node and be killed
 * apart from it; the other's is its node's own and dies with it.
 */
export interface CrashWorld extends AsyncDisposable {
  readonly folder: string;
  readonly server: NatsServerProcess;
  readonly regions: readonly CrashProcess[];
  /** A connection that may do everything, and reconnects for ever. */
  readonly nc: NatsConnection;
  /** One that may ask actors about themselves. */
  readonly operator: NatsConnection;
}

export async function startCrashWorld(options: { readonly keep?: string | undefined } = {}): Promise<CrashWorld> {
  await using undo = new AsyncDisposableStack();
  const folder = options.keep ?? (await mkdtemp(join(tmpdir(), "freshet-crash-")));
  await mkdir(folder, { recursive: true });
  if (options.keep === undefined) undo.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  const binary = await ensureNatsServer();
  const server = undo.use(
    await NatsServerProcess.start({
      binary,
      folder: join(folder, "server"),
      restart: { attemptsMax: 1_000_000, delayMs: 20, delayMaxMs: 200 },
      config: {
        name: "crash",
        listen: { host: "127.0.0.1", port: await steadyPort() },
        jetStream: { storeFolder: join(folder, "store"), domain: TRAINING, syncAlways: true },
        users: serverUsers({
          region: TRAINING,
          nodePassword: PASSWORD,
          operatorPassword: PASSWORD,
          grants: [{ region: PEER, password: PASSWORD }],
        }),
      },
    }),
  );
  await writeFile(join(folder, "password"), PASSWORD, { mode: 0o600 });
  const peerServer = `127.0.0.1:${await steadyPort()}`;
  const regions: CrashProcess[] = [];
  for (const region of [TRAINING, PEER]) {
    const http = `127.0.0.1:${await steadyPort()}`;
    const config: RegionConfigInput = {
      ...common(region),
      ...wiring(region, server.url, peerServer),
      http: { listen: http },
    };
    await writeFile(join(folder, `${region}.jsonc`), JSON.stringify(config, undefined, 2));
    regions.push(undo.use(new CrashProcess({ region, url: `http://${http}`, folder })));
  }
  async function open(user: string): Promise<NatsConnection> {
    const nc = await connect({
      servers: server.url,
      user,
      pass: PASSWORD,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
    });
    undo.defer(() => nc.close());
    return nc;
  }
  const nc = await open(NODE_USER);
  const operator = await open(OPERATOR_USER);
  const all = undo.move();
  return { folder, server, regions, nc, operator, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Ids of the trainers that share the samples. */
export const TRAINERS = [0, 1].map((index) => trainerId(`${MODEL.name}-a`, { index, count: 2 }));

/** How the nodes learn: so that what took effect can be counted (crash-stream.ts). */
export function learning(): Pick<RegionConfigInput, "models" | "joiner" | "trainer" | "snapshot"> {
  const { architecture, tables, dense, ...model } = MODEL;
  return {
    models: [
      {
        ...model,
        architecture,
        tables: [...tables],
        dense: [...dense],
      },
    ],
    joiner: { window: "1s", lateness: "200ms", correctionWindow: "2m" },
    // Each message is a step of its own, so that each row's steps can be told from the messages.
    trainer: { count: TRAINERS.length, batch: 1, maxWait: "0ms" },
    snapshot: { every: "200ms" },
  };
}

function common(region: string): Omit<RegionConfigInput, "nats" | "http"> {
  return {
    ...learning(),
    region,
    state: `${region}-state`,
    training: TRAINING,
    supervision: { restarts: 1_000, within: "1m", backoff: "20ms", backoffMax: "500ms" },
    log: { level: "warn" },
  };
}

function wiring(
  region: string,
  trainingUrl: string,
  peerServer: string,
): Pick<RegionConfigInput, "nats" | "peers" | "grants"> {
  const password = { file: "password" };
  return region === TRAINING
    ? {
        nats: { url: trainingUrl, user: NODE_USER, password },
        peers: [{ region: PEER, url: `nats://${peerServer}`, password }],
      }
    : {
        nats: { listen: peerServer },
        grants: [{ region: TRAINING, password }],
        peers: [{ region: TRAINING, url: trainingUrl, password }],
      };
}
