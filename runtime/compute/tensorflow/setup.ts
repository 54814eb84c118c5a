import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { messageOf } from "../../../protocols/wire/error-message.ts";
import { isSetUp, TensorflowUnavailable } from "./load.ts";
import { ownInstall } from "./own-install-route.ts";
import { type Route } from "./routes.ts";
import { wheelRoute } from "./wheel-route.ts";

const run = promisify(execFile);

/** What was loaded and computed right. */
export interface ProvenTensorflow {
  readonly device: "CPU" | "GPU";
  readonly version: string;
  readonly packageVersion: string;
}

export interface SetupOptions {
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  /** Told each step, one line each. */
  readonly say: (line: string) => void;
  /** Get support for NVIDIA GPUs too, or none. Default: as it is there, or else where there is a GPU. */
  readonly gpu?: boolean;
  /** Tried in this order until one works. */
  readonly routes?: readonly Route[];
}

/** No route worked. The message has each with its reason. */
export class CannotSetUp extends Error {
  override readonly name = "CannotSetUp";

  constructor(tried: readonly { readonly route: string; readonly why: string }[], options?: ErrorOptions) {
    const list = tried.map(({ route, why }) => `\n  ${route}: ${why}`).join("");
    super(`Cannot set up TensorFlow: no way to get it worked${list}`, options);
  }
}

const ROUTES: readonly Route[] = [
  { name: "the package's own install", install: ownInstall },
  { name: "TensorFlow's Python package (pip)", install: wheelRoute },
];
/** While it is being set up: the wheel, what is unpacked from it, and npm's packages. */
const ROOM_BYTES = 3e9;
const PROVE_MS = 60_000;
const SETTING_UP = ".setting-up-";
const LEFT_BEHIND_MS = 3_600_000;

/** In the folder: what it was set up for. */
const SET_UP_FOR = "freshet.json";

/**
 * Sets TensorFlow up in `home` and proves it. Where that is done already, it is proven again and nothing is fetched, unless support for GPUs is asked for, or none, and it was set up
 * otherwise. What is there stays until what replaces it was proven.
 */
export async function setUpTensorflow(options: SetupOptions): Promise<ProvenTensorflow> {
  const { home, say, signal, env, routes = ROUTES, gpu = existsSync("/proc/driver/nvidia/version") } = options;
  const other = options.gpu === undefined || !isSetUp(home) ? undefined : await otherThan(options.gpu, home);
  if (other !== undefined) say(`what is in ${home} ${other}, and is replaced`);
  else if (isSetUp(home)) {
    try {
      return await proveTensorflow(home, { signal });
    } catch (error) {
      signal.throwIfAborted();
      say(`what is in ${home} does not work and is replaced: ${firstLine(error)}`);
    }
  }
  await mkdir(dirname(home), { recursive: true });
  await clearLeftBehind(home);
  await requireRoom(dirname(home));
  const tried: { route: string; why: string }[] = [];
  let cause: unknown;
  for (const { name, install } of routes) {
    signal.throwIfAborted();
    const folder = `${home}${SETTING_UP}${randomUUID()}`;
    try {
      await mkdir(folder);
      await install({ folder, env, signal, gpu, say });
      await writeFile(join(folder, SET_UP_FOR), JSON.stringify({ gpu }));
      await proveTensorflow(folder, { signal });
      // In one step: whoever loads it meanwhile finds all of it or nothing.
      await rm(home, { recursive: true, force: true });
      await rename(folder, home);
      return await proveTensorflow(home, { signal });
    } catch (error) {
      signal.throwIfAborted();
      cause = error;
      tried.push({ route: name, why: firstLine(error) });
      say(`${name} did not work: ${firstLine(error)}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  throw new CannotSetUp(tried, { cause });
}

/** In which way what is there is not what is asked for. */
async function otherThan(gpu: boolean, home: string): Promise<string | undefined> {
  const was = await setUpFor(home);
  if (was === gpu) return undefined;
  if (was === undefined) return "does not say whether it was set up for GPUs";
  return was ? "was set up for GPUs" : "was set up without support for GPUs";
}

/** Undefined where an earlier Freshet set it up. */
async function setUpFor(home: string): Promise<boolean | undefined> {
  const file = join(home, SET_UP_FOR);
  if (!existsSync(file)) return undefined;
  const told: unknown = JSON.parse(await readFile(file, "utf8"));
  return typeof told === "object" && told !== null && "gpu" in told && typeof told.gpu === "boolean"
    ? told.gpu
    : undefined;
}

/** Loads what is in `home` in a process of its own, and compares what it computes with the reference. */
export async function proveTensorflow(
  home: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<ProvenTensorflow> {
  if (!isSetUp(home)) throw new TensorflowUnavailable(home, `it is not set up in ${home}`);
  const entry = fileURLToPath(new URL("prove-entry.ts", import.meta.url));
  try {
    const { stdout } = await run(process.execPath, [entry, home], { signal, timeout: PROVE_MS });
    const told: unknown = JSON.parse(stdout);
    if (!isProven(told)) throw new Error(`it printed ${stdout.slice(0, 200)}`);
    return told;
  } catch (error) {
    signal.throwIfAborted();
    throw new TensorflowUnavailable(home, `what is set up in ${home} does not work: ${lastWords(error)}`, {
      cause: error,
    });
  }
}

/** Removes all that was set up. Gives whether there was anything. */
export async function removeTensorflow(home: string): Promise<boolean> {
  const was = existsSync(home);
  // Whatever else somebody keeps in a folder that they named is not ours to remove.
  if (was && !isSetUp(home)) throw new Error(`Cannot remove ${home}: it holds no TensorFlow`);
  await rm(home, { recursive: true, force: true });
  return was;
}

/** Folders that a killed process left. */
async function clearLeftBehind(home: string): Promise<void> {
  for (const name of await readdir(dirname(home))) {
    const left = join(dirname(home), name);
    if (!left.startsWith(`${home}${SETTING_UP}`) || Date.now() - (await stat(left)).mtimeMs < LEFT_BEHIND_MS) continue;
    await rm(left, { recursive: true, force: true });
  }
}

async function requireRoom(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= ROOM_BYTES) return;
  const [free, needed] = [bavail * bsize, ROOM_BYTES].map((bytes) => (bytes / 1e9).toFixed(1));
  throw new Error(
    `Cannot set up TensorFlow: ${folder} has ${free} GB left and ${needed} GB are needed; FRESHET_TENSORFLOW names another folder`,
  );
}

function isProven(told: unknown): told is ProvenTensorflow {
  return (
    typeof told === "object" &&
    told !== null &&
    "device" in told &&
    (told.device === "CPU" || told.device === "GPU") &&
    "version" in told &&
    typeof told.version === "string" &&
    "packageVersion" in told &&
    typeof told.packageVersion === "string"
  );
}

function lastWords(error: unknown): string {
  const printed = error instanceof Error && "stderr" in error && typeof error.stderr === "string" ? error.stderr : "";
  const said = printed.split("\n").find((line) => /^\w*(Error|Unavailable)\b/.test(line));
  return said ?? firstLine(error);
}

function firstLine(error: unknown): string {
  return messageOf(error).split("\n", 1)[0] ?? "";
}
