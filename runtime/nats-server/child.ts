import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { NatsServerSlow, startError, type ServerExit } from "./start-errors.ts";

/** One run of nats-server, from ready to ended. */
export interface RunningServer {
  readonly pid: number;
  readonly port: number;
  readonly monitoringPort: number | undefined;
  /** Fulfilled when the process has ended, for whatever reason. */
  readonly ended: Promise<ServerExit>;
  /** Asks it to end, waits, then forces it. Fulfilled when it has ended. */
  stop(graceMs: number): Promise<ServerExit>;
}

export interface LaunchOptions {
  readonly binaryPath: string;
  readonly configFile: string;
  readonly folder: string;
  readonly portsFolder: string;
  readonly storeFolder: string | undefined;
  readonly readyTimeoutMs: number;
  readonly dieWithParent: boolean;
  /** What a logged line may be kept and passed on as. */
  readonly clean: (line: string) => string;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

const linesMax = 50;
const lineMax = 500;
const passedOn = ["TZ", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "SSL_CERT_FILE", "SSL_CERT_DIR", "SystemRoot"];

/**
 * Starts nats-server and waits until it takes connections. It gets a session of its own, so that Ctrl-C in a terminal reaches
 * only us and it is stopped last. Rejects with the named error for why it did not start, and then no process is left.
 */
export async function launch(options: LaunchOptions): Promise<RunningServer> {
  const { signal } = options;
  signal.throwIfAborted();
  const command = [options.binaryPath, "-c", options.configFile];
  const [program = options.binaryPath, ...args] =
    options.dieWithParent && (await hasSetpriv()) ? ["setpriv", "--pdeathsig", "INT", ...command] : command;
  const env = Object.fromEntries(
    ["PATH", ...passedOn].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  const child = spawn(program, args, {
    cwd: options.folder,
    env,
    stdio: ["ignore", "ignore", "pipe"],
    detached: process.platform !== "win32",
    windowsHide: true,
  });
  const lastLines: string[] = [];
  const log = createInterface({ input: child.stderr });
  log.on("line", (line) => {
    const kept = options.clean(line).slice(0, lineMax);
    lastLines.push(kept);
    lastLines.splice(0, lastLines.length - linesMax);
    options.onLine(kept);
  });
  // "close" rather than "exit": by then all it logged has been read.
  const ended = once(child, "close").then(
    (): ServerExit => ({ exitCode: child.exitCode, signal: child.signalCode, lastLines }),
    (error: unknown): ServerExit => ({ exitCode: null, signal: null, lastLines: [...lastLines, String(error)] }),
  );
  endWithUs(child, ended);
  const waiting = new AbortController();
  try {
    const ports = await Promise.race([
      waitForPorts(child, { ...options, signal: AbortSignal.any([signal, waiting.signal]) }, lastLines),
      ended.then((exit): never => {
        throw startError(exit, options.storeFolder);
      }),
    ]);
    return { ...ports, ended, stop: (graceMs) => stopChild(child, ended, graceMs) };
  } catch (error) {
    await stopChild(child, ended, 0);
    signal.throwIfAborted();
    throw error;
  } finally {
    waiting.abort();
  }
}

async function waitForPorts(
  child: ChildProcess,
  { portsFolder, readyTimeoutMs, signal }: LaunchOptions,
  lastLines: readonly string[],
): Promise<Pick<RunningServer, "pid" | "port" | "monitoringPort">> {
  const deadline = performance.now() + readyTimeoutMs;
  // Whether the process has ended is not for this loop to say: it would know before the log has been read.
  while (performance.now() < deadline) {
    // The server writes this file, named after its process id, when it listens.
    const name = (await readdir(portsFolder)).find((file) => file.endsWith(`_${child.pid}.ports`));
    const ports = name === undefined ? undefined : parsePorts(await readFile(join(portsFolder, name), "utf8"));
    if (ports !== undefined && child.pid !== undefined) {
      return { pid: child.pid, ...ports };
    }
    await delay(10, undefined, { signal });
  }
  throw new NatsServerSlow(readyTimeoutMs, lastLines);
}

function parsePorts(text: string): Pick<RunningServer, "port" | "monitoringPort"> | undefined {
  const port = portIn(text, "nats");
  // Without its closing brace the file is still being written.
  return port === undefined || !text.trimEnd().endsWith("}")
    ? undefined
    : { port, monitoringPort: portIn(text, "monitoring") };
}

function portIn(text: string, key: "nats" | "monitoring"): number | undefined {
  const found = new RegExp(`"${key}":\\["[a-z]+://[^"]*:(\\d{1,5})"`).exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

const alive = new Set<ChildProcess>();

/** For the ends of this process that it notices, on every platform. */
function endWithUs(child: ChildProcess, ended: Promise<unknown>): void {
  if (alive.size === 0) {
    process.once("exit", endAll);
  }
  alive.add(child);
  void ended.finally(() => {
    alive.delete(child);
    if (alive.size === 0) {
      process.off("exit", endAll);
    }
  });
}

function endAll(): void {
  for (const child of alive) {
    child.kill("SIGINT");
  }
}

async function stopChild(child: ChildProcess, ended: Promise<ServerExit>, graceMs: number): Promise<ServerExit> {
  if (child.exitCode === null && child.signalCode === null && graceMs > 0) {
    child.kill("SIGINT");
    const cancel = new AbortController();
    await Promise.race([ended, delay(graceMs, undefined, { signal: cancel.signal }).catch(() => undefined)]);
    cancel.abort();
  }
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGKILL");
  }
  return ended;
}

/** Linux can end a child when its parent dies, however that happens; `setpriv` of util-linux asks for it and becomes the child. */
async function hasSetpriv(): Promise<boolean> {
  if (process.platform !== "linux") {
    return false;
  }
  try {
    await promisify(execFile)("setpriv", ["--pdeathsig", "INT", "true"], { timeout: 5000 });
    return true;
  } catch {
    return false;
  }
}
