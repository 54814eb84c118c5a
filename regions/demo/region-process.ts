import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type DemoRegion } from "./demo-regions.ts";

/** How a region's process ended. */
export interface RegionExit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

/** A region's process ended or did not become ready; `lastLines` are the end of its log. */
export class RegionFailed extends Error {
  override readonly name = "RegionFailed";
  readonly region: string;
  readonly lastLines: readonly string[];

  constructor(region: string, options: { readonly why: string; readonly lastLines: readonly string[] }) {
    super(
      `Cannot go on without region ${region}: ${options.why}${options.lastLines.map((line) => `\n  ${line}`).join("")}`,
    );
    this.region = region;
    this.lastLines = options.lastLines;
  }
}

/** A region node in a process of its own. Its output goes to its log file. */
export class RegionProcess implements AsyncDisposable {
  readonly region: DemoRegion;
  /** When and how it ended, wished or not. Never rejects. */
  readonly ended: Promise<RegionExit>;
  readonly #child: ChildProcess;
  readonly #lastLines: string[] = [];
  #exit: RegionExit | undefined;
  #stopping = false;

  /** Starts it. `say` is told its lines that speak of errors. */
  constructor(region: DemoRegion, options: { readonly say: (line: string) => void; readonly cli?: string }) {
    this.region = region;
    const cli = options.cli ?? fileURLToPath(new URL("../cli.ts", import.meta.url));
    // A process group of its own: Ctrl-C in the terminal is for us, who then stop it in order. The channel tells it when we are gone.
    this.#child = spawn(process.execPath, [cli, "start", region.configFile], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: process.platform !== "win32",
    });
    const log = createWriteStream(region.logFile, { flags: "a", mode: 0o600 });
    for (const output of [this.#child.stdout, this.#child.stderr]) {
      if (output === null) continue;
      output.pipe(log, { end: false });
      createInterface({ input: output }).on("line", (line) => this.#hear(line, options.say));
    }
    this.ended = new Promise<RegionExit>((resolve) => {
      this.#child.once("error", (error) => {
        this.#lastLines.push(error.message);
        resolve({ code: undefined, signal: undefined });
      });
      this.#child.once("close", (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
    }).then(async (exit) => {
      this.#exit = exit;
      log.end();
      await finished(log).catch((error: unknown) => options.say(`${region.logFile}: ${String(error)}`));
      return exit;
    });
  }

  /** The failure that its end is, unless it was asked to stop. */
  get failure(): RegionFailed | undefined {
    if (this.#exit === undefined || this.#stopping) return undefined;
    return this.#failed(`its process ended by itself (${describeExit(this.#exit)}); its log is ${this.region.logFile}`);
  }

  /** Waits until it answers that it is ready. */
  async ready(options: { readonly signal: AbortSignal; readonly deadlineMs: number }): Promise<void> {
    const deadline = performance.now() + options.deadlineMs;
    while (!(await isReady(this.region.url))) {
      options.signal.throwIfAborted();
      if (this.#exit !== undefined || this.#stopping) {
        throw this.failure ?? this.#failed("it was stopped before it was ready");
      }
      if (performance.now() > deadline) {
        throw this.#failed(`it is not ready after ${options.deadlineMs / 1000} s; its log is ${this.region.logFile}`);
      }
      await setTimeout(100);
    }
  }

  /** Asks it to stop and waits; after the deadline it is killed. Doing it twice is fine. */
  async stop(options: { readonly deadlineMs: number }): Promise<RegionExit> {
    this.#stopping = true;
    if (this.#exit === undefined) this.#askToStop();
    const timer = new AbortController();
    const overdue = setTimeout(options.deadlineMs, "overdue" as const, { signal: timer.signal }).catch(
      () => "overdue" as const,
    );
    if ((await Promise.race([this.ended, overdue])) === "overdue") this.kill();
    timer.abort();
    return this.ended;
  }

  /** Ends it at once. */
  kill(): void {
    this.#stopping = true;
    if (this.#exit === undefined) this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop({ deadlineMs: STOP_MS_MAX });
  }

  #askToStop(): void {
    // Windows has no signal that a process could answer in order; the closed channel says the same.
    if (process.platform !== "win32") this.#child.kill("SIGINT");
    else if (this.#child.connected) this.#child.disconnect();
  }

  #failed(why: string): RegionFailed {
    return new RegionFailed(this.region.region, { why, lastLines: [...this.#lastLines] });
  }

  #hear(line: string, say: (line: string) => void): void {
    this.#lastLines.push(line.slice(0, 500));
    if (this.#lastLines.length > LAST_LINES_MAX) this.#lastLines.shift();
    if (SPEAKS_OF_ERROR.test(line.slice(0, 120))) say(`${this.region.region}: ${line.slice(0, 300)}`);
  }
}

/** How long a region may take to stop in good order. */
export const STOP_MS_MAX = 15_000;

const LAST_LINES_MAX = 20;
// The log's level as text (" ERROR ") or as JSON ("level":"error"), or what an uncaught error prints.
const SPEAKS_OF_ERROR = /(?:^|\s)(?:error|fatal)(?:\s|:|$)|"level":"(?:error|fatal)"|^\w*Error: /i;

function describeExit({ code, signal }: RegionExit): string {
  return signal === undefined ? `exit code ${code ?? "unknown"}` : `signal ${signal}`;
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.ok;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return false; // not listening yet, or too busy to answer: ask again
  }
}
