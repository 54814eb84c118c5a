import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { messageOf } from "../../../protocols/wire/error-message.ts";

/** How a tool is run, and who is told meanwhile. */
export interface ToolContext {
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Told each step, and every ten seconds that it still runs; one line each. */
  readonly say: (line: string) => void;
}

/** A tool ended badly, or is not there. */
class ToolFailed extends Error {
  override readonly name = "ToolFailed";

  constructor(tool: string, why: string, options?: ErrorOptions) {
    super(`${tool} ${why}`, options);
  }
}

const TELL_EVERY_MS = 10_000;
const LINES_KEPT = 4;

/** Runs a tool to its end, however long that takes, and gives the last lines it printed. */
export async function runTool(name: string, args: readonly string[], context: ToolContext): Promise<readonly string[]> {
  const { folder, env, signal } = context;
  const child = spawn(name, args, {
    cwd: folder,
    // As little as possible is left to settings; TMPDIR keeps what tools unpack on the disk that has room for it, and removes it with the rest.
    env: { ...env, LC_ALL: "C", TMPDIR: folder },
    stdio: ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32",
    windowsHide: true,
    signal,
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      if (line.trim() === "") return;
      lines.push(line.trim());
      if (lines.length > LINES_KEPT) lines.shift();
    });
  }
  const startedMs = Date.now();
  const telling = setInterval(
    () => context.say(`still at it after ${Math.round((Date.now() - startedMs) / 1000)} s`),
    TELL_EVERY_MS,
  );
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once("error", reject);
    child.once("close", resolve);
    const code = await promise;
    if (code !== 0) throw new ToolFailed(name, `ended with ${code}: ${lines.join(" | ").slice(-600)}`);
    return lines;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ToolFailed) throw error;
    throw new ToolFailed(name, `cannot be run: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    clearInterval(telling);
  }
}
