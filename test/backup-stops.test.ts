/*
 * Backups and restores that are stopped, or killed, at each of their steps.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { backUp } from "../regions/snapshot/backup.ts";
import { CrashDisk } from "../properties/world/crash-disk.ts";
import { restore } from "../regions/snapshot/restore.ts";
import { unpackBackup } from "../regions/snapshot/unpack.ts";
import { verifyImages } from "../regions/snapshot/verify.ts";
import { contentOf, leftIn, workplace } from "./backup-workplace.ts";
import { freshet } from "./run-freshet.ts";

const STOPPING = fileURLToPath(new URL("stopping-process.ts", import.meta.url));

test("a backup or a restore that is stopped at any step leaves nothing, or all that it was to make", async () => {
  await using folder = await workplace();
  for (let step = 1; ; step += 1) {
    const stop = stopAt(step);
    const outcome = await backUp(folder.state, folder.file, stop).catch((error: unknown) => error);
    if (stop.steps() < step) break;
    expect(outcome).toBe(stop.signal.reason);
    expect(await readdir(folder.path)).toEqual(["state"]);
    expect(step).toBeLessThan(10);
  }
  for (let step = 1; ; step += 1) {
    const stop = stopAt(step);
    const outcome = await restore(folder.file, folder.copy, stop).catch((error: unknown) => error);
    if (stop.steps() < step) break;
    expect(outcome).toBe(stop.signal.reason);
    expect(await leftIn(folder.copy)).toEqual([]);
    expect(step).toBeLessThan(10);
  }
  expect(await contentOf(join(folder.copy, "shards"))).toEqual(await contentOf(folder.shards));
});

test("what takes long ends soon after it is stopped: unpacking, and checking", async () => {
  await using folder = await workplace();
  await backUp(folder.state, folder.file, stopAt(Infinity));
  const archive = await readFile(folder.file);
  const stop = new AbortController();
  let left = archive.length;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < archive.length; at += 1024) {
      left -= 1024;
      yield archive.subarray(at, at + 1024);
      if (at >= 4096) stop.abort();
    }
  }
  const disk = new CrashDisk();
  const unpacked = unpackBackup(pieces(), { disk, folder: "/new", signal: stop.signal });
  await expect(unpacked).rejects.toThrow("This operation was aborted");
  expect(left).toBeGreaterThan(archive.length / 2);
  const checked = verifyImages(folder.state, { ...stopAt(Infinity), shard: undefined, signal: stop.signal });
  await expect(Array.fromAsync(checked)).rejects.toBe(stop.signal.reason);
});

test("SIGINT and SIGKILL at any step of the commands: nothing, or all; what a killed one left goes with the next", async () => {
  await using folder = await workplace();
  const args = ["backup", folder.state, folder.file];
  const before = await contentOf(folder.shards);
  const asked = await stoppedAt(4, { signal: "SIGINT", args });
  expect(asked.code).toBe(1);
  expect(asked.err).toContain("Cannot back up: it was stopped before its end");
  expect(await readdir(folder.path)).toEqual(["state"]);
  expect(await stoppedAt(4, { signal: "SIGKILL", args })).toMatchObject({ signal: "SIGKILL" });
  expect(await contentOf(folder.shards)).toEqual(before);
  const stale = join(folder.path, ".other.tar.freshet-4194305"); // no process has so high a number
  await writeFile(stale, "");
  await folder.backUp();
  expect((await readdir(folder.path)).sort()).toEqual(["b.tar", "state"]);

  for (const [signal, steps] of [
    ["SIGINT", [2]],
    ["SIGKILL", [2, 4]],
  ] as const) {
    for (const step of steps) {
      const stopped = await stoppedAt(step, { signal, args: ["restore", folder.file, folder.copy] });
      expect(stopped.signal ?? stopped.code).toBe(signal === "SIGINT" ? 1 : "SIGKILL");
      expect(await leftIn(folder.copy)).toEqual(signal === "SIGINT" ? [] : ["restoring"]);
    }
  }
  expect(await freshet(["restore", folder.file, folder.copy])).toMatchObject({ code: 0 });
  expect(await leftIn(folder.copy)).toEqual(["shards"]);
  expect(await contentOf(join(folder.copy, "shards"))).toEqual(await contentOf(folder.shards));
});

/** Options that stop the work at a step of it. */
function stopAt(step: number): { signal: AbortSignal; progress: () => void; steps: () => number } {
  const controller = new AbortController();
  let steps = 0;
  return {
    signal: controller.signal,
    progress() {
      steps += 1;
      if (steps === step) controller.abort();
    },
    steps: () => steps,
  };
}

/** Runs a command in a process that sends itself a signal at a step. */
async function stoppedAt(
  step: number,
  { signal, args }: { readonly signal: string; readonly args: readonly string[] },
): Promise<{ readonly code: unknown; readonly signal: unknown; readonly err: string }> {
  const child = spawn(process.execPath, [STOPPING, signal, String(step), ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const ended: readonly unknown[] = await once(child, "close");
  return { code: ended[0], signal: ended[1], err };
}
