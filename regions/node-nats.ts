import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Labels, type Logger } from "../runtime/actor.ts";
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";
import { NatsServerProcess } from "../runtime/nats-server/server.ts";
import { type RegionConfig } from "./read-config.ts";
import { LOG_BYTES_MAX } from "./link-worker.ts";
import { resolveSecret } from "./secret.ts";
import { ANONYMOUS_USER, NODE_USER, serverUsers } from "./server-users.ts";
import { type NodeStatus } from "./status.ts";

/** The region's nats-server as the node reaches it, whether it is ours or runs elsewhere. */
export interface RegionNats extends AsyncDisposable {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  /** PEM files: whom to trust, and the certificate that our own server shows. */
  readonly tls?: { readonly ca?: string; readonly pinned?: string };
  readonly about: NodeStatus["nats"];
  /** Whether its process runs. Absent for a server that is not ours. */
  readonly isUp?: () => boolean;
  /** Ends its process, orderly if it still can, to be started again. Absent for a server that is not ours. */
  readonly restart?: () => Promise<void>;
}

export interface NatsStart {
  readonly log: Logger;
  /** What is wrong now, by what it is about. */
  readonly problems: Map<string, string>;
  /** Counts in the node's metrics. */
  readonly count: (name: string, labels?: Labels) => void;
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
      ...(nats.tls?.ca === undefined ? {} : { tls: { ca: nats.tls.ca } }),
      about: { version: "external", url: nats.url, jetstream: "as the server is configured" },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  const { log, problems, count, end, signal } = start;
  const binary = await ensureNatsServer({
    say: (line) => log.info(line),
    ...(nats.binary === undefined ? {} : { path: nats.binary }),
    ...(signal === undefined ? {} : { signal }),
  });
  const nodePassword =
    nats.nodesPassword === undefined
      ? newPassword()
      : await resolveSecret(nats.nodesPassword, { what: "the password of the region's nodes" });
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
      jetStream: {
        storeFolder: join(config.state, "jetstream"),
        domain: config.region,
        syncAlways: true,
        fileBytesMax: storeBytesMax(nats.limits),
      },
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
    onLog: (line) => {
      const what = refusalIn(line);
      if (what !== undefined) {
        count("freshet_nats_refused_total", { what });
        log.warn("The nats-server refused a client something", { what, line });
      } else if (/\[(?:ERR|FTL)\]/.test(line)) {
        count("freshet_nats_errors_total");
        log.warn("The nats-server reports an error", { line });
      } else {
        log.debug("nats-server", { line });
      }
    },
    onWarning: (line) => log.warn(line),
    onRestart: ({ attempt, why }) => {
      count("freshet_nats_restarts_total");
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
    ...(nats.tls === undefined ? {} : { tls: { ca: nats.tls.ca, pinned: nats.tls.cert } }),
    get about() {
      return {
        version: binary.version.text,
        url: server.url,
        jetstream: server.syncsAlways
          ? "acknowledged writes survive a power failure"
          : "acknowledged writes survive a crash of the process, not a power failure in the two minutes after them",
      };
    },
    isUp: () => server.state === "running",
    restart: () => server.restart(RESTART_GRACE_MS),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/**
 * Left to itself the server takes three quarters of what is free on the disk as its bound, and refuses to make streams whose limits are larger:
 * a disk with little room today would keep a region from taking any event. So the bound is what the streams may take.
 */
function storeBytesMax({ streamBytes }: { readonly streamBytes: number }): number {
  return 2 * streamBytes + LOG_BYTES_MAX + LEASES_BYTES;
}

const RESTART_GRACE_MS = 3_000;
const LEASES_BYTES = 50_000_000;

/** What a client was refused, if the server's line speaks of that: peers that try what they may not, strangers who try to get in. */
function refusalIn(line: string): "login" | "publish" | "subscribe" | undefined {
  if (/authentication error|authorization violation/i.test(line)) return "login";
  if (/publish violation|permissions violation for publish/i.test(line)) return "publish";
  return /subscription violation|permissions violation for subscription/i.test(line) ? "subscribe" : undefined;
}

function newPassword(): string {
  return randomBytes(24).toString("base64url");
}
