import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { POLL_LIMITS } from "../protocols/limits.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { isToken } from "../protocols/subjects.ts";
import { mismatches } from "../regions/config-together.ts";
import { token } from "../regions/config-values.ts";
import { regionConfigJsonSchema } from "../regions/config.ts";
import { readConfig } from "../regions/read-config.ts";
import { NODE_USER } from "../regions/server-users.ts";
import { LEAST, parse, problemsOf } from "./config-parsing.ts";

const EXAMPLES = ["frankfurt", "frankfurt-b", "oregon", "singapore"].map((name) => `regions/examples/${name}.jsonc`);

interface Folder extends AsyncDisposable {
  readonly path: string;
}

async function temporaryFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "freshet-config-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test("parseConfig() fills in every default", () => {
  const config = parse(LEAST);
  const model: ModelDeclaration | undefined = config.models[0];
  expect(model).toEqual({
    name: "clicks",
    shards: 4,
    architecture: { kind: "dlrm", embedding: 16, bottom: [32], top: [32, 16] },
    tables: [
      { name: "users", key: "user", precision: "f32" },
      { name: "items", key: "item", precision: "f32" },
    ],
    dense: [],
    optimizer: { kind: "adagrad", learningRate: 0.05 },
    denseOptimizer: { kind: "adagrad", learningRate: 0.02 },
    urgentPercentile: 99,
  });
  expect(config.state).toBe("/state/freshet/frankfurt-a");
  expect(config.nats).toEqual({
    kind: "own",
    listen: { host: "127.0.0.1", port: 4222, loopback: true },
    limits: { streamBytes: 4 * 2 ** 30, maxAgeMs: 3 * 86_400_000 },
    inspectAnonymously: true,
  });
  expect(config.joiner).toEqual({
    positive: ["click"],
    windowMs: 600_000,
    latenessMs: 5_000,
    memoryBytesMax: undefined,
    correctionWindowMs: 3_600_000,
    emitAfterShare: undefined,
    scatterMsMax: 0,
  });
  expect(config.http).toMatchObject({ bodyBytesMax: 2 ** 20, deadlineMs: 30 });
  expect(config.compute).toEqual({ kind: "kernels" });
  expect(config.urgency).toEqual({});
  expect(parse({ ...LEAST, compute: "plain" }).compute).toEqual({ kind: "plain" });
  expect(parse({ ...LEAST, compute: "tensorflow" }).compute).toMatchObject({ kind: "tensorflow" });
});

test("durations are whole milliseconds, and the longest poll is one that peers take", () => {
  const { sync, trainer } = parse({
    ...LEAST,
    sync: { pollWait: "10.4ms", gap: "0.5ms" },
    trainer: { maxWait: "0.29s" },
  });
  expect([sync.pollWaitMs, sync.gapMs, trainer.maxWaitMs]).toEqual([10, 1, 290]);
  const longest = parse({ ...LEAST, sync: { pollWait: "5s" } }).sync.pollWaitMs;
  expect(longest).toBe(POLL_LIMITS.waitMs);
});

test("a peer's budget is bytes a second, and none without it", () => {
  const peer = { region: "oregon", url: "nats://127.0.0.1:4242" };
  const budgets = ["1.5KB/s", "10 KB/s", "20MB", 7].map(
    (budget) => problemsOf({ ...LEAST, peers: [{ ...peer, budget }] }).length,
  );
  expect(budgets).toEqual([1, 1, 1, 1]);
  expect(
    parse({
      ...LEAST,
      peers: [
        { ...peer, budget: "20MB/s" },
        { ...peer, region: "singapore" },
      ],
    }).peers.map(({ budget }) => budget),
  ).toEqual([20 * 2 ** 20, undefined]);
});

test("joiner.positive names the kinds of feedback that make a positive", () => {
  const positive = ["purchase", "watched to the end"];
  expect(parse({ ...LEAST, joiner: { positive } }).joiner.positive).toEqual(positive);
});

test("joiner.emit says when a negative is given, joiner.scatter how far positives are spread", () => {
  const { joiner } = parse({ ...LEAST, joiner: { emit: { kind: "fast" }, scatter: "1m" } });
  expect(joiner).toMatchObject({ emitAfterShare: 0.5, scatterMsMax: 60_000 });
  expect(parse({ ...LEAST, joiner: { emit: { kind: "fast", afterShare: 0 } } }).joiner.emitAfterShare).toBe(0);
});

test("streams of an external nats-server have limits like those of an own one", () => {
  const url = "nats://127.0.0.1:4222";
  const { limits } = parse(LEAST).nats;
  expect(parse({ ...LEAST, nats: { url } }).nats).toEqual({ kind: "external", url, limits });
  const given = { streamBytes: "1GB", maxAge: "1h" };
  expect(parse({ ...LEAST, nats: { url, limits: given } }).nats.limits).toEqual({
    streamBytes: 2 ** 30,
    maxAgeMs: 3_600_000,
  });
});

test("parseConfig() resolves paths from the folder of the file", () => {
  const config = parse({
    ...LEAST,
    state: "state",
    nats: { listen: "0.0.0.0:4222", tls: { cert: "cert.pem", key: "/keys/key.pem", ca: "ca.pem" } },
    grants: [{ region: "oregon", password: { file: "../oregon" } }],
  });
  expect(config.state).toBe("/etc/freshet/state");
  expect(config.nats).toMatchObject({
    tls: { cert: "/etc/freshet/cert.pem", key: "/keys/key.pem", ca: "/etc/freshet/ca.pem" },
    inspectAnonymously: false,
  });
  expect(config.grants[0]?.password).toEqual({ kind: "file", path: "/etc/oregon" });
});

test("a problem names file, line and column, path, what was given and what is allowed", () => {
  const text =
    '{\n  // a comment\n  "region": "frankfurt", "training": "frankfurt",\n  "models": [{ "name": "clicks", "shards": 4096 }],\n}';
  expect(problemsOf(text)).toEqual(["x.jsonc:4:34: models[0].shards is 4096; allowed: an integer from 1 to 1024"]);
});

test("all problems are listed, those between fields too", () => {
  const found = problemsOf({
    region: "Frankfurt",
    training: "tokyo",
    models: [{ name: "a", optimizer: { kind: "sgd" } }, { name: "a" }],
    peers: [
      { region: "oregon", url: "nats://127.0.0.1:1" },
      { region: "oregon", url: "http://127.0.0.1:2" },
    ],
    http: { deadline: 30 },
  });
  expect(found.map((line) => / (\S+) is /.exec(line)?.[1])).toEqual([
    "region",
    "training",
    "models[0].optimizer.kind",
    "models[1].name",
    "peers[1].region",
    "peers[1].url",
    "http.deadline",
  ]);
});

test("a mistyped field is told its nearest name", () => {
  expect(problemsOf({ ...LEAST, trainnig: "x" })[0]).toContain(
    'trainnig is unknown; allowed: "training" is the nearest of ',
  );
  expect(problemsOf({ ...LEAST, nats: { listne: "127.0.0.1:1" } })[0]).toContain(
    'nats.listne is unknown; allowed: "listen"',
  );
  expect(problemsOf({ ...LEAST, nats: { url: "nats://127.0.0.1:1", usr: "x" } })[0]).toContain(
    'nats.usr is unknown; allowed: "user"',
  );
});

test("a secret in the file is refused and not shown", () => {
  const secret = "hunter2-hunter2";
  const found = problemsOf({
    ...LEAST,
    nats: { password: secret, passwrod: secret },
    http: { token: secret },
    grants: [{ region: "oregon", password: secret }],
    peers: [{ region: "oregon", url: `nats://me:${secret}@127.0.0.1:1` }],
  });
  expect(found).toHaveLength(5);
  expect(found.join("\n")).not.toContain(secret);
  expect(found.join("\n")).toContain("never stands in a config file");
});

test.each([
  ["empty", "", "is empty"],
  ["a comment", "// nothing yet", "is empty"],
  ["an end too soon", "[1, 2", "not JSON here"],
  ["a value left out", '{ "region": }', "not JSON here"],
  ["very deep", "[".repeat(100_000), "nested deeper"],
  ["a number", "17", "allowed: an object"],
  ["null", "null", "allowed: an object"],
  ["a field twice", '{ "region": "a", "region": "b" }', "region is written twice"],
  ["the prototype", '{ "__proto__": {} }', "__proto__ is unknown"],
])("a file that is no config is a clear error: %s", (_, text, says) => {
  expect(problemsOf(text).join("\n")).toContain(says);
});

test("a byte order mark changes nothing", () => {
  expect(parse(`\uFEFF${JSON.stringify(LEAST)}`).region).toBe("frankfurt");
});

test("readConfig() of no file, or of a folder, says so", async () => {
  await using folder = await temporaryFolder();
  await expect(readConfig(join(folder.path, "none.jsonc"))).rejects.toThrow("is not there");
  await expect(readConfig(folder.path)).rejects.toThrow("not readable (EISDIR)");
});

test("the token of a config is the token of a subject", () => {
  for (const text of [
    "a",
    "a-b",
    "a_b",
    "-a",
    "a-",
    "A",
    "",
    "a.b",
    "a b",
    "a".repeat(64),
    "a".repeat(65),
    "ä",
    "a\n",
  ]) {
    expect(token.safeParse(text).success, text).toBe(isToken(text));
  }
});

test("the JSON Schema describes what may be written, not what becomes of it", () => {
  const schema = JSON.stringify(regionConfigJsonSchema());
  expect(schema).toContain('"additionalProperties":false');
  expect(schema).toContain('"default":"127.0.0.1:4222"');
  expect(JSON.parse(schema)).toMatchObject({ required: ["region", "training", "models"] });
});

test("a table's ttl is an age of its rows, and without one they have none", () => {
  const tables = [
    { name: "users", key: "user", ttl: "30d" },
    { name: "items", key: "item" },
  ];
  const { models } = parse({ ...LEAST, models: [{ name: "clicks", tables }] });
  expect(models[0]?.tables).toEqual([
    { name: "users", key: "user", precision: "f32", ttlMs: 30 * 86_400_000 },
    { name: "items", key: "item", precision: "f32" },
  ]);
  expect(() => parse({ ...LEAST, models: [{ name: "clicks", tables: [{ ...tables[0], ttl: "1s" }] }] })).toThrow("ttl");
});

test("the examples are good, each and together", async () => {
  const configs = await Promise.all(EXAMPLES.map((file) => readConfig(file, { env: { XDG_STATE_HOME: "/state" } })));
  expect(mismatches(configs)).toEqual([]);
  for (const config of configs) {
    for (const peer of config.peers) {
      const theirs = configs.find((each) => each.region === peer.region && each.nats.kind === "own");
      expect(theirs?.nats).toMatchObject({ listen: { port: Number(new URL(peer.url).port) } });
      // Both ends find the one password without being told it.
      expect(theirs?.grants.find((grant) => grant.region === config.region)?.password).toEqual(peer.password);
    }
  }
});

test("mismatches() says what does not fit together", () => {
  const one = parse({ ...LEAST, peers: [{ region: "oregon", url: "nats://127.0.0.1:2" }] });
  const other = parse({
    ...LEAST,
    region: "oregon",
    training: "oregon",
    models: [{ name: "clicks", shards: 8, dense: ["age"], slices: ["country"] }],
  });
  const found = mismatches([one, other]).join("\n");
  for (const says of [
    "listen on 127.0.0.1:4222",
    "listen on 127.0.0.1:8080",
    "trains",
    "the model clicks is not declared alike; these differ: shards, dense, slices",
    "peer oregon grants region frankfurt nothing",
  ]) {
    expect(found).toContain(says);
  }
  expect(mismatches([one, one]).join("\n")).toContain("both are node a of region frankfurt");
});

const TWO = { ...LEAST, nodes: ["a", "b"], http: false };
const SIBLING = { url: "nats://127.0.0.1:4222", node: "a" };

test("a second node enters its region's server as a sibling, and both ends find the password without being told it", () => {
  const [a, b] = [parse(TWO), parse({ ...TWO, node: "b", nats: SIBLING })];
  expect(mismatches([a, b])).toEqual([]);
  const password = { kind: "shared", path: "/state/freshet/links/frankfurt-at-frankfurt" };
  expect(a.nats).toMatchObject({ kind: "own", nodesPassword: password });
  expect(b.nats).toMatchObject({ kind: "external", user: NODE_USER, password });
  expect(b.state).toBe("/state/freshet/frankfurt-b");
  expect(parse(LEAST).nats).not.toHaveProperty("nodesPassword");
});

test.each([
  ["two servers", { node: "b", nats: { listen: "127.0.0.1:1" } }, "each runs a nats-server, and a region has one"],
  ["other nodes", { node: "b", nodes: ["a", "b", "c"], nats: SIBLING }, "has the nodes a, b, the other a, b, c"],
  [
    "another port",
    { node: "b", nats: { ...SIBLING, url: "nats://127.0.0.1:9" } },
    "nats.url is not where x.jsonc listens",
  ],
  ["other limits", { node: "b", nats: { ...SIBLING, limits: { maxAge: "1h" } } }, "their nats.limits differ"],
  [
    "a peer that knows of one node",
    { region: "oregon", peers: [{ region: "frankfurt", url: "nats://127.0.0.1:4222" }] },
    "its peer frankfurt has the nodes a, and by x.jsonc a, b",
  ],
])("mismatches() of a region's nodes: %s", (_, change, says) => {
  expect(mismatches([parse(TWO), parse({ ...TWO, ...change })]).join("\n")).toContain(says);
});
