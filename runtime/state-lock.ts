/*
 * One process per state folder, without native code.
 *
 * Who is alive? A holder listens on a local socket (a named pipe on Windows) that nobody else ever listens on, and its record names it.
 * The system refuses connections from the moment the process is gone, however it went. A process id would not do: it is used
 * again, after a restart of the machine or by the next container, and means nothing in another container that has the same folder. A socket
 * is found through the folder itself. (Two machines on one network folder are not kept apart; nothing portable could.)
 *
 * Who takes over? Records are `lock.1`, `lock.2` ... and the one with the highest number counts. To take over from a dead `lock.N`, link
 * a finished record to `lock.N+1`: that succeeds for one process only, and a record is never seen half-written.
 *   1. The highest record is never removed, so the highest number never goes down.
 *   2. A process that linked `lock.N` looks again, and has lost if there is a higher one: it had looked long ago. It leaves its record
 *      where it is, below the highest.
 *   3. `lock.N+1` is linked only by who saw `lock.N` as the highest and its holder dead.
 * Two live holders M < N would need, by 3, somebody to have found the holder of M dead after M held it. A holder removes old records only
 * far below its own, so that no folder is read while what it is about to list goes away.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join, resolve } from "node:path";
import { errorCode } from "./error-code.ts";

/** Somebody else lives in the state folder. */
export class StateFolderLocked extends Error {
  override readonly name = "StateFolderLocked";
  readonly folder: string;
  readonly pid: number;
  readonly owner: string;

  constructor(folder: string, holder: { readonly pid: number; readonly owner: string }) {
    super(
      `Cannot use state folder '${folder}': process ${holder.pid} ('${holder.owner}') is using it. ` +
        "Stop that process, or give this one a state folder of its own",
    );
    this.folder = folder;
    this.pid = holder.pid;
    this.owner = holder.owner;
  }
}

/** Why a folder cannot hold state. */
export type StateFolderProblem = "not-a-folder" | "not-writable" | "path-too-long" | "full" | "unsupported" | "io";

/** The state folder cannot be used by anybody, as it is. */
export class StateFolderUnusable extends Error {
  override readonly name = "StateFolderUnusable";
  readonly folder: string;
  readonly problem: StateFolderProblem;

  constructor(
    folder: string,
    problem: StateFolderProblem,
    options: { readonly why: string; readonly cause?: unknown },
  ) {
    super(`Cannot use state folder '${folder}': ${options.why}`, { cause: options.cause });
    this.folder = folder;
    this.problem = problem;
  }
}

interface LockRecord {
  readonly pid: number;
  readonly owner: string;
  /** Where the holder listens: the name of a file in the folder, or of a pipe. */
  readonly socket: string;
}

/** Old records that stay. */
const RECORDS_KEPT = 16;
/** Each further attempt follows somebody else's success. */
const ATTEMPTS_MAX = 100;
/** A holder that does not get to accept is alive nevertheless. */
const CONNECT_MS = 2000;
/** The shortest limit on a socket's path is that of macOS: 104 bytes with the closing zero. */
const SOCKET_PATH_BYTES_MAX = 103;
const SOCKET_NAME_BYTES = "/lock-12345678.sock".length;

/**
 * Takes the state folder for this process until it is disposed or the process ends, however it ends; makes the folder, open to its owner
 * only, where it is missing. Rejects with `StateFolderLocked` while somebody holds it, this process included, and with `StateFolderUnusable`
 * where nobody could.
 */
export async function lockStateFolder(folder: string, { owner }: { readonly owner: string }): Promise<AsyncDisposable> {
  const path = resolve(folder);
  const pathBytesMax = SOCKET_PATH_BYTES_MAX - SOCKET_NAME_BYTES;
  if (process.platform !== "win32" && Buffer.byteLength(path) > pathBytesMax) {
    throw new StateFolderUnusable(path, "path-too-long", {
      why: `its path has ${Buffer.byteLength(path)} bytes, and its lock needs a socket in it, which allows ${pathBytesMax}. Choose a shorter path`,
    });
  }
  await using undo = new AsyncDisposableStack();
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const id = randomUUID().slice(0, 8);
    const socket = process.platform === "win32" ? `freshet-lock-${randomUUID()}` : `lock-${id}.sock`;
    const record: LockRecord = { pid: process.pid, owner: owner.slice(0, 200), socket };
    undo.use(await listen(socketPath(path, socket)));
    const draft = join(path, `lock-${id}.draft`);
    undo.defer(() => rm(draft, { force: true }));
    await writeFile(draft, JSON.stringify(record), { flag: "wx", mode: 0o600 });
    await forget(path, (await takeOver(path, draft)) - RECORDS_KEPT);
    await rm(draft);
    return undo.move(); // letting go is to close the socket; the record stays and is dead
  } catch (error) {
    throw asUnusable(path, error);
  }
}

/** Links the record to the next number once the holder of the last is gone. */
async function takeOver(folder: string, draft: string): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const last = await highest(folder);
    const holder = await readRecord(folder, last);
    const isHeld = holder !== undefined && (await isListening(socketPath(folder, holder.socket)));
    if (isHeld) throw new StateFolderLocked(folder, holder);
    try {
      await link(draft, recordPath(folder, last + 1));
    } catch (error) {
      if (errorCode(error) === "EEXIST") continue; // somebody was faster; now see whether they live
      throw error;
    }
    if ((await highest(folder)) === last + 1) return last + 1;
  }
  throw new StateFolderUnusable(folder, "io", {
    why: `its lock changed hands ${ATTEMPTS_MAX} times while this process waited for it`,
  });
}

function recordPath(folder: string, number: number): string {
  return join(folder, `lock.${number}`);
}

function socketPath(folder: string, socket: string): string {
  return process.platform === "win32" ? `\\\\.\\pipe\\${socket}` : join(folder, socket);
}

async function recordNumbers(folder: string): Promise<number[]> {
  return (await readdir(folder))
    .filter((file) => /^lock\.[1-9][0-9]{0,14}$/.test(file))
    .map((file) => Number(file.slice("lock.".length)));
}

async function highest(folder: string): Promise<number> {
  return (await recordNumbers(folder)).reduce((most, number) => Math.max(most, number), 0);
}

/** Undefined for no record, and for one that no process of ours finished: its writer lost power, so it is dead. */
async function readRecord(folder: string, number: number): Promise<LockRecord | undefined> {
  try {
    const record: unknown = JSON.parse(await readFile(recordPath(folder, number), "utf8"));
    if (typeof record !== "object" || record === null) return undefined;
    if (!("pid" in record) || !("owner" in record) || !("socket" in record)) return undefined;
    const { pid, owner, socket } = record;
    if (typeof pid !== "number" || typeof owner !== "string" || typeof socket !== "string") return undefined;
    return /^(?:lock-[0-9a-f]{8}\.sock|freshet-lock-[0-9a-f-]{36})$/.test(socket) ? { pid, owner, socket } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Removes records up to a number, and the sockets of those that were killed. */
async function forget(folder: string, upTo: number): Promise<void> {
  for (const number of await recordNumbers(folder)) {
    if (number > upTo) continue;
    const record = await readRecord(folder, number);
    if (record !== undefined && process.platform !== "win32") await rm(join(folder, record.socket), { force: true });
    await rm(recordPath(folder, number), { force: true });
  }
}

async function listen(path: string): Promise<AsyncDisposable> {
  const server = createServer((connection) => connection.destroy());
  server.unref();
  server.listen(path);
  await once(server, "listening"); // rejects with the error that came instead
  server.on("error", () => undefined); // of one connection that could not be accepted; whoever asks has its answer already
  return server;
}

async function isListening(path: string): Promise<boolean> {
  const connection = connect(path);
  try {
    await once(connection, "connect", { signal: AbortSignal.timeout(CONNECT_MS) });
    return true;
  } catch (error) {
    const code = errorCode(error);
    if (code === "ECONNREFUSED" || code === "ENOENT" || code === "ENOTSOCK") return false;
    if (code === "EAGAIN" || code === "EBUSY" || code === "ABORT_ERR") return true; // there is a queue, so there is a listener
    throw error;
  } finally {
    connection.on("error", () => undefined);
    connection.destroy();
  }
}

function asUnusable(folder: string, error: unknown): unknown {
  const code = errorCode(error);
  if (code === undefined || error instanceof StateFolderLocked || error instanceof StateFolderUnusable) return error;
  const [problem, why] = explain(code);
  return new StateFolderUnusable(folder, problem, { why: `${why} (${code})`, cause: error });
}

function explain(code: string): readonly [StateFolderProblem, string] {
  switch (code) {
    case "EEXIST":
    case "ENOTDIR":
      return ["not-a-folder", "it, or a part of its path, is a file. Choose another path"];
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return ["not-writable", "this user may not write to it. Change its owner, or choose another path"];
    case "ENAMETOOLONG":
      return ["path-too-long", "its path is too long. Choose a shorter one"];
    case "ENOSPC":
    case "EDQUOT":
      return ["full", "the disk is full. Make room, or choose a path on another disk"];
    case "ENOTSUP":
    case "EOPNOTSUPP":
    case "ENOSYS":
      return ["unsupported", "its file system has no sockets or no hard links. Choose a path on a local disk"];
    default:
      return ["io", "the disk does not answer as it should"];
  }
}
