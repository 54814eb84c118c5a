import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type Readable, type Writable } from "node:stream";
import { fileURLToPath } from "node:url";

/** One process to run: the name before its lines, and what follows `freshet` on its command line. */
export interface NamedRun {
  readonly name: string;
  readonly args: readonly string[];
}

const COMMAND_LINE = fileURLToPath(new URL("../cli.ts", import.meta.url));

/**
 * Runs several commands as processes of their own until all have ended; one that ends leaves the others running. The signal asks
 * all of them to stop. Gives the first exit code that is not 0. They also stop when this process dies.
 */
export async function runTogether(
  runs: readonly NamedRun[],
  options: { readonly signal: AbortSignal },
): Promise<number> {
  const width = Math.max(...runs.map((run) => run.name.length));
  const codes = await Promise.all(
    runs.map(async (run) => {
      const child = spawn(process.execPath, [COMMAND_LINE, ...run.args], {
        stdio: ["ignore", "pipe", "pipe", "ipc"],
        // A process group of its own: Ctrl-C in the terminal is for us, who then ask it to stop.
        detached: process.platform !== "win32",
      });
      function kill(): void {
        child.kill("SIGKILL");
      }
      process.once("exit", kill);
      const ended = exitOf(child);
      function stop(): void {
        child.kill("SIGTERM");
      }
      if (options.signal.aborted) stop();
      options.signal.addEventListener("abort", stop, { once: true });
      const prefix = `${run.name.padEnd(width)} | `;
      const copied = Promise.all([
        child.stdout === null ? undefined : copyLines(child.stdout, process.stdout, prefix),
        child.stderr === null ? undefined : copyLines(child.stderr, process.stderr, prefix),
      ]);
      try {
        const end = await ended;
        await copied;
        const isStopping = options.signal.aborted;
        if (end.code !== 0) process.stderr.write(`${prefix}${describeEnd(end, { isStopping })}\n`);
        return end.code ?? 1;
      } finally {
        process.off("exit", kill);
        options.signal.removeEventListener("abort", stop);
      }
    }),
  );
  return codes.find((code) => code !== 0) ?? 0;
}

/** How a process ended: of one that did not start there is neither. */
interface End {
  readonly code?: number;
  readonly signal?: string;
}

/** How a process ended, and, unless all were asked to, that it stays so. */
export function describeEnd({ code, signal }: End, { isStopping }: { readonly isStopping: boolean }): string {
  const how =
    code !== undefined ? `with exit status ${code}` : signal !== undefined ? `by ${signal}` : "before it started";
  return isStopping ? `ended ${how}` : `ended ${how}; it is not started again, and the others go on`;
}

function exitOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(code !== null ? { code } : signal !== null ? { signal } : {}));
    child.once("error", () => resolve({}));
  });
}

async function copyLines(from: Readable, to: Writable, prefix: string): Promise<void> {
  for await (const line of createInterface({ input: from, crlfDelay: Number.POSITIVE_INFINITY })) {
    to.write(`${prefix}${line}\n`);
  }
}
