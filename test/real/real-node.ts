import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { type NodeStatus } from "../../regions/status.ts";
import { parseStatus } from "../../regions/parse-status.ts";

const PROGRAM = fileURLToPath(new URL("../fixtures/jumping-node.ts", import.meta.url));
const STOP_MS = 20_000;
const ANSWER_MS = 3_000;
const PROMOTE_MS = 12_000;

const trainingSchema = z.object({ training: z.string(), term: z.number(), next: z.string().optional() });
const refusalSchema = z.object({ error: z.object({ message: z.string() }) });

/** Which region trains, after how many promotions, and which is to. */
export type Training = z.infer<typeof trainingSchema>;

export interface RealNodeOptions {
  readonly region: string;
  readonly node: string;
  readonly url: string;
  /** Where its config, its state and its log lie. */
  readonly folder: string;
  readonly configFile: string;
  readonly state: string;
  /** Told when its process ended though nobody ended it. */
  readonly onExit: (how: string) => void;
}

/** A region node as a process, over all its lives. */
export class RealNode implements AsyncDisposable {
  readonly name: string;
  readonly region: string;
  readonly node: string;
  readonly url: string;
  readonly logFile: string;
  /** How often its process was started: what it holds may go back where this changes, to what its disk has. */
  starts = 0;
  readonly #options: RealNodeOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #offsetMs = 0;
  #isSuspended = false;

  constructor(options: RealNodeOptions) {
    this.#options = options;
    const { region, node, url, folder } = options;
    this.name = `${region}/${node}`;
    this.region = region;
    this.node = node;
    this.url = url;
    this.logFile = join(folder, `${region}-${node}.log`);
  }

  /** Whether its process runs and is not suspended. */
  get isUp(): boolean {
    return this.#child !== undefined && !this.#isSuspended;
  }

  /** Starts its process, unless it runs. Its wall clock is as far off as it was. */
  start(): void {
    if (this.#child !== undefined) return;
    const { configFile, onExit } = this.#options;
    const log = openSync(this.logFile, "a", 0o600);
    const child = spawn(process.execPath, [PROGRAM, "start", configFile], {
      stdio: ["ignore", log, log, "ipc"],
      // Ctrl-C in the terminal is for us.
      detached: true,
      env: { ...process.env, TEST_CLOCK_OFFSET_MS: String(this.#offsetMs) },
    });
    closeSync(log);
    this.starts += 1;
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("error", () => resolve());
      child.once("exit", (code, signal) => {
        resolve();
        if (this.#child !== child) return;
        this.#forget();
        onExit(`${signal ?? `code ${code ?? "unknown"}`}; its log is ${this.logFile}`);
      });
    });
  }

  /** Ends it at once, whatever it is doing, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#forget()?.kill("SIGKILL");
    await this.#ended;
  }

  /** Stops it in order; at once when that takes too long. */
  async stop(): Promise<void> {
    const child = this.#forget();
    child?.kill("SIGCONT");
    child?.kill("SIGINT");
    const timer = setTimeout(() => child?.kill("SIGKILL"), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  suspend(): void {
    this.#isSuspended = this.#child?.kill("SIGSTOP") === true;
  }

  resume(): void {
    this.#isSuspended = false;
    this.#child?.kill("SIGCONT");
  }

  /** Sets its wall clock so far from the machine's. */
  setClock(offsetMs: number): void {
    this.#offsetMs = offsetMs;
    const child = this.#child;
    // One that is not there yet, or no more, starts with it.
    if (child?.connected === true) child.send({ offsetMs }, () => undefined);
  }

  /** Ends the nats-server that it runs; false when it runs none just now. */
  async killServer(): Promise<boolean> {
    const file = join(this.#options.state, "nats", "nats-server.pid");
    const pid = Number(await readFile(file, "utf8").catch(() => ""));
    if (!Number.isSafeInteger(pid) || pid <= 1) return false;
    try {
      return process.kill(pid, "SIGKILL");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
      throw error;
    }
  }

  /** Waits until it says that it is ready; false when it does not in time. */
  async ready(deadlineMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + deadlineMs;
    while (!(await this.#get("/readyz"))?.ok) {
      if (signal.aborted || performance.now() > deadline) return false;
      await delay(100);
    }
    return true;
  }

  /** Undefined while it does not answer. */
  async status(): Promise<NodeStatus | undefined> {
    const answer = await this.#get("/status");
    return answer?.ok === true ? parseStatus(answer.body) : undefined;
  }

  /** Which region trains as it knows; undefined while it does not answer. */
  async training(): Promise<Training | undefined> {
    const answer = await this.#get("/v1/training");
    return answer?.ok === true ? trainingSchema.parse(answer.body) : undefined;
  }

  /** Has it decide that a region trains; tells why it did not, or that no answer came, which says nothing of what came of it. */
  async promote(
    region: string,
    options: { readonly force: boolean; readonly signal: AbortSignal },
  ): Promise<"decided" | { readonly why: string }> {
    const { force, signal } = options;
    const answer = await this.#get("/v1/promote", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(force ? { region, force } : { region }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(PROMOTE_MS)]),
    });
    if (answer?.ok === true) return "decided";
    const { data } = refusalSchema.safeParse(answer?.body);
    return { why: data?.error.message ?? "it does not answer" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #forget(): ChildProcess | undefined {
    const child = this.#child;
    this.#child = undefined;
    this.#isSuspended = false;
    return child;
  }

  async #get(path: string, how?: RequestInit): Promise<{ readonly ok: boolean; readonly body: unknown } | undefined> {
    if (!this.isUp) return undefined;
    try {
      const response = await fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(ANSWER_MS), ...how });
      return { ok: response.ok, body: await response.json() };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return undefined; // not there, or too busy to answer
    }
  }
}
