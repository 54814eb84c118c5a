import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import { promisify } from "node:util";
import { compareVersions, isAtLeast, oldestVersion, parseVersion, type NatsVersion } from "./version.ts";

/** The environment that is read: names to values, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A nats-server that was run once, with `-v`, and gave a version that is new enough. */
export interface NatsServerBinary {
  readonly path: string;
  readonly version: NatsVersion;
  readonly source: "explicit" | "path" | "cache" | "provisioned";
}

/** What a search gave: a usable binary, or where was looked and why nothing there would do. */
export type FindResult =
  | { readonly kind: "found"; readonly binary: NatsServerBinary }
  | { readonly kind: "none"; readonly looked: readonly string[] };

export interface FindOptions {
  /** Use this binary and no other. Overrides FRESHET_NATS_SERVER. */
  readonly path?: string;
  /** Default: `process.env`. Read are FRESHET_NATS_SERVER, FRESHET_CACHE, XDG_CACHE_HOME and PATH. */
  readonly env?: Environment;
  /** Absolute folders looked into after those of PATH. Default: where packages put it but PATH often does not lead. */
  readonly extraFolders?: readonly string[];
  readonly signal?: AbortSignal;
}

/** A binary that was asked for by name cannot be used; nothing else was tried. */
export class NatsServerUnusable extends Error {
  override readonly name = "NatsServerUnusable";
  readonly path: string;
  constructor(path: string, why: string, options?: ErrorOptions) {
    super(`Cannot use nats-server ${path}: ${why}; correct FRESHET_NATS_SERVER or unset it`, options);
    this.path = path;
  }
}

const run = promisify(execFile);
const probeTimeoutMs = 10_000;
const executable = process.platform === "win32" ? "nats-server.exe" : "nats-server";
const usualFolders =
  process.platform === "win32" ? [] : ["/usr/local/bin", "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin"];

/**
 * Looks for a usable nats-server: the one asked for, else PATH, else the cached copy, newest first. Nothing is remembered
 * between calls. A binary that was asked for and cannot be used throws NatsServerUnusable; others that fail are passed over.
 */
export async function findNatsServer(options: FindOptions = {}): Promise<FindResult> {
  const env = options.env ?? process.env;
  const asked = options.path ?? env["FRESHET_NATS_SERVER"];
  if (asked !== undefined && asked !== "") {
    const probed = await probe(asked, options.signal);
    if (probed.kind === "unusable") {
      throw new NatsServerUnusable(asked, probed.why);
    }
    return { kind: "found", binary: { path: asked, version: probed.version, source: "explicit" } };
  }
  const looked: string[] = [];
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => isAbsolute(folder));
  const cached = await cachedBinaries(env);
  const candidates = [
    ...[...new Set([...onPath, ...(options.extraFolders ?? usualFolders)])].map((folder) => ({
      path: join(folder, executable),
      source: "path" as const,
    })),
    ...cached.map((path) => ({ path, source: "cache" as const })),
  ];
  for (const { path, source } of candidates) {
    const probed = await probe(path, options.signal);
    if (probed.kind === "usable") {
      return { kind: "found", binary: { path, version: probed.version, source } };
    }
    if (probed.why !== absent) {
      looked.push(`${path}: ${probed.why}`);
    }
  }
  looked.push(
    onPath.length === 0 ? "PATH is empty" : `no usable ${executable} on PATH`,
    `none cached in ${binariesFolder(env)}`,
  );
  return { kind: "none", looked };
}

/** The folder for what can be fetched again: FRESHET_CACHE, else `freshet` in XDG_CACHE_HOME, else in ~/.cache. */
export function cacheFolder(env: Environment = process.env): string {
  const own = env["FRESHET_CACHE"];
  if (own !== undefined && own !== "") {
    return own;
  }
  // The XDG specification has relative values ignored.
  const xdg = env["XDG_CACHE_HOME"] ?? "";
  return join(isAbsolute(xdg) ? xdg : join(homedir(), ".cache"), "freshet");
}

/** Where cached binaries lie, each in a folder of its own that is named after its version and platform. */
export function binariesFolder(env: Environment): string {
  return join(cacheFolder(env), "nats-server");
}

/** Where the cached copy of a version lies, on this platform. A cache shared between platforms keeps them apart. */
export function cachedBinary(env: Environment, version: NatsVersion): string {
  return join(binariesFolder(env), `v${version.text}-${process.platform}-${process.arch}`, executable);
}

async function cachedBinaries(env: Environment): Promise<string[]> {
  const suffix = `-${process.platform}-${process.arch}`;
  let names: string[];
  try {
    names = await readdir(binariesFolder(env));
  } catch {
    // No cache, or none that can be read: then there is nothing in it for us.
    return [];
  }
  return names
    .flatMap((name) => (name.endsWith(suffix) ? [parseVersion(name.slice(0, -suffix.length))] : []))
    .filter((version) => version !== undefined)
    .toSorted((left, right) => compareVersions(right, left))
    .map((version) => cachedBinary(env, version));
}

/** What running a binary with `-v` said of it. */
export type Probe =
  | { readonly kind: "usable"; readonly version: NatsVersion }
  | { readonly kind: "unusable"; readonly why: string };

const absent = "there is no such file";

/** Runs `path -v`, for ten seconds at most. Only aborting rejects. */
export async function probe(path: string, signal?: AbortSignal): Promise<Probe> {
  let output: string;
  try {
    const limits = { timeout: probeTimeoutMs, maxBuffer: 65_536, windowsHide: true };
    ({ stdout: output } = await run(path, ["-v"], signal === undefined ? limits : { ...limits, signal }));
  } catch (error) {
    signal?.throwIfAborted();
    return { kind: "unusable", why: reasonOf(error) };
  }
  const version = parseVersion(output);
  if (version === undefined) {
    return {
      kind: "unusable",
      why: `with -v it prints ${JSON.stringify(output.slice(0, 80))}, which is no nats-server version`,
    };
  }
  if (!isAtLeast(version, oldestVersion)) {
    return { kind: "unusable", why: `it is version ${version.text}, and ${oldestVersion} or newer is needed` };
  }
  return { kind: "usable", version };
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return absent;
  }
  if (code === "EACCES") {
    return "it may not be run (permission denied)";
  }
  if (error instanceof Error && "killed" in error && error.killed === true) {
    return `it did not answer -v within ${probeTimeoutMs / 1000} s`;
  }
  return `running it with -v failed (${typeof code === "number" ? `exit status ${code}` : String(code ?? error)})`;
}
