import { Piscina } from "piscina";
import { type Permissions, permissionFlags } from "./permissions.ts";

export interface PoolOptions {
  /** Its exports are the functions that `run` names. */
  readonly module: URL;
  readonly threadsMax: number;
  /** Work that waits for a thread; beyond it `run` rejects with `PoolFull`. Default 1000. */
  readonly queueMax?: number;
  readonly heapMb?: number;
  /** Default: none at all. */
  readonly permissions?: Permissions;
}

export interface RunOptions {
  /** The deadline. */
  readonly signal: AbortSignal;
}

/** All threads are busy and enough work waits. */
class PoolFull extends Error {
  override readonly name = "PoolFull";

  constructor(queueMax: number) {
    super(`Cannot run on the pool: ${queueMax} tasks wait already`);
  }
}

/** Threads for work that keeps no state: any thread may do any of it. */
export interface Pool extends AsyncDisposable {
  /** Calls an export with data and gives what it returns. Rejects at the signal, and the thread that was at it is ended. */
  run(name: string, data: unknown, options: RunOptions): Promise<unknown>;
}

export function createPool({ module, threadsMax, queueMax = 1000, heapMb, permissions = {} }: PoolOptions): Pool {
  const threads = new Piscina({
    filename: module.href,
    minThreads: 1,
    maxThreads: threadsMax,
    maxQueue: queueMax,
    // The default blocks an idle thread, timers and all, until there is work.
    atomics: "disabled",
    execArgv: permissionFlags(permissions),
    env: {},
    ...(heapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMb } }),
  });
  let closed: Promise<void> | undefined;
  return {
    async run(name, data, { signal }) {
      if (threads.queueSize >= queueMax) throw new PoolFull(queueMax);
      const result: unknown = await threads.run(data, { name, signal });
      return result;
    },
    [Symbol.asyncDispose]() {
      closed ??= threads.destroy();
      return closed;
    },
  };
}
