import { type ChildProcess, spawn } from "node:child_process";
import * as z from "zod";

const END_MS_MAX = 10_000;

const answerSchema = z.object({ id: z.number(), reply: z.unknown().optional(), error: z.string().optional() });

interface Waiting {
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A program of the benches in a process of its own, asked over its channel. It sends `{id: 0, reply}` when it is up. Hold it with `await using`. */
export class AskedProcess implements AsyncDisposable {
  /** What it said when it was up. */
  readonly started: Promise<unknown>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  #asked = 0;

  /** A signal that aborts ends it, and whoever waits for it gets an error. */
  constructor(program: string, argument: string, signal: AbortSignal) {
    // A group of its own: Ctrl-C goes to the bench, which ends it in order.
    this.#child = spawn(process.execPath, [program, argument], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      detached: true,
    });
    this.started = new Promise((resolve, reject) => this.#waiting.set(0, { resolve, reject }));
    // Whoever starts it may end it before it waits for it.
    this.started.catch(() => undefined);
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", (code, by) => {
        for (const { reject } of this.#waiting.values()) {
          reject(new Error(`A process of the bench ended (${code ?? by})`));
        }
        resolve();
      });
    });
    this.#child.on("message", (message) => {
      const { id, reply, error } = answerSchema.parse(message);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(reply);
      else waiting?.reject(new Error(error));
    });
    signal.addEventListener("abort", () => void this[Symbol.asyncDispose](), { once: true });
  }

  ask(message: object): Promise<unknown> {
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ ...message, id }, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), END_MS_MAX);
    await this.#ended;
    clearTimeout(kill);
  }
}
