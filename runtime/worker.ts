import { createInterface } from "node:readline";
import { isMainThread, type Transferable, Worker as NodeWorker } from "node:worker_threads";
import { type Permissions, permissionFlags } from "./permissions.ts";

export interface WorkerOptions {
  readonly name: string;
  /** Default: none at all. */
  readonly permissions?: Permissions;
  /** The most that its heap may grow to; buffers are not counted. Absent: Node's default. */
  readonly heapMb?: number;
  /** Read inside as `workerData`. */
  readonly data?: unknown;
  readonly transfer?: readonly Transferable[];
  /** Each line that the worker prints. Absent: dropped. */
  readonly onLine?: (line: string) => void;
}

/** Why a worker ended: its exit code, and what it threw if it threw. */
export interface WorkerEnd {
  readonly exitCode: number;
  readonly error?: Error;
}

/** The events: `message` and `messageerror` carry `data`, `error` carries `error`, `exit` the whole end. */
export class WorkerEvent extends Event {
  readonly data: unknown;
  readonly error: Error | undefined;

  constructor(
    type: "message" | "messageerror" | "error" | "exit",
    fields: { data?: unknown; error?: Error | undefined },
  ) {
    super(type);
    this.data = fields.data;
    this.error = fields.error;
  }
}

/**
 * A module on its own thread, after Deno's Worker: named by URL, with permissions of its own, no environment and no standard input.
 * `ended` always settles and never rejects; `terminate` and disposing may be called any number of times.
 */
export class Worker extends EventTarget implements AsyncDisposable {
  readonly name: string;
  readonly ended: Promise<WorkerEnd>;
  readonly #thread: NodeWorker;
  #error: Error | undefined;

  constructor(moduleUrl: URL, options: WorkerOptions) {
    super();
    this.name = options.name;
    this.#thread = new NodeWorker(moduleUrl, {
      name: options.name,
      execArgv: permissionFlags(options.permissions ?? {}),
      env: {},
      argv: [],
      stdout: true,
      stderr: true,
      workerData: options.data,
      transferList: [...(options.transfer ?? [])],
      ...(options.heapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: options.heapMb } }),
    });
    for (const stream of [this.#thread.stdout, this.#thread.stderr]) {
      createInterface({ input: stream }).on("line", (line) => options.onLine?.(line));
    }
    this.#thread.on("message", (data: unknown) => this.dispatchEvent(new WorkerEvent("message", { data })));
    this.#thread.on("messageerror", (error: Error) => this.dispatchEvent(new WorkerEvent("messageerror", { error })));
    this.#thread.on("error", (thrown: unknown) => {
      this.#error = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.dispatchEvent(new WorkerEvent("error", { error: this.#error }));
    });
    this.ended = this.#whenEnded();
  }

  postMessage(value: unknown, transfer: readonly Transferable[] = []): void {
    this.#thread.postMessage(value, [...transfer]);
  }

  /** Ends the thread at once, whatever it is doing. */
  async terminate(): Promise<WorkerEnd> {
    await this.#thread.terminate();
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate();
  }

  async #whenEnded(): Promise<WorkerEnd> {
    const exitCode = await new Promise<number>((resolve) => this.#thread.once("exit", resolve));
    const end: WorkerEnd = { exitCode, ...(this.#error === undefined ? {} : { error: this.#error }) };
    this.dispatchEvent(new WorkerEvent("exit", { data: end, error: this.#error }));
    return end;
  }
}

/** Ends the worker that calls it. */
export function closeWorker(): never {
  if (isMainThread) throw new TypeError("Cannot close the main thread as a worker: stop the system instead");
  return process.exit(0);
}
