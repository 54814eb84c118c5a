import { releaseProxy, type Remote, transfer, wrap } from "comlink";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { type WorkerControl, type WorkerNews, type WorkerSetup } from "./worker-protocol.ts";
import { type Failure, failureOf } from "./supervisor.ts";
import { Worker, type WorkerEnd, WorkerEvent } from "./worker.ts";

/** A worker's thread has ended, so nobody there will answer. */
export class WorkerEnded extends Error {
  override readonly name = "WorkerEnded";
  readonly reason: EndReason;

  constructor(worker: string, reason: EndReason, options: { why: string; cause?: unknown }) {
    super(`Cannot go on with worker '${worker}': ${options.why}`, { cause: options.cause });
    this.reason = reason;
  }
}

/** `stuck`: it did not come up in time, or blocked its thread. `escalated`: an actor of it spent its restarts. `hole`: its permissions did not hold. */
export type EndReason = "threw" | "heap" | "stuck" | "escalated" | "hole" | "exited" | "stopped";

export interface LifeOptions {
  readonly setup: Omit<WorkerSetup, "control">;
  readonly heapMb: number | undefined;
  readonly onNews: (news: WorkerNews) => void;
  readonly onLine: (line: string) => void;
}

/**
 * One life of a worker, from thread to thread's end. Comlink leaves the calls of a dead thread pending for ever, so every call goes through
 * `call`, which rejects with `WorkerEnded` as soon as the thread ends.
 */
export class WorkerLife implements AsyncDisposable {
  readonly ended: Promise<WorkerEnded>;
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #control: Remote<WorkerControl>;
  readonly #port: MessagePort;
  readonly #waiting = new Set<(error: WorkerEnded) => void>();
  readonly #name: string;
  #told: { readonly reason: EndReason; readonly why: string } | undefined;
  #refused: Failure | undefined;
  #end: WorkerEnded | undefined;

  constructor({ setup, heapMb, onNews, onLine }: LifeOptions) {
    this.#name = setup.name;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    // Held here as long as the thread lives: comlink drops the answers of a proxy that was collected.
    this.#control = wrap<WorkerControl>(port1);
    const data: WorkerSetup = { ...setup, control: port2 };
    const { name, permissions } = setup;
    this.#worker = new Worker(new URL("actor-worker.ts", import.meta.url), {
      name,
      permissions,
      data,
      transfer: [port2],
      onLine,
      ...(heapMb === undefined ? {} : { heapMb }),
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#worker.addEventListener("message", (event) => {
      if (!(event instanceof WorkerEvent)) return;
      // Only actor-worker.ts posts there, and it posts WorkerNews.
      // oxlint-disable-next-line typescript/no-unsafe-assignment
      const news: WorkerNews = Object(event.data);
      if (news.kind === "ready") resolve();
      else if (news.kind === "refused") this.#refused = news.failure;
      onNews(news);
    });
    this.ready = this.call(() => promise);
    // Whoever starts it waits for it; if nobody does, its end is told by `ended`.
    this.ready.catch(() => undefined);
    this.ended = this.#whenEnded();
  }

  /** Settles as the call does, or rejects once the thread has ended. */
  call<T>(work: (control: Remote<WorkerControl>) => Promise<T>): Promise<T> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      work(this.#control)
        .finally(() => this.#waiting.delete(reject))
        .then(resolve, (error: unknown) => reject(error instanceof Error ? error : new Error(String(error))));
    });
  }

  connect(name: string, port: MessagePort): Promise<void> {
    return this.call((control) => control.connect(name, transferPort(port)));
  }

  /** Ends the thread, whatever it is doing; `reason` and `why` are what `ended` will say. */
  async terminate(reason: EndReason, why = `it was ended: ${reason}`): Promise<WorkerEnded> {
    this.#told ??= { reason, why };
    await this.#worker.terminate();
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate("stopped");
  }

  async #whenEnded(): Promise<WorkerEnded> {
    const end = await this.#worker.ended;
    this.#end = this.#explain(end);
    for (const reject of this.#waiting) reject(this.#end);
    this.#waiting.clear();
    this.#control[releaseProxy]();
    this.#port.close();
    return this.#end;
  }

  #explain({ exitCode, error }: WorkerEnd): WorkerEnded {
    if (this.#refused?.name === "PermissionHole") {
      return new WorkerEnded(this.#name, "hole", { why: this.#refused.message, cause: error });
    }
    if (this.#told !== undefined) return new WorkerEnded(this.#name, this.#told.reason, { why: this.#told.why });
    if (error !== undefined && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY") {
      return new WorkerEnded(this.#name, "heap", { why: "its heap is exhausted; give its thread more", cause: error });
    }
    if (error !== undefined) {
      return new WorkerEnded(this.#name, "threw", { why: `it threw: ${failureOf(error, 0).message}`, cause: error });
    }
    return new WorkerEnded(this.#name, "exited", { why: `its thread exited with ${exitCode}` });
  }
}

function transferPort(port: MessagePort): MessagePort {
  // Comlink's types know only the browser's transferables; a port of Node is transferred the same way.
  // oxlint-disable-next-line typescript/consistent-type-assertions
  return transfer(port, [port as never]);
}
