import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { NatsServerOwned } from "./start-errors.ts";

/**
 * Ends the server that an owner which was killed has left behind, so that port and store are free again. The process named in
 * the pid file counts as that server only if its command line names this very configuration file: a pid that now belongs to
 * another program is left alone. If its parent is the recorded owner, that owner lives, and NatsServerOwned is thrown.
 * Gives the pid of the process that it ended. Where command lines cannot be read (Windows) it ends nothing.
 */
export async function endStaleServer(
  files: { folder: string; pidFile: string; ownerFile: string; configFile: string },
  signal?: AbortSignal,
): Promise<number | undefined> {
  const serverPid = await readPid(files.pidFile);
  if (serverPid === undefined || !(await runsWith(serverPid, files.configFile))) {
    return undefined;
  }
  const ownerPid = await readPid(files.ownerFile);
  if (ownerPid !== undefined && (await parentOf(serverPid)) === ownerPid) {
    throw new NatsServerOwned(files.folder, { ownerPid, serverPid });
  }
  for (const [kill, waitMs] of [
    ["SIGINT", 5000],
    ["SIGKILL", 5000],
  ] as const) {
    sendSignal(serverPid, kill);
    for (
      const end = performance.now() + waitMs;
      performance.now() < end;
      await delay(20, undefined, signal === undefined ? {} : { signal })
    ) {
      if (!(await runsWith(serverPid, files.configFile))) {
        return serverPid;
      }
    }
  }
  throw new Error(
    `Cannot start nats-server in ${files.folder}: process ${serverPid}, left from an earlier run, does not end; end it by hand`,
  );
}

async function readPid(path: string): Promise<number | undefined> {
  const text = await readFile(path, "utf8").catch(() => "");
  return /^[1-9]\d{0,9}\s*$/.test(text) ? Number(text) : undefined;
}

async function runsWith(pid: number, configFile: string): Promise<boolean> {
  if (process.platform === "linux") {
    // A process that has ended and is not yet collected has an empty command line.
    return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0").includes(configFile);
  }
  return (await ps(pid, "command=")).includes(configFile);
}

async function parentOf(pid: number): Promise<number | undefined> {
  if (process.platform === "linux") {
    // The second field is the program's name in parentheses and may hold anything.
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) || undefined;
  }
  return Number(await ps(pid, "ppid=")) || undefined;
}

async function ps(pid: number, column: string): Promise<string> {
  if (process.platform === "win32") {
    return "";
  }
  try {
    const { stdout } = await promisify(execFile)("ps", ["-ww", "-o", column, "-p", String(pid)], { timeout: 5000 });
    return stdout.trim();
  } catch {
    // ps ends with an error when there is no such process.
    return "";
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile, or it is another user's: the wait that follows tells.
  }
}
