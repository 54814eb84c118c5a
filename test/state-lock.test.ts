import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { type Readable, type Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { lockStateFolder, StateFolderLocked, StateFolderUnusable } from "../runtime/state-lock.ts";
import { temporaryFolder } from "./file-store-support.ts";

const holderPath = fileURLToPath(new URL("state-lock-holder.ts", import.meta.url));

test("a folder that a process holds is refused to another by name, and free once it is killed", async () => {
  await using folder = await temporaryFolder();
  const state = join(folder.path, "deep", "state");
  for (const owner of ["first", "second"]) {
    await using holder = start(state, owner);
    expect(await holder.line()).toBe("held");
    const refused = await lockStateFolder(state, { owner: "late" }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StateFolderLocked);
    expect(refused).toMatchObject({ pid: holder.process.pid, owner, folder: state });
    expect(String(refused)).toContain("Stop that process");
    await using late = start(state, "late");
    expect(JSON.parse(await late.line())).toEqual({ name: "StateFolderLocked", pid: holder.process.pid, owner });
    await holder.end("SIGKILL");
  }
  await using mine = await lockStateFolder(state, { owner: "mine" });
  expect(mine).toBeDefined();
  if (process.platform !== "win32") expect((await stat(state)).mode & 0o777).toBe(0o700);
});

test.skipIf(process.platform === "win32")("a holder that is stopped by a debugger still holds", async () => {
  await using folder = await temporaryFolder();
  await using holder = start(folder.path, "asleep");
  expect(await holder.line()).toBe("held");
  holder.process.kill("SIGSTOP");
  await expect(lockStateFolder(folder.path, { owner: "late" })).rejects.toMatchObject({
    name: "StateFolderLocked",
    owner: "asleep",
  });
});

test("of ten processes that start at once exactly one gets the folder, new or left by a killed one", async () => {
  await using folder = await temporaryFolder();
  for (let round = 0; round < 4; round += 1) {
    await using stack = new AsyncDisposableStack();
    const starters = Array.from({ length: 10 }, (_, index) => stack.use(start(folder.path, `s${index}`, "go")));
    for (const starter of starters) expect(await starter.line()).toBe("ready");
    for (const starter of starters) starter.process.stdin.write("go\n");
    const lines = await Promise.all(starters.map((starter) => starter.line()));
    const winner = starters.find((_, index) => lines[index] === "held");
    expect(lines.filter((line) => line === "held")).toHaveLength(1);
    const pid = winner?.process.pid;
    for (const line of lines.filter((each) => each !== "held")) {
      expect(JSON.parse(line)).toMatchObject({ name: "StateFolderLocked", pid });
    }
    await winner?.end("SIGKILL");
  }
});

test("of many takers in one process exactly one wins, over and over, and the folder does not fill up", async () => {
  await using folder = await temporaryFolder();
  for (let round = 0; round < 60; round += 1) {
    const taken = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => lockStateFolder(folder.path, { owner: `t${index}` })),
    );
    const held = taken.filter((outcome) => outcome.status === "fulfilled");
    expect(held).toHaveLength(1);
    for (const outcome of taken.filter(({ status }) => status === "rejected")) {
      expect(outcome).toMatchObject({ reason: { name: "StateFolderLocked" } });
    }
    await held[0]?.value[Symbol.asyncDispose]();
    await held[0]?.value[Symbol.asyncDispose]();
  }
  expect((await readdir(folder.path)).length).toBeLessThan(30);
});

test("a record that nobody finished, or that points elsewhere, holds nothing", async () => {
  await using folder = await temporaryFolder();
  for (const [number, text] of [
    "",
    "{",
    "null",
    '{"pid":1,"owner":"x","socket":"../../run/some.sock"}',
    "[1]",
  ].entries()) {
    await writeFile(join(folder.path, `lock.${number * 10 + 1}`), text);
    await using lock = await lockStateFolder(folder.path, { owner: "mine" });
    expect(lock).toBeDefined();
  }
});

test("a path that is a file, leads through one or is too long is refused as what it is", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "file");
  await writeFile(file, "");
  for (const [path, problem] of [
    [file, "not-a-folder"],
    [join(file, "state"), "not-a-folder"],
    ...(process.platform === "win32" ? [] : ([[join(folder.path, "x".repeat(100)), "path-too-long"]] as const)),
  ] as const) {
    const error = await lockStateFolder(path, { owner: "mine" }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StateFolderUnusable);
    expect(error).toMatchObject({ problem, folder: path });
  }
  expect(await readdir(folder.path)).toEqual(["file"]);
});

test.skipIf(process.platform === "win32")(
  "a folder that may not be written is refused as that, and nothing is left listening",
  async () => {
    await using folder = await temporaryFolder();
    const state = join(folder.path, "state");
    await mkdir(state, { mode: 0o500 });
    // The system lets root write anywhere but on a read-only disk.
    const asRoot = process.getuid?.() === 0;
    const command = asRoot ? ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro tmpfs "$0" && exec "$@"', state] : [];
    const [program, ...args] = [...command, process.execPath, holderPath, state, "mine"];
    const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
    expect(status).toBe(1);
    expect(stderr).toContain("StateFolderUnusable");
    expect(stderr).toContain("may not write to it");
  },
);

interface Holder extends AsyncDisposable {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  line(): Promise<string>;
  end(signal: NodeJS.Signals): Promise<void>;
}

function start(folder: string, owner: string, go = ""): Holder {
  const child = spawn(process.execPath, [holderPath, folder, owner, go], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "close");
  const lines: Interface = createInterface({ input: child.stdout });
  const each = lines[Symbol.asyncIterator]();
  async function end(signal: NodeJS.Signals): Promise<void> {
    child.kill(signal);
    await ended;
  }
  return {
    process: child,
    line: async () => String((await each.next()).value),
    end,
    [Symbol.asyncDispose]: () => end("SIGKILL"),
  };
}
