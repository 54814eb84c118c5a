import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Environment } from "./find.ts";

/** What a route is given: a folder of its own to work in, and someone to tell what it does. */
export interface RouteContext {
  /** Empty, and removed afterwards, whatever happens. */
  readonly folder: string;
  readonly say: (line: string) => void;
  readonly env: Environment;
  readonly signal: AbortSignal;
}

const run = promisify(execFile);
const toolTimeoutMs = 120_000;

/** A tool ended badly; `missing` says that there is no such tool on PATH. */
export class ToolFailed extends Error {
  override readonly name = "ToolFailed";
  readonly missing: boolean;
  constructor(tool: string, why: string, missing: boolean, options?: ErrorOptions) {
    super(`${tool}: ${why}`, options);
    this.missing = missing;
  }
}

/** Runs a tool in `folder`, for two minutes at most, with its words in English so that its errors can be told. */
export async function runTool(
  name: string,
  args: readonly string[],
  where: { folder: string; env: Environment; signal: AbortSignal },
): Promise<string> {
  const env = { ...where.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
  try {
    const { stdout } = await run(name, args, {
      cwd: where.folder,
      env,
      signal: where.signal,
      timeout: toolTimeoutMs,
      maxBuffer: 4 << 20,
      windowsHide: true,
    });
    return stdout;
  } catch (error) {
    where.signal.throwIfAborted();
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    throw new ToolFailed(name, missing ? "there is no such tool on PATH" : lastWords(error), missing, { cause: error });
  }
}

function lastWords(error: unknown): string {
  if (error instanceof Error && "killed" in error && error.killed === true) {
    return `was ended after ${toolTimeoutMs / 1000} s`;
  }
  const printed = error instanceof Error && "stderr" in error && typeof error.stderr === "string" ? error.stderr : "";
  const lines = printed
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const errors = lines.filter((line) => line.startsWith("E:"));
  return (
    (errors.length > 0 ? errors : lines).slice(-2).join(" ").slice(0, 300) ||
    String(error instanceof Error ? error.message : error).slice(0, 300)
  );
}
