import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { Worker } from "node:worker_threads";
import { type Permissions } from "./permissions.ts";

/** A file of no value in a place that a worker must not reach, and what it must not do there. */
export interface Canary {
  readonly path: string;
  /** Reading cannot be refused under the working directory. */
  readonly refused: readonly ("read" | "write")[];
}

/** Something that had been refused works. The worker must not go on. */
class PermissionHole extends Error {
  override readonly name = "PermissionHole";

  constructor(holes: readonly string[]) {
    super(`Cannot trust this worker's permissions: it was refused these, and they work: ${holes.join("; ")}`);
  }
}

/** Tries everything that this thread was refused, and throws `PermissionHole` unless all of it is refused. Takes a few milliseconds. */
export async function probePermissions(permissions: Permissions, canaries: readonly Canary[]): Promise<void> {
  const holes: string[] = [];
  function tryIt(what: string, attempt: () => unknown): void {
    try {
      attempt();
      holes.push(what);
    } catch (error) {
      if (!isRefusal(error)) holes.push(`${what} (${String(error)})`);
    }
  }
  for (const { path, refused } of canaries) {
    if (refused.includes("read")) tryIt(`reading ${path}`, () => readFileSync(path));
    // Opened for appending, so that a hole does no harm.
    if (refused.includes("write")) tryIt(`writing ${path}`, () => closeSync(openSync(path, "a")));
  }
  tryIt("starting a process", () => spawnSync(process.execPath, ["--version"]));
  tryIt("starting a nested worker", () => void new Worker("", { eval: true }).terminate());
  if (permissions.addons !== true) tryIt("loading an addon", () => process.dlopen({ exports: {} }, "/nowhere.node"));
  if (permissions.net !== true) {
    const failure = await connectFailure();
    if (!isRefusal(failure)) holes.push(`connecting to a socket (${String(failure)})`);
  }
  if (holes.length > 0) throw new PermissionHole(holes);
}

function connectFailure(): Promise<unknown> {
  return new Promise((resolve) => {
    try {
      // Port 1 of this machine: nobody listens there, and nothing leaves the machine.
      const socket = connect({ port: 1, host: "127.0.0.1" });
      socket.once("error", resolve);
      socket.once("connect", () => {
        socket.destroy();
        resolve(undefined);
      });
    } catch (error) {
      resolve(error);
    }
  });
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    (error.code === "ERR_ACCESS_DENIED" || error.code === "ERR_DLOPEN_DISABLED")
  );
}
