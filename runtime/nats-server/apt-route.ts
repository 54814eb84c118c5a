import { execFile } from "node:child_process";
import { access, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
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

/**
 * Fetches the distribution's own package with apt-get, which checks its signature, and unpacks it without installing it:
 * no root, and nothing outside `folder` changes. Gives the path of the binary.
 */
export async function fetchWithApt({ folder, say, env, signal }: RouteContext): Promise<string> {
  const tool = (name: string, args: readonly string[]): Promise<unknown> => runTool(name, args, { folder, env, signal });
  // As root apt-get would drop to a user who cannot write here.
  const common = ["-q", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20"];
  say("nats-server: apt-get download nats-server");
  try {
    await tool("apt-get", [...common, "download", "nats-server"]);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ToolFailed && error.missing) {
      throw error;
    }
    // Package lists of our own: that needs no root, and another apt-get at work is not in the way.
    const [lists, cache] = [join(folder, "lists"), join(folder, "cache")];
    await mkdir(join(lists, "partial"), { recursive: true });
    await mkdir(join(cache, "archives", "partial"), { recursive: true });
    const own = [...common, "-o", `Dir::State::lists=${lists}`, "-o", `Dir::Cache=${cache}`, "-o", "Acquire::Languages=none"];
    say("nats-server: apt-get update (package lists missing or old), then download again");
    await tool("apt-get", [...own, "update"]);
    await tool("apt-get", [...own, "download", "nats-server"]);
  }
  const archive = (await readdir(folder)).find((name) => name.startsWith("nats-server_") && name.endsWith(".deb"));
  if (archive === undefined) {
    throw new Error("apt-get download ended well and left no package");
  }
  say(`nats-server: dpkg-deb -x ${archive}`);
  const unpacked = join(folder, "package");
  await tool("dpkg-deb", ["-x", archive, unpacked]);
  for (const place of ["usr/sbin/nats-server", "usr/bin/nats-server"]) {
    const path = join(unpacked, place);
    try {
      await access(path);
      return path;
    } catch {
      // Not there: the next place, or the error below.
    }
  }
  throw new Error(`${archive} holds no nats-server`);
}

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
export async function runTool(name: string, args: readonly string[], where: { folder: string; env: Environment; signal: AbortSignal }): Promise<string> {
  const env = { ...where.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
  try {
    const { stdout } = await run(name, args, { cwd: where.folder, env, signal: where.signal, timeout: toolTimeoutMs, maxBuffer: 4 << 20, windowsHide: true });
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
  const lines = printed.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const errors = lines.filter((line) => line.startsWith("E:"));
  return (errors.length > 0 ? errors : lines).slice(-2).join(" ").slice(0, 300) || String(error instanceof Error ? error.message : error).slice(0, 300);
}
