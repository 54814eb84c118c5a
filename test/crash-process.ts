import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Address } from "../runtime/actor.ts";

/** What the node in the process is told over its channel (test/fixtures/crash-node.ts). */
export type CrashCommand =
  | { readonly kind: "end-thread"; readonly worker: string }
  | { readonly kind: "fail-actor"; readonly address: Address; readonly message: keyof Mistold };

/** Messages that actors send to themselves, without what these must hold: whoever gets one throws. */
export interface Mistold {
  readonly begun: { request: undefined; reply: void };
  readonly turn: { request: undefined; reply: void };
  readonly due: { request: undefined; reply: void };
}

const NODE = fileURLToPath(new URL("./fixtures/crash-node.ts", import.meta.url));
const COMPILED = fileURLToPath(new URL("../.cache/compiled", import.meta.url));
const STOP_MS = 15_000;

/** A region node in a process of its own that is killed, and started again in the same state folder. */
export class CrashProcess implements AsyncDisposable {
  readonly region: string;
  readonly url: string;
  /** How often it was started. */
  starts = 0;
  /** How often it ended by itself: it should outlive whatever is ended in it. */
  gaveUp = 0;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: { readonly region: string; readonly url: string; readonly folder: string }) {
    this.region = options.region;
    this.url = options.url;
    this.#folder = options.folder;
  }

  /** Starts the process; does not wait for the node in it. */
  async start(): Promise<void> {
    this.starts += 1;
    const cwd = join(this.#folder, `${this.region}-cwd`);
    await mkdir(cwd, { recursive: true });
    const child = spawn(process.execPath, [NODE, join(this.#folder, `${this.region}.jsonc`)], {
      cwd,
      // As `npx freshet` does: a start takes a fifth less CPU.
      env: { NODE_COMPILE_CACHE: COMPILED, ...process.env },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child = child;
    child.on("error", () => {}); // told by its end
    const log = createWriteStream(join(this.#folder, `${this.region}.log`), { flags: "a" });
    child.stderr?.pipe(log);
    this.#ended = new Promise((resolve) => {
      child.once("close", () => {
        if (this.#child === child) this.gaveUp += 1;
        resolve();
      });
    });
  }

  /** Ends the process at once and starts another. Fulfilled when the old one is gone and the new one exists. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
    await this.start();
  }

  tell(command: CrashCommand): void {
    // A process that is just starting has nothing that could be ended in it yet.
    if (this.#child?.connected === true) this.#child.send(command, () => {});
  }

  /** Waits until the node says that it is ready, and starts its process again where it ended by itself. */
  async ready(deadlineMs: number): Promise<void> {
    const deadline = performance.now() + deadlineMs;
    for (let why = await unready(this.url); why !== undefined; why = await unready(this.url)) {
      if (performance.now() > deadline) {
        const seconds = deadlineMs / 1000;
        throw new Error(`Cannot go on: region ${this.region} is not ready ${seconds} s after a crash: ${why}`);
      }
      if (this.#child?.exitCode !== null && this.#child?.exitCode !== undefined) {
        await this.#ended;
        await this.start();
      }
      await delay(50);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    const timer = setTimeout(() => child?.kill("SIGKILL"), STOP_MS);
    await this.#end("SIGTERM");
    clearTimeout(timer);
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    child?.kill(signal);
    await this.#ended;
  }
}

/** Why the node is not ready, by its own words; undefined where it is. */
async function unready(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1_000) });
    const body = await response.text();
    return response.ok ? undefined : body;
  } catch (error) {
    return String(error); // not listening yet
  }
}
