import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtempDisposable, readFile, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { z } from "zod";

const root = join(import.meta.dirname, "..");

/** The Node a user of this machine would type, past the one that npm scripts put first; ours where there is none. */
const machineNode =
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules"))
    .map((folder) => join(folder, process.platform === "win32" ? "node.exe" : "node"))
    .find((program) => existsSync(program)) ?? process.execPath;
const machineMajor = Number((await ended(spawn(machineNode, ["--version"]))).stdout.slice(1).split(".")[0]);

/** Stands in for cli.ts, to see what the shim does to it: says what it runs on, then does as its first argument says. */
const probe = `
const [what, ...rest]: readonly string[] = process.argv.slice(2);
process.once("SIGTERM", () => { console.log("told to end"); process.exit(3); });
console.log(JSON.stringify({ major: Number(process.versions.node.split(".")[0]), cwd: process.cwd(), rest }));
if (what === "exit") process.exitCode = Number(rest[0]);
if (what === "die") process.kill(process.pid, "SIGKILL");
if (what === "wait") setInterval(() => {}, 1000);
`;

test("freshet runs the command line on Node 26 from another folder", async () => {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(root, "package.json"), "utf8")));
  await using folder = await mkdtempDisposable(join(tmpdir(), "freshet-shim-"));
  const child = spawn(machineNode, [join(root, "regions", "freshet.js"), "--version"], { cwd: folder.path });
  expect(await ended(child)).toEqual({ code: 0, signal: null, stdout: `freshet ${version}\n`, stderr: "" });
});

test("freshet keeps what it compiled beside the code, unless told another place", async () => {
  await using copy = await installed({ withNode: true });
  const told = join(copy.elsewhere, "told");
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  for (const given of [env, { ...env, NODE_COMPILE_CACHE: told }]) {
    await ended(spawn(machineNode, [copy.shim, "exit", "0"], { cwd: copy.elsewhere, env: given }));
  }
  expect(existsSync(told)).toBe(true);
  expect(existsSync(join(dirname(copy.shim), "..", ".cache", "compiled"))).toBe(true);
});

test("freshet passes on arguments, working folder and exit status", async () => {
  await using copy = await installed({ withNode: true });
  const child = spawn(machineNode, [copy.shim, "exit", "7", "a b", "--x"], { cwd: copy.elsewhere });
  const { code, stdout } = await ended(child);
  expect(code).toBe(7);
  expect(JSON.parse(stdout)).toEqual({ major: 26, cwd: copy.elsewhere, rest: ["7", "a b", "--x"] });
});

test("freshet forwards the wish to end, and dies as its child did", async () => {
  await using copy = await installed({ withNode: true });
  const waiting = spawn(machineNode, [copy.shim, "wait"], { cwd: copy.elsewhere });
  waiting.stdout.once("data", () => waiting.kill("SIGTERM"));
  const told = await ended(waiting);
  expect(told.stdout).toContain("told to end");
  expect(told.code).toBe(3);
  const killed = await ended(spawn(machineNode, [copy.shim, "die"], { cwd: copy.elsewhere }));
  expect(killed.signal).toBe("SIGKILL");
});

test("freshet finds the Node that npm put beside it", async () => {
  await using copy = await installed({ withNode: "above" });
  const { stdout } = await ended(spawn(machineNode, [copy.shim], { cwd: copy.elsewhere }));
  expect(JSON.parse(stdout)).toMatchObject({ major: 26 });
});

test("freshet uses the Node it runs on when none is installed and that one is new enough", async () => {
  await using copy = await installed({ withNode: false });
  const { stdout } = await ended(spawn(process.execPath, [copy.shim], { cwd: copy.elsewhere }));
  expect(JSON.parse(stdout)).toMatchObject({ major: 26 });
});

test.skipIf(machineMajor >= 26)("freshet says what to do when there is no Node to run on", async () => {
  await using copy = await installed({ withNode: false });
  const { code, stderr } = await ended(spawn(machineNode, [copy.shim], { cwd: copy.elsewhere }));
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^Cannot start freshet on Node \d+\.\d+\.\d+: it needs Node 26 or newer, .*'npm install'.*\n$/,
  );
});

test("freshet says what to do when it was copied into node_modules", async () => {
  await using copy = await installed({ withNode: "above", inside: "node_modules" });
  const { code, stderr } = await ended(spawn(machineNode, [copy.shim], { cwd: copy.elsewhere }));
  expect(code).toBe(1);
  expect(stderr).toContain("outside node_modules");
});

interface Layout {
  /** Whether Node is in the package's own node_modules, hoisted above it, or nowhere. */
  readonly withNode: boolean | "above";
  readonly inside?: string;
}

/** A copy of the shim in a package of its own, whose command line is the probe. */
async function installed({
  withNode,
  inside = "packages",
}: Layout): Promise<AsyncDisposable & { readonly shim: string; readonly elsewhere: string }> {
  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await mkdtempDisposable(join(tmpdir(), "freshet-shim-")));
  const home = join(folder.path, inside, "freshet");
  const elsewhere = join(folder.path, "elsewhere");
  await mkdir(join(home, "regions"), { recursive: true });
  await mkdir(elsewhere);
  await writeFile(join(home, "package.json"), '{ "type": "module" }');
  await writeFile(join(home, "regions", "cli.ts"), probe);
  await cp(join(root, "regions", "freshet.js"), join(home, "regions", "freshet.js"));
  if (withNode !== false) {
    const modules = join(withNode === "above" ? folder.path : home, "node_modules");
    await mkdir(modules, { recursive: true });
    await symlink(join(root, "node_modules", "node"), join(modules, "node"), "junction");
  }
  const kept = cleanup.move();
  return { shim: join(home, "regions", "freshet.js"), elsewhere, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function ended(child: ChildProcess): Promise<Ended> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new TypeError("Cannot follow a child without pipes");
  const [out, err] = await Promise.all([text(stdout), text(stderr), once(child, "close")]);
  return { code: child.exitCode, signal: child.signalCode, stdout: out, stderr: err };
}
