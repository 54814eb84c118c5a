import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../../protocols/wire/error-message.ts";
import { launch, type RunningServer } from "./child.ts";
import { isLocalOnly, localUrl, natsServerConfig, type NatsServerConfig } from "./config.ts";
import { type NatsServerBinary } from "./find.ts";
import { endStaleServer } from "./stale-server.ts";
import { NatsServerCrashed, NatsStoreUnusable, type ServerExit } from "./start-errors.ts";
import { canSyncAlways, mendedIn } from "./version.ts";

export interface NatsServerOptions {
  readonly binary: NatsServerBinary;
  /** Absolute. Holds the configuration with its passwords, so it becomes accessible to this user alone; one server each. */
  readonly folder: string;
  readonly config: NatsServerConfig;
  readonly restart?: Partial<RestartPolicy>;
  /** Until the first connection can be made. A large store is read before that. Default 30,000. */
  readonly readyTimeoutMs?: number;
  /** Between asking the server to stop and forcing it. Default 10,000. */
  readonly stopGraceMs?: number;
  /** Ends the server when this process dies, however it does; Linux with util-linux only. Default true. */
  readonly dieWithParent?: boolean;
  /** Each line that the server logs, without passwords. */
  readonly onLog?: (line: string) => void;
  /** Something that works and should not stay so, such as a version with known security holes. */
  readonly onWarning?: (line: string) => void;
  /** The server ended by itself, or did not start again, and will be started after `delayMs`. */
  readonly onRestart?: (event: { readonly attempt: number; readonly delayMs: number; readonly why: Error }) => void;
  /** It takes connections again, on the same port. */
  readonly onReady?: () => void;
  /** The budget of restarts is used up: it stays down. */
  readonly onFailed?: (why: Error) => void;
  /** Gives up the first start. Later it has no effect. */
  readonly signal?: AbortSignal;
}

/** At most `attemptsMax` restarts within `windowMs`; waits `delayMs`, doubled each time up to `delayMaxMs`. */
export interface RestartPolicy {
  readonly attemptsMax: number;
  readonly windowMs: number;
  readonly delayMs: number;
  readonly delayMaxMs: number;
}

const usualRestart: RestartPolicy = { attemptsMax: 8, windowMs: 120_000, delayMs: 100, delayMaxMs: 5000 };

/** "ended" means for good: stopped, or out of restarts. */
export type ServerState = "starting" | "running" | "restarting" | "stopping" | "ended";

/**
 * A nats-server that is ours: started, watched, started again on the same port with the same store when it ends by itself,
 * and stopped. Hold it with `await using`.
 */
export class NatsServerProcess implements AsyncDisposable {
  readonly #options: NatsServerOptions;
  readonly #stopping = new AbortController();
  readonly #lastLines: string[] = [];
  #config: NatsServerConfig;
  #running: RunningServer | undefined;
  #state: ServerState = "starting";
  #watching: Promise<void> = Promise.resolve();
  #restarts = 0;

  private constructor(options: NatsServerOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /**
   * Writes the configuration, ends what an earlier owner left behind in this folder, starts the server and waits until it takes
   * connections. Rejects with InvalidNatsConfig, UnprotectedListen, NatsServerOwned, NatsPortInUse, NatsStoreUnusable,
   * NatsConfigRefused, NatsServerCrashed or NatsServerSlow, and then nothing is left running.
   */
  static async start(options: NatsServerOptions): Promise<NatsServerProcess> {
    const server = new NatsServerProcess(options);
    const files = server.#files;
    // Checks before anything is touched.
    natsServerConfig(options.config, options.binary.version, files);
    await mkdir(files.portsFolder, { recursive: true, mode: 0o700 });
    const ended = await endStaleServer({ folder: options.folder, ...files }, options.signal);
    if (ended !== undefined) {
      options.onWarning?.(`nats-server: ended process ${ended}, which an earlier run left behind in ${options.folder}`);
    }
    server.#warnOfHoles();
    await server.#launch(options.signal ?? server.#stopping.signal);
    server.#state = "running";
    server.#watching = server.#watch();
    return server;
  }

  /** Where clients on this machine connect. Stays the same over restarts. */
  get url(): string {
    return localUrl(this.#config.listen.host, this.port, this.#config.tls !== undefined);
  }

  /** The real port, also where "random" was asked for. */
  get port(): number {
    const { port } = this.#config.listen;
    if (port === "random") {
      throw new RangeError("Cannot tell the port of a nats-server that was never ready");
    }
    return port;
  }

  /** Base URL of the server's HTTP statistics (`/varz`, `/connz`, `/jsz`), if configured. */
  get monitoringUrl(): string | undefined {
    const port = this.#config.monitoringPort;
    return port === undefined ? undefined : `http://127.0.0.1:${port}`;
  }

  /** The process that runs now; another one after a restart, none in between. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  get state(): ServerState {
    return this.#state;
  }

  /** Restarts since the start. */
  get restarts(): number {
    return this.#restarts;
  }

  /** True if what JetStream acknowledged survives a power failure; false if only the death of the process. */
  get syncsAlways(): boolean {
    return this.#config.jetStream?.syncAlways === true && canSyncAlways(this.#options.binary.version);
  }

  /** The last 100 lines of its log, over restarts. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** Ends the process, gracefully if it can in so long; it is then started again as if it had ended by itself. */
  async restart(graceMs: number): Promise<void> {
    if (this.#state === "running") await this.#running?.stop(graceMs);
  }

  /** Stops the server, gracefully if it can in `stopGraceMs`. Fulfilled when no process is left. */
  async stop(): Promise<void> {
    if (this.#state !== "ended") {
      this.#state = "stopping";
    }
    this.#stopping.abort();
    await this.#running?.stop(this.#options.stopGraceMs ?? 10_000);
    await this.#watching;
    this.#state = "ended";
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #watch(): Promise<void> {
    const policy = { ...usualRestart, ...this.#options.restart };
    const recent: number[] = [];
    let why = await this.#ended();
    while (why !== undefined) {
      const now = performance.now();
      recent.splice(0, recent.length, ...recent.filter((at) => now - at < policy.windowMs));
      if (recent.length >= policy.attemptsMax) {
        this.#state = "ended";
        this.#options.onFailed?.(why);
        return;
      }
      const delayMs = Math.min(policy.delayMs * 2 ** recent.length, policy.delayMaxMs);
      recent.push(now);
      this.#state = "restarting";
      this.#options.onRestart?.({ attempt: recent.length, delayMs, why });
      why = await this.#restart(delayMs);
    }
  }

  /** Waits, starts, waits for the end. Gives why it is down again, or undefined if it is to stay down. */
  async #restart(delayMs: number): Promise<Error | undefined> {
    try {
      await delay(delayMs, undefined, { signal: this.#stopping.signal });
      await this.#launch(this.#stopping.signal);
    } catch (error) {
      return this.#stopping.signal.aborted ? undefined : error instanceof Error ? error : new Error(String(error));
    }
    this.#restarts += 1;
    this.#state = "running";
    this.#options.onReady?.();
    return this.#ended();
  }

  async #ended(): Promise<Error | undefined> {
    const exit: ServerExit | undefined = await this.#running?.ended;
    this.#running = undefined;
    return this.#stopping.signal.aborted || exit === undefined ? undefined : new NatsServerCrashed("run", exit);
  }

  async #launch(signal: AbortSignal): Promise<void> {
    const { binary, folder, readyTimeoutMs = 30_000, dieWithParent = true } = this.#options;
    const { portsFolder, configFile, ownerFile } = this.#files;
    await rm(portsFolder, { recursive: true, force: true });
    await mkdir(portsFolder, { recursive: true, mode: 0o700 });
    const storeFolder = this.#config.jetStream?.storeFolder;
    if (storeFolder !== undefined) {
      await makeStore(storeFolder);
    }
    await writePrivately(configFile, natsServerConfig(this.#config, binary.version, this.#files));
    await writePrivately(ownerFile, `${process.pid}\n`);
    this.#running = await launch({
      binaryPath: binary.path,
      configFile,
      folder,
      portsFolder,
      storeFolder,
      readyTimeoutMs,
      dieWithParent,
      clean: (line) => this.#withoutPasswords(line),
      onLine: (line) => this.#log(line),
      signal,
    });
    // From now on the ports are what they are: clients come back to them after a restart.
    const { port, monitoringPort } = this.#running;
    this.#config = {
      ...this.#config,
      listen: { ...this.#config.listen, port },
      ...(monitoringPort === undefined ? {} : { monitoringPort }),
    };
  }

  #log(line: string): void {
    this.#lastLines.push(line);
    this.#lastLines.splice(0, this.#lastLines.length - 100);
    this.#options.onLog?.(line);
  }

  /** The server logs no passwords that we know of; this holds for those that we do not know of. */
  #withoutPasswords(line: string): string {
    const secrets = (this.#config.users ?? [])
      .map(({ password }) => password)
      .filter((password) => password.length > 3);
    return secrets.reduce((text, password) => text.replaceAll(password, "***"), line);
  }

  #warnOfHoles(): void {
    const { binary, onWarning } = this.#options;
    const mended = mendedIn(binary.version);
    if (mended !== undefined && !isLocalOnly(this.#config)) {
      onWarning?.(
        `nats-server ${binary.version.text} (${binary.path}) has known security holes and listens beyond loopback; install ${mended} or newer`,
      );
    }
  }

  get #files(): { configFile: string; pidFile: string; ownerFile: string; portsFolder: string } {
    const inFolder = (name: string): string => join(this.#options.folder, name);
    return {
      configFile: inFolder("nats-server.conf"),
      pidFile: inFolder("nats-server.pid"),
      ownerFile: inFolder("nats-server.owner"),
      portsFolder: inFolder("ports"),
    };
  }
}

async function makeStore(storeFolder: string): Promise<void> {
  try {
    await mkdir(storeFolder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new NatsStoreUnusable(storeFolder, messageOf(error));
  }
}

/** Whole or not at all, and readable by this user alone from the first byte. */
async function writePrivately(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  await rm(temporary, { force: true });
  await writeFile(temporary, text, { mode: 0o600, flag: "wx" });
  await rename(temporary, path);
}
