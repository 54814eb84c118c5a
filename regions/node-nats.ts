import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Logger } from "../runtime/actor.ts";
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";
import { NatsServerProcess } from "../runtime/nats-server/server.ts";
import { type RegionConfig } from "./read-config.ts";
import { resolveSecret } from "./secret.ts";
import { ANONYMOUS_USER, NODE_USER, serverUsers } from "./server-users.ts";
import { type NodeStatus } from "./status.ts";

/** The region's nats-server as the node reaches it, whether it is ours or runs elsewhere. */
export interface RegionNats extends AsyncDisposable {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** PEM file of whom to trust. */
  readonly ca?: string;
  readonly about: NodeStatus["nats"];
}

export interface NatsStart {
  readonly log: Logger;
  /** What is wrong now, by what it is about. */
  readonly problems: Map<string, string>;
  /** The server is given up. */
  readonly end: (why: string) => void;
  readonly signal?: AbortSignal;
}

/** Starts the region's own nats-server, finding or fetching it first, or takes the one that the config names. */
export async function startNatsServer(config: RegionConfig, start: NatsStart): Promise<RegionNats> {
  const { nats } = config;
  if (nats.kind === "external") {
    const password =
      nats.password === undefined
        ? undefined
        : await resolveSecret(nats.password, { what: "the password for the nats-server" });
    return {
      url: nats.url,
      ...(nats.user === undefined ? {} : { user: nats.user }),
      ...(password === undefined ? {} : { password }),
      ...(nats.tls?.ca === undefined ? {} : { ca: nats.tls.ca }),
      about: { version: "external", url: nats.url, jetstream: "as the server is configured" },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  const { log, problems, end, signal } = start;
  const binary = await ensureNatsServer({
    say: (line) => log.info(line),
    ...(nats.binary === undefined ? {} : { path: nats.binary }),
    ...(signal === undefined ? {} : { signal }),
  });
  const nodePassword = newPassword();
  const operatorPassword =
    nats.password === undefined
      ? undefined
      : await resolveSecret(nats.password, { what: 'the password of the user "operator"' });
  const grants = await Promise.all(
    config.grants.map(async ({ region, password }) => ({
      region,
      password: await resolveSecret(password, { what: `the password granted to region ${region}` }),
    })),
  );
  const server = await NatsServerProcess.start({
    binary,
    folder: join(config.state, "nats"),
    config: {
      name: `freshet-${config.region}-${config.node}`,
      listen: { host: nats.listen.host, port: nats.listen.port },
      jetStream: { storeFolder: join(config.state, "jetstream"), domain: config.region, syncAlways: true },
      users: serverUsers({
        region: config.region,
        nodePassword,
        grants,
        ...(operatorPassword === undefined ? {} : { operatorPassword }),
        ...(nats.inspectAnonymously ? { anonymousPassword: newPassword() } : {}),
      }),
      ...(nats.inspectAnonymously ? { anonymousUser: ANONYMOUS_USER } : {}),
      ...(nats.tls === undefined ? {} : { tls: nats.tls }),
      ...(nats.monitor === undefined ? {} : { monitoringPort: nats.monitor }),
    },
    onLog: (line) => log.debug("nats-server", { line }),
    onWarning: (line) => log.warn(line),
    onRestart: ({ attempt, why }) => {
      problems.set("nats", `the nats-server is being restarted: ${why.message}`);
      log.error("The nats-server ended and is started again", { attempt, why: why.message });
    },
    onReady: () => {
      problems.delete("nats");
      log.info("The nats-server is back");
    },
    onFailed: (why) => end(`the nats-server is given up: ${why.message}`),
    ...(signal === undefined ? {} : { signal }),
  });
  return {
    url: server.url,
    user: NODE_USER,
    password: nodePassword,
    ...(nats.tls === undefined ? {} : { ca: nats.tls.ca }),
    get about() {
      return {
        version: binary.version.text,
        url: server.url,
        jetstream: server.syncsAlways
          ? "acknowledged writes survive a power failure"
          : "acknowledged writes survive a crash of the process, not a power failure in the two minutes after them",
      };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function newPassword(): string {
  return randomBytes(24).toString("base64url");
}
