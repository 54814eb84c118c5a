import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { createApp } from "../regions/http-app.ts";
import { tokenDigest } from "../regions/http-guard.ts";
import { serveHttp } from "../regions/http-server.ts";
import { parseStatus } from "../regions/parse-status.ts";
import { type ModelStatus, type NodeStatus } from "../regions/status.ts";
import { httpWorld, OPTIONS } from "./http-world.ts";
import { freshet } from "./run-freshet.ts";

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-cli-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test("help names every command, and each command has help with its options and examples", async () => {
  const overview = await freshet(["--help"]);
  expect(overview).toMatchObject({ code: 0, err: "" });
  const commands = [
    "start",
    "demo",
    "status",
    "member ls",
    "member add",
    "member retire",
    "config check",
    "config schema",
    "decode",
    "data check",
    "setup tensorflow",
    "train",
  ];
  for (const command of commands) {
    expect(overview.out).toContain(`  ${command} `);
    const [help, flag] = await Promise.all([
      freshet(["help", ...command.split(" ")]),
      freshet([...command.split(" "), "--help"]),
    ]);
    expect(help).toEqual(flag);
    expect(help).toMatchObject({ code: 0, err: "" });
    expect(help.out).toContain(`freshet ${command}`);
    expect(help.out).toContain("Examples");
  }
});

test("--version prints the version", async () => {
  const ran = await freshet(["--version"]);
  expect(ran.code).toBe(0);
  expect(ran.out).toMatch(/^freshet \d+\.\d+\.\d+\n$/);
});

test.each([
  [["strat"], "did you mean start?"],
  [["export"], "did you mean snapshot export?"],
  [["config"], "needs one of: config check, config schema"],
  [["config", "chekc", "x"], "needs one of: config check"],
  [["demo", "--sped", "3"], "demo has no option --sped; did you mean --speed?"],
  [["demo", "--data"], "--data needs a value: --data DIR"],
  [["demo", "--data", "--json"], "--data needs a value"],
  [["demo", "--json=yes"], "--json takes no value"],
  [["demo", "--speed", "fast"], '--speed is "fast"; allowed: a number'],
  [["demo", "--for", "30"], '--for is "30"; allowed: a duration such as'],
  [["demo", "extra"], '"extra" is one argument too many'],
  [["data", "check"], "DIR is missing"],
  [["start", "regions/examples/oregon.jsonc", "--speed", "3"], "--speed is for the demonstration"],
])("freshet %j is called wrongly: exit code 2 and what to do", async (args, says) => {
  const ran = await freshet(args);
  expect(ran.code).toBe(2);
  expect(ran.err).toContain(says);
  expect(ran.err).toContain("See: freshet help");
  expect(ran.out).toBe("");
});

test("of arguments that are missing, those that are there are not named", async () => {
  expect((await freshet(["backup", "state"])).err).toMatch(/^FILE is missing/);
});

test("config check accepts the examples together and lists what is wrong in others", async () => {
  const good = await freshet([
    "config",
    "check",
    ...["frankfurt", "oregon", "singapore"].map((name) => `regions/examples/${name}.jsonc`),
  ]);
  expect(good).toMatchObject({ code: 0, err: "" });
  const training = ["frappe", "globo"].map((name) => `regions/examples/training/${name}.jsonc`);
  const apart = await freshet(["config", "check", ...training]);
  expect(apart.code).toBe(1);
  expect(apart.err).toContain("only the first has the model frappe");
  expect(apart.err).toMatch(/as the nodes of one deployment, .* Check those that are not one at a time\n$/);
  await using folder = await temporaryFolder();
  const file = join(folder.path, "bad.jsonc");
  await writeFile(file, '{ "region": "a", "training": "a", "models": [{ "name": "m", "shards": 0 }], "logs": {} }');
  const bad = await freshet(["config", "check", file]);
  expect(bad.code).toBe(1);
  expect(bad.err).toContain(`${file}:1:`);
  expect(bad.err).toContain("models[0].shards is 0; allowed: an integer from 1 to 1024");
  expect(bad.err).toContain('logs is unknown; allowed: "log" is the nearest of');
});

test("config check --secrets says which are missing", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "a.jsonc");
  await writeFile(
    file,
    '{ "region": "a", "training": "a", "models": [{ "name": "m" }], "http": { "token": { "env": "FRESHET_TEST_NONE" } } }',
  );
  expect(await freshet(["config", "check", file])).toMatchObject({ code: 0 });
  const missing = await freshet(["config", "check", "--secrets", file]);
  expect(missing.code).toBe(1);
  expect(missing.out).toContain("Cannot read the HTTP token from the environment variable FRESHET_TEST_NONE");
});

test("a command whose reader is gone ends without a word", async () => {
  const child = spawn(process.execPath, ["regions/cli.ts", "config", "schema"]);
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  child.stdout.destroy();
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(141);
  expect(err).toBe("");
});

test("config schema prints a JSON Schema", async () => {
  const ran = await freshet(["config", "schema"]);
  expect(JSON.parse(ran.out)).toMatchObject({ type: "object", additionalProperties: false });
});

test("start with a bad config says so and starts nothing", async () => {
  const ran = await freshet(["start", "regions/examples/none.jsonc"]);
  expect(ran.code).toBe(1);
  expect(ran.err).toContain("Cannot use regions/examples/none.jsonc");
  expect(ran.err).not.toContain("    at ");
});

test.each([
  ["JSON", '{"a":[1]}', 0, '"a": ['],
  ["a JSON text", '"hello"', 0, '"hello"'],
  ["nothing", "", 0, "(empty message)"],
])("decode prints %s", async (_, input, code, says) => {
  const ran = await freshet(["decode"], { input });
  expect(ran).toMatchObject({ code, err: "" });
  expect(ran.out).toContain(says);
});

test.each([
  ["noise", new Uint8Array([0, 1, 2, 3, 255])],
  ["text", new TextEncoder().encode("hello")],
  ["a frame cut off", new Uint8Array([0x46, 0x72, 1])],
])("decode of %s is exit code 1 and says what came", async (_, input) => {
  const ran = await freshet(["decode", "-"], { input });
  expect(ran.code).toBe(1);
  expect(ran.out).toBe("");
  expect(ran.err).toContain("Cannot decode this message");
  expect(ran.err).toContain(`${input.length} bytes, beginning ${Buffer.from(input.subarray(0, 1)).toString("hex")}`);
});

test("status shows a node, with its token from the environment, and is 1 until it is ready", async () => {
  const world = httpWorld();
  await using server = await serveHttp(createApp(world.ports, { ...OPTIONS, tokenSha256: tokenDigest("s3cret") }), {
    host: "127.0.0.1",
    port: 0,
  });
  const url = `127.0.0.1:${server.port}`;
  const refused = await freshet(["status", url], { env: { FRESHET_TOKEN: "" } });
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toContain("it wants a token; set FRESHET_TOKEN");
  const env = { FRESHET_TOKEN: "s3cret" };
  const ready = await freshet(["status", url], { env });
  expect(ready).toMatchObject({ code: 0, err: "" });
  for (const says of [
    "frankfurt (node a, serving): ready, up 61 s",
    "p50 41 ms, p99 1.3 s over 77 rows",
    "oregon",
    "0.7100",
    "epochs of its shards",
    "1 0 -\n",
    "clicks/0",
  ]) {
    expect(ready.out).toContain(says);
  }
  world.ready = false;
  const json = await freshet(["status", url, "--json"], { env });
  expect(json.code).toBe(1);
  expect(JSON.parse(json.out)).toMatchObject({ ready: false, problems: ["the shards are loading"] });
});

test("status --json prints what the node answered, and one that is gone hides no other", async () => {
  const world = httpWorld();
  const gone = await serveHttp(createApp(world.ports, OPTIONS), { host: "127.0.0.1", port: 0 });
  await gone[Symbol.asyncDispose]();
  const app = createApp(
    {
      ...world.ports,
      status: async (options) => ({ ...(await world.ports.status(options)), ofALaterVersion: { deep: [1] } }),
    },
    OPTIONS,
  );
  await using server = await serveHttp(app, { host: "127.0.0.1", port: 0 });
  const ran = await freshet(["status", "--json", `127.0.0.1:${gone.port}`, `127.0.0.1:${server.port}`, "http://%"]);
  expect(ran.code).toBe(1);
  const { signal } = new AbortController();
  expect(JSON.parse(ran.out)).toEqual({ ...(await world.ports.status({ signal })), ofALaterVersion: { deep: [1] } });
  expect(ran.err).toContain(`Cannot reach a region node at http://127.0.0.1:${gone.port}`);
  expect(ran.err).toContain("Cannot ask http://% for its status");
});

test("parseStatus() knows every field of a status", () => {
  const model: Required<ModelStatus> = {
    model: "clicks",
    rows: 1,
    digest: "0",
    samples: 2,
    auc: 0.7,
    logLoss: 0.3,
    calibration: 1,
    backlog: 4,
    pending: 5,
    baseline: { atMs: 1, samples: 50, auc: 0.6, online: { samples: 51, auc: 0.7, logLoss: 0.5, calibration: 1.1 } },
    epochs: { answers: 0, shards: [1, 0, -1] },
    stepsLate: 0.5,
    slices: [{ slice: "new users", samples: 1, auc: 0.5, logLoss: 0.6, calibration: 1.1 }],
    verdict: "corrupted",
    verdictCause: "auc",
  };
  const whole: Required<NodeStatus> = {
    region: "frankfurt",
    node: "a",
    version: "0.1.0",
    role: "training",
    training: { region: "frankfurt", term: 1 },
    upSeconds: 61,
    ready: false,
    problems: ["one"],
    models: [model],
    lagMs: { p50: 41, p99: 1250, count: 77 },
    links: [{ peer: "oregon", connected: true, rttMs: 1.5, bytesIn: 2048, bytesOut: 10 }],
    events: { accepted: 5, refused: 1 },
    workers: [{ name: "shards", state: "running", restarts: 0, lastFailure: "heap" }],
    leaders: [{ model: "clicks", shard: 0, holder: "a" }],
    nats: { version: "2.12.1", url: "nats://127.0.0.1:4241", jetstream: "ok" },
  };
  expect(parseStatus(structuredClone(whole))).toEqual(whole);
  for (const other of [undefined, null, "ok", {}, { ...whole, ready: "yes" }]) {
    expect(parseStatus(other)).toBeUndefined();
  }
});

test("status of nobody is one clear block without a stack", async () => {
  const world = httpWorld();
  const server = await serveHttp(createApp(world.ports, OPTIONS), { host: "127.0.0.1", port: 0 });
  await server[Symbol.asyncDispose]();
  const ran = await freshet(["status", `http://127.0.0.1:${server.port}`]);
  expect(ran.code).toBe(1);
  expect(ran.err).toContain(`Cannot reach a region node at http://127.0.0.1:${server.port}`);
  expect(ran.err).toContain("ECONNREFUSED");
  expect(ran.err).not.toContain("    at ");
  const debug = await freshet(["status", `http://127.0.0.1:${server.port}`], { env: { FRESHET_DEBUG: "1" } });
  expect(debug.err).toContain("    at ");
});

const WAITS_FOR_STOP = `
  import { stopSignal } from "./regions/cli/stop-signal.ts";
  using stop = stopSignal();
  stop.signal.addEventListener("abort", () => console.log("stopping"));
  process.on("SIGINT", () => console.log("signalled"));
  console.log("running");
  setInterval(() => {}, 1000);
  await new Promise(() => {});
`;

test.skipIf(process.platform === "win32")(
  "the first signal asks to stop, one that comes with it counts as the same, the next ends at once",
  async () => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", WAITS_FOR_STOP], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    using cleanup = new DisposableStack();
    cleanup.defer(() => child.kill("SIGKILL"));
    const exit = once(child, "exit");
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      if (line === "running") child.kill("SIGINT");
      if (line !== "signalled") continue;
      // Signals go on until one ends it; those of the first half second count as one.
      child.kill("SIGINT");
    }
    expect(await exit).toEqual([130, null]);
    expect(lines.slice(0, 3)).toEqual(["running", "stopping", "signalled"]);
    expect(lines.filter((line) => line === "stopping")).toHaveLength(1);
    expect(lines.filter((line) => line === "signalled").length).toBeGreaterThan(1);
  },
);
