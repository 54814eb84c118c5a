import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tensorflowHome } from "../runtime/compute/tensorflow/home.ts";
import { isSetUp, loadTensorflow, TensorflowUnavailable } from "../runtime/compute/tensorflow/load.ts";
import { type Route } from "../runtime/compute/tensorflow/routes.ts";
import { CannotSetUp, removeTensorflow, setUpTensorflow } from "../runtime/compute/tensorflow/setup.ts";
import { wheelRoute } from "../runtime/compute/tensorflow/wheel-route.ts";
import { freshet } from "./run-freshet.ts";

const UP = new AbortController().signal;

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-tensorflow-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A route that leaves a package which throws this when it is loaded. */
function leaves(error: string): Route {
  return {
    name: "a package that throws",
    async install({ folder }) {
      const root = join(folder, "node_modules", "@tensorflow", "tfjs-node-gpu");
      await mkdir(root, { recursive: true });
      await writeFile(join(root, "package.json"), JSON.stringify({ main: "index.js" }));
      await writeFile(join(root, "index.js"), `throw new Error(${JSON.stringify(error)});`);
    },
  };
}

const fails: Route = { name: "the first way", install: () => Promise.reject(new Error("no such host")) };

test("tensorflowHome() is FRESHET_TENSORFLOW, else in XDG_DATA_HOME, and takes no relative path for either", () => {
  expect(tensorflowHome({ FRESHET_TENSORFLOW: "/opt/tf", XDG_DATA_HOME: "/data" })).toBe("/opt/tf");
  expect(tensorflowHome({ XDG_DATA_HOME: "/data" })).toBe(join("/data", "freshet", "tensorflow"));
  expect(tensorflowHome({ XDG_DATA_HOME: "data" })).toBe(tensorflowHome({}));
  expect(() => tensorflowHome({ FRESHET_TENSORFLOW: "tf" })).toThrow("absolute");
});

test("where nothing is set up, --check and loading say where was looked and what to do; --remove has nothing to do", async () => {
  await using folder = await temporaryFolder();
  const home = join(folder.path, "tf");
  const env = { FRESHET_TENSORFLOW: home };
  const check = await freshet(["setup", "tensorflow", "--check"], { env });
  expect(check).toMatchObject({ code: 1, out: "" });
  expect(check.err).toContain(`not set up in ${home}; npx freshet setup tensorflow`);
  expect(() => loadTensorflow(home)).toThrow(TensorflowUnavailable);
  const remove = await freshet(["setup", "tensorflow", "--remove"], { env });
  expect(remove).toMatchObject({ code: 0, err: "" });
  expect((await freshet(["setup", "tensorflow", "--cpu", "--gpu"], { env })).code).toBe(2);
});

test("where no way works, each is named with its reason, and nothing is left behind", async () => {
  await using folder = await temporaryFolder();
  const home = join(folder.path, "tf");
  const said: string[] = [];
  const setUp = setUpTensorflow({
    home,
    env: process.env,
    signal: UP,
    say: (line) => said.push(line),
    routes: [fails, leaves("libtensorflow is for another machine")],
  });
  await expect(setUp).rejects.toThrow(CannotSetUp);
  await expect(setUp).rejects.toThrow("the first way: no such host");
  await expect(setUp).rejects.toThrow(/a package that throws: .* does not load: libtensorflow is for another machine/);
  expect(said).toHaveLength(2);
  expect(await readdir(folder.path)).toEqual([]);
});

test("what was set up and does not work stays until something better is there, and is removed on request", async () => {
  await using folder = await temporaryFolder();
  const home = join(folder.path, "tf");
  await leaves("broken since").install({
    folder: home,
    env: {},
    signal: UP,
    gpu: false,
    say: () => {},
  });
  const said: string[] = [];
  const options = { home, env: process.env, signal: UP, say: (line: string) => said.push(line), routes: [fails] };
  await expect(setUpTensorflow(options)).rejects.toThrow(CannotSetUp);
  expect(said[0]).toContain("broken since");
  expect(isSetUp(home)).toBe(true);
  expect(await removeTensorflow(home)).toBe(true);
  expect(existsSync(home)).toBe(false);
});

/** A route that has what is set up on this machine, and tells for what it was asked each time. */
function links(asked: boolean[]): Route {
  return {
    name: "a link",
    async install({ folder, gpu }) {
      asked.push(gpu);
      await symlink(join(tensorflowHome(process.env), "node_modules"), join(folder, "node_modules"));
    },
  };
}

test.runIf(isSetUp(tensorflowHome(process.env)))(
  "what was set up without support for GPUs is replaced when that is asked for, and stays when nothing is, or when no way to get it works",
  async () => {
    await using folder = await temporaryFolder();
    const home = join(folder.path, "tf");
    const [asked, said]: [boolean[], string[]] = [[], []];
    const options = { home, env: process.env, signal: UP, say: (line: string) => said.push(line) };
    const routes = [links(asked)];
    await setUpTensorflow({ ...options, routes, gpu: false });
    await setUpTensorflow({ ...options, routes });
    expect([asked, said]).toEqual([[false], []]);
    await expect(setUpTensorflow({ ...options, routes: [fails], gpu: true })).rejects.toThrow(CannotSetUp);
    expect(said[0]).toBe(`what is in ${home} was set up without support for GPUs, and is replaced`);
    expect(isSetUp(home)).toBe(true);
    for (const each of [routes, [fails]]) await setUpTensorflow({ ...options, routes: each, gpu: true });
    expect(asked).toEqual([false, true]);
  },
);

test("--gpu and --cpu replace what does not say what it was set up for; without them it is only proven", async () => {
  await using folder = await temporaryFolder();
  const home = join(folder.path, "tf");
  await leaves("of an earlier Freshet").install({ folder: home, env: {}, signal: UP, gpu: false, say: () => {} });
  for (const [gpu, expected] of [
    [true, "does not say whether it was set up for GPUs, and is replaced"],
    [false, "does not say whether it was set up for GPUs, and is replaced"],
    [undefined, "of an earlier Freshet"],
  ] as const) {
    const said: string[] = [];
    const options = { home, env: process.env, signal: UP, say: (line: string) => said.push(line), routes: [fails] };
    await expect(setUpTensorflow({ ...options, ...(gpu !== undefined && { gpu }) })).rejects.toThrow(CannotSetUp);
    expect(said[0]).toContain(expected);
    expect(isSetUp(home)).toBe(true);
  }
});

test("a folder that holds something else is not removed", async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, "thesis.txt"), "");
  await expect(removeTensorflow(folder.path)).rejects.toThrow("holds no TensorFlow");
  expect(await readdir(folder.path)).toEqual(["thesis.txt"]);
});

test.runIf(process.platform === "linux")(
  "without Python and a compiler, the way with pip names all that is missing",
  async () => {
    await using folder = await temporaryFolder();
    const context = { folder: folder.path, signal: UP, gpu: false, say: () => {} };
    const route = wheelRoute({ ...context, env: { PATH: folder.path } });
    await expect(route).rejects.toThrow(/Python 3 \(.*pip \(.*a C\+\+ compiler \(/);
  },
);

test("a stop while it is set up ends it, and leaves nothing", async () => {
  await using folder = await temporaryFolder();
  const stop = new AbortController();
  const waits: Route = {
    name: "waits",
    install: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("stopped")));
        stop.abort();
      }),
  };
  const setUp = setUpTensorflow({
    home: join(folder.path, "tf"),
    env: process.env,
    signal: stop.signal,
    say: () => {},
    routes: [waits, fails],
  });
  await expect(setUp).rejects.toThrow("aborted");
  expect(await readdir(folder.path)).toEqual([]);
});
