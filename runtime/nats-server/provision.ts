import { randomUUID } from "node:crypto";
import { chmod, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { messageOf } from "../../protocols/wire/error-message.ts";
import { fetchWithApt } from "./apt-route.ts";
import { fetchReleaseArchive } from "./archive-route.ts";
import {
  binariesFolder,
  cachedBinary,
  findNatsServer,
  probe,
  type FindOptions,
  type NatsServerBinary,
} from "./find.ts";
import { pinnedRelease } from "./release-pins.ts";
import { type RouteContext } from "./run-tool.ts";

/** One way to get a binary: works in its folder and gives the binary's path there, or throws why it cannot. */
export interface Route {
  readonly name: string;
  readonly fetch: (context: RouteContext) => Promise<string>;
}

export interface ProvisionOptions extends FindOptions {
  /** Told each step, one line each. */
  readonly say?: (line: string) => void;
  /** Tried in this order until one works. */
  readonly routes?: readonly Route[];
}

/** There is no nats-server and none could be fetched. `tried` has every route with its reason. */
export class NatsServerUnavailable extends Error {
  override readonly name = "NatsServerUnavailable";
  readonly tried: readonly { readonly route: string; readonly why: string }[];
  constructor(tried: readonly { readonly route: string; readonly why: string }[], options?: ErrorOptions) {
    const list = tried.map(({ route, why }) => `\n  ${route}: ${why}`).join("");
    super(
      `Cannot provide nats-server: none was found and no route to fetch one worked${list}\n` +
        "Install it (apt install nats-server, brew install nats-server, winget install NATSAuthors.NATSServer), or unpack a release of " +
        "github.com/nats-io/nats-server and name the binary in FRESHET_NATS_SERVER. Behind a proxy set HTTPS_PROXY and NODE_USE_ENV_PROXY=1",
      options,
    );
    this.tried = tried;
  }
}

/** The ways there are: the distribution's package where there is apt-get, else the official release. */
const usualRoutes: readonly Route[] = [
  { name: "the distribution's package (apt-get)", fetch: fetchWithApt },
  {
    name: `the official release ${pinnedRelease.version}`,
    fetch: (context) => fetchReleaseArchive(pinnedRelease, context),
  },
];

/** Finds nats-server, or fetches it into the cache. The second call on a machine fetches nothing. */
export async function ensureNatsServer(options: ProvisionOptions = {}): Promise<NatsServerBinary> {
  const found = await findNatsServer(options);
  return found.kind === "found" ? found.binary : provisionNatsServer({ ...options, looked: found.looked });
}

/**
 * Fetches nats-server by the first route that works and puts it into the cache in one step: others see the whole binary or
 * none, and any number of processes may do this at once.
 */
export async function provisionNatsServer(
  options: ProvisionOptions & { readonly looked?: readonly string[] } = {},
): Promise<NatsServerBinary> {
  const { say = () => {}, env = process.env, routes = usualRoutes, signal = new AbortController().signal } = options;
  const tried =
    (options.looked ?? []).length === 0
      ? []
      : [{ route: "looking for an installed one", why: (options.looked ?? []).join("; ") }];
  let cause: unknown;
  for (const { name, fetch } of routes) {
    signal.throwIfAborted();
    try {
      await using work = await workFolder(binariesFolder(env));
      const fetched = await fetch({ folder: work.path, say, env, signal });
      const binary = await install(fetched, { env, signal });
      say(`nats-server: version ${binary.version.text} is ready at ${binary.path}`);
      return binary;
    } catch (error) {
      signal.throwIfAborted();
      cause = error;
      const why = messageOf(error);
      tried.push({ route: name, why });
      say(`nats-server: ${name} did not work: ${why}`);
    }
  }
  throw new NatsServerUnavailable(tried, { cause });
}

async function install(
  fetched: string,
  { env, signal }: { env: NonNullable<FindOptions["env"]>; signal: AbortSignal },
): Promise<NatsServerBinary> {
  await chmod(fetched, 0o755);
  const probed = await probe(fetched, signal);
  if (probed.kind === "unusable") {
    throw new Error(`what was fetched does not run here: ${probed.why}`);
  }
  const path = cachedBinary(env, probed.version);
  await mkdir(dirname(path), { recursive: true });
  try {
    await rename(fetched, path);
  } catch (error) {
    // Windows refuses to replace a program that runs: then another process was faster, and its copy is as good.
    if ((await probe(path, signal)).kind === "unusable") {
      throw error;
    }
  }
  return { path, version: probed.version, source: "provisioned" };
}

const staleAfterMs = 3_600_000;

/** A folder of our own on the cache's file system, so that the last step is a rename. Clears those that killed processes left. */
async function workFolder(parent: string): Promise<AsyncDisposable & { readonly path: string }> {
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    const left = join(parent, name);
    if (
      name.startsWith("fetching-") &&
      Date.now() - ((await stat(left).catch(() => undefined))?.mtimeMs ?? Infinity) > staleAfterMs
    ) {
      await rm(left, { recursive: true, force: true });
    }
  }
  const path = join(parent, `fetching-${randomUUID()}`);
  await mkdir(path, { mode: 0o700 });
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}
