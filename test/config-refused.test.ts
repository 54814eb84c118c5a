import { expect, test } from "vitest";
import { modelLayout } from "../protocols/model-layout.ts";
import { isToken } from "../protocols/subjects.ts";
import { checkTables } from "../protocols/sync/declaration.ts";
import { type RegionConfigInput } from "../regions/config.ts";
import { nodeAddresses } from "../regions/node-plan.ts";
import { ANONYMOUS_USER, NODE_USER, OPERATOR_USER } from "../regions/server-users.ts";
import { LEAST, parse, problemsOf } from "./config-parsing.ts";

test.each([NODE_USER, ANONYMOUS_USER, OPERATOR_USER, "anonymous"])("a region cannot be called %s", (name) => {
  const found = problemsOf({ ...LEAST, region: name, training: name });
  expect(found.map((line) => / (\S+) is /.exec(line)?.[1])).toEqual(["region", "training"]);
});

test.each([
  ["another node than a alone where it trains", { node: "b" }, "node"],
  ["nodes without a where it trains", { node: "b", nodes: ["b", "c"] }, "nodes"],
  ["nodes without this one", { nodes: ["a", "c"], node: "b", nats: { url: "nats://127.0.0.1:1" } }, "nodes"],
  ["a node twice", { nodes: ["a", "b", "a"] }, "nodes[2]"],
  ["a node that is no name", { nodes: ["a", "B"] }, "nodes[1]"],
  ["no node", { peers: [{ region: "oregon", url: "nats://127.0.0.1:1", nodes: [] }] }, "peers[0].nodes"],
  ["the server of a node that there is not", { nats: { url: "nats://127.0.0.1:1", node: "b" } }, "nats.node"],
  ["its own server as a sibling's", { nodes: ["a", "b"], nats: { url: "nats://127.0.0.1:1", node: "a" } }, "nats.node"],
  [
    "a user beside a sibling",
    { nodes: ["a", "b"], nats: { url: "nats://127.0.0.1:1", node: "b", user: "x" } },
    "nats.user",
  ],
  [
    "several nodes without a password beyond loopback",
    { nodes: ["a", "b"], nats: { listen: "0.0.0.0:1", tls: { cert: "a", key: "b", ca: "c" } } },
    "nats.nodesPassword",
  ],
  ["an engine that there is not", { compute: "gpu" }, "compute"],
  ["the urgency of a model that there is not", { urgency: { views: "./urgency.mjs" } }, "urgency.views"],
  ["code in place of a module's path", { urgency: { clicks: { code: "() => 1" } } }, "urgency.clicks"],
  ["a joiner's memory beyond a third of the heap", { joiner: { memory: "1.34GB" } }, "joiner.memory"],
  [
    "a joiner's memory beyond a third of a small heap",
    { joiner: { memory: "100MB" }, supervision: { heap: "256MB" } },
    "joiner.memory",
  ],
  ["NATS beyond loopback without TLS", { nats: { listen: "0.0.0.0:4222" } }, "nats.listen"],
  ["NATS on every IPv6 address without TLS", { nats: { listen: "[::]:4222" } }, "nats.listen"],
  ["a name that only begins like loopback", { nats: { listen: "127.example.com:4222" } }, "nats.listen"],
  [
    "anonymous inspection beyond loopback",
    { nats: { listen: "0.0.0.0:1", tls: { cert: "a", key: "b", ca: "c" }, inspectAnonymously: true } },
    "nats.inspectAnonymously",
  ],
  ["HTTP beyond loopback without a token", { http: { listen: "0.0.0.0:80" } }, "http.listen"],
  [
    "a grant without a password beyond loopback",
    { nats: { listen: "0.0.0.0:1", tls: { cert: "a", key: "b", ca: "c" } }, grants: [{ region: "oregon" }] },
    "grants[0].password",
  ],
  [
    "a password in the clear over a network",
    { peers: [{ region: "oregon", url: "nats://oregon.example.com:4222", password: { env: "P" } }] },
    "peers[0].url",
  ],
  [
    "a peer elsewhere without a password",
    { peers: [{ region: "oregon", url: "tls://oregon.example.com:4222" }] },
    "peers[0].password",
  ],
  [
    "an external server elsewhere in the clear",
    { nats: { url: "nats://nats.example.com:4222", password: { env: "P" } } },
    "nats.url",
  ],
  [
    "an external server elsewhere without a password",
    { nats: { url: "tls://nats.example.com:4222" } },
    "nats.password",
  ],
  ["a peer that is this region", { peers: [{ region: "frankfurt", url: "nats://127.0.0.1:1" }] }, "peers[0].region"],
  ["a training region that is neither own nor a peer", { training: "oregon" }, "training"],
  ["grants of an external server", { nats: { url: "nats://127.0.0.1:1" }, grants: [{ region: "oregon" }] }, "grants"],
  [
    "a model without a user table",
    { models: [{ name: "m", tables: [{ name: "items", key: "item" }] }] },
    "models[0].tables",
  ],
  [
    "two tables of one name",
    {
      models: [
        {
          name: "m",
          tables: [
            { name: "t", key: "item" },
            { name: "t", key: "user" },
          ],
        },
      ],
    },
    "models[0].tables[1].name",
  ],
  ["a dense feature twice", { models: [{ name: "m", dense: ["age", "age"] }] }, "models[0].dense[1]"],
  ["no model", { models: [] }, "models"],
  [
    "a learning rate of 0",
    { models: [{ name: "m", optimizer: { learningRate: 0 } }] },
    "models[0].optimizer.learningRate",
  ],
  ["a duration without a unit", { snapshot: { every: "5" } }, "snapshot.every"],
  ["a duration beyond its bounds", { snapshot: { every: "2d" } }, "snapshot.every"],
  ["a limit below what a restart stamps ahead", { sync: { jumpLimit: "9999ms" } }, "sync.jumpLimit"],
  ["images so seldom that the limit is below it", { snapshot: { every: "12.001h" } }, "snapshot.every"],
  ["a poll held for longer than a peer holds one", { sync: { pollWait: "5001ms" } }, "sync.pollWait"],
  ["a duration that rounds to less than its bound", { snapshot: { every: "99.4ms" } }, "snapshot.every"],
  ["a grant to a region called like a user", { grants: [{ region: "operator" }] }, "grants[0].region"],
  ["a peer called like a user", { peers: [{ region: "anonymous", url: "nats://127.0.0.1:1" }] }, "peers[0].region"],
  ["a body far beyond what is stored together", { http: { bodyMax: "5MB" } }, "http.bodyMax"],
  ["no positive kind of feedback", { joiner: { positive: [] } }, "joiner.positive"],
  [
    "too many positive kinds",
    { joiner: { positive: Array.from({ length: 33 }, (_, index) => `kind-${index}`) } },
    "joiner.positive",
  ],
  ["a positive kind twice", { joiner: { positive: ["click", "click"] } }, "joiner.positive[1]"],
  ["a positive kind that no feedback can have", { joiner: { positive: ["a\nb"] } }, "joiner.positive[0]"],
  ["a way to give negatives that is none", { joiner: { emit: { kind: "slow" } } }, "joiner.emit.kind"],
  ["a share of positives beyond all", { joiner: { emit: { kind: "fast", afterShare: 1 } } }, "joiner.emit.afterShare"],
  ["more trainers than there may be", { trainer: { count: 17 } }, "trainer.count"],
  ["a negative compensation", { trainer: { delayCompensation: -1 } }, "trainer.delayCompensation"],
  ["positives spread for longer than an hour", { joiner: { scatter: "61m" } }, "joiner.scatter"],
  ["no negatives at all", { models: [{ name: "m", negativesKept: 0 }] }, "models[0].negativesKept"],
  ["a size of an unknown unit", { http: { bodyMax: "1MiB" } }, "http.bodyMax"],
  ["a port that is none", { http: { listen: "127.0.0.1:65536" } }, "http.listen"],
  ["an address without a port", { http: { listen: "127.0.0.1" } }, "http.listen"],
])("refused: %s", (_, change, path) => {
  const found = problemsOf({ ...LEAST, ...change });
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(`: ${path} is `);
  expect(found[0]).not.toContain(" is unknown");
});

const BASIC_TABLES = [
  { name: "users", key: "user" },
  { name: "items", key: "item" },
];

function tablesWith(more: readonly string[]): RegionConfigInput["models"][number]["tables"] {
  return [...BASIC_TABLES, ...more.map((name) => ({ name, key: name }))];
}

const BUCKETS = { name: "ages", kind: "bucketised", of: "age", bounds: [18, 30] };

function many(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `t${index}`);
}

test.each([
  ["as many tables as a shard holds", { tables: tablesWith(many(61)) }, "models[0].tables"],
  ["as many tables, with dense features", { tables: tablesWith(many(60)), dense: ["age"] }, "models[0].tables"],
  ["a table called catalogue", { tables: tablesWith(["catalogue"]) }, "models[0].tables[2].name"],
  ["a table called like a dense group", { tables: tablesWith(["dense-top"]) }, "models[0].tables[2].name"],
  ["top layers beyond a row", { architecture: { top: [4096, 64] } }, "models[0].architecture.top"],
  [
    "bottom layers beyond a row",
    { dense: ["age"], architecture: { bottom: [4096, 64] } },
    "models[0].architecture.bottom",
  ],
  ["an architecture that there is not", { architecture: { kind: "dlmr" } }, "models[0].architecture.kind"],
  ["bounds that do not rise", { derived: [{ ...BUCKETS, bounds: [1, 1] }] }, "models[0].derived[0].bounds"],
  ["a derived feature that nothing uses", { derived: [BUCKETS] }, "models[0].derived[0].name"],
  ["a derived feature called user", { derived: [{ ...BUCKETS, name: "user" }] }, "models[0].derived[0].name"],
  [
    "a feature made of a later one",
    { tables: tablesWith(["x"]), derived: [{ name: "x", kind: "crossed", of: ["user", "ages"] }, BUCKETS] },
    "models[0].derived[0].of[1]",
  ],
  ["a feature made of one", { derived: [{ name: "x", kind: "crossed", of: ["user"] }] }, "models[0].derived[0].of"],
  ["a kind of feature that there is not", { derived: [{ name: "x", kind: "sum" }] }, "models[0].derived[0].kind"],
  ["an optimizer that there is not", { optimizer: { kind: "sgd" } }, "models[0].optimizer.kind"],
  ["a penalty below 0", { optimizer: { kind: "ftrl", l1: -1 } }, "models[0].optimizer.l1"],
  ["a share of 1", { denseOptimizer: { kind: "adam", beta1: 1 } }, "models[0].denseOptimizer.beta1"],
  ["another optimizer's field", { optimizer: { kind: "adam", l1: 1 } }, "models[0].optimizer.l1"],
  ["cross layers beyond a row", { architecture: { kind: "dcn-v2", embedding: 256 } }, "models[0].architecture.cross"],
  ["deep layers beyond a row", { architecture: { kind: "deepfm", deep: [4096, 64] } }, "models[0].architecture.deep"],
  [
    "an embedding beyond its bounds",
    { architecture: { kind: "deepfm", embedding: 257 } },
    "models[0].architecture.embedding",
  ],
  ["a model's name beyond an actor's id", { name: "m".repeat(61) }, "models[0].name"],
  ["a model's name beyond the id of a shard of many", { name: "m".repeat(58), shards: 1024 }, "models[0].name"],
])("a model that could not start is refused: %s", (_, change, path) => {
  const found = problemsOf({ ...LEAST, models: [{ name: "clicks", ...change }] });
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(`: ${path} is `);
});

test.each([
  [{ kind: "deepfm", top: [3] }, "kind, embedding, deep"],
  [{ kind: "logistic", embedding: 3 }, "kind"],
  [{ deep: [3] }, "kind, embedding, bottom, top"],
])("a field of another architecture is unknown, and those of this one are named: %j", (architecture, fields) => {
  const [line = ""] = problemsOf({ ...LEAST, models: [{ name: "clicks", architecture }] });
  expect(line).toMatch(
    new RegExp(`architecture\\.\\w+ is unknown; allowed: .*one of ${fields}$|nearest of ${fields}$`),
  );
});

test("each architecture has its defaults, and a DLRM is meant where none is named", () => {
  const kinds = [{}, { kind: "dcn-v2" }, { kind: "deepfm" }, { kind: "two-tower" }, { kind: "logistic" }];
  const models = kinds.map((architecture, at) => ({ name: `m${at}`, architecture }));
  expect(parse({ ...LEAST, models }).models.map(({ architecture }) => architecture)).toEqual([
    { kind: "dlrm", embedding: 16, bottom: [32], top: [32, 16] },
    { kind: "dcn-v2", embedding: 16, cross: 3, deep: [64, 32] },
    { kind: "deepfm", embedding: 16, deep: [64, 32] },
    { kind: "two-tower", embedding: 16, user: [32], item: [32], output: 16, itemTables: [], itemDense: [] },
    { kind: "logistic" },
  ]);
});

test("what an optimizer leaves out is left to it, but for the rate; AdaGrad is meant where none is named", () => {
  const [model] = parse({ ...LEAST, models: [{ name: "m", optimizer: { kind: "ftrl", l1: 3 } }] }).models;
  expect(model?.optimizer).toEqual({ kind: "ftrl", learningRate: 0.05, l1: 3 });
  expect(model?.denseOptimizer).toEqual({ kind: "adagrad", learningRate: 0.02 });
});

test("the largest and longest that can start is taken", () => {
  const region = "r".repeat(62);
  const name = "m".repeat(57);
  const models = [{ name, shards: 1024, tables: tablesWith(many(59)), dense: ["age"] }];
  const config = parse({ ...LEAST, region, training: region, models });
  const [model] = config.models;
  if (model === undefined) throw new Error("no model");
  expect(() => checkTables(modelLayout(model).tables)).not.toThrow();
  expect(isToken(nodeAddresses(config).shard(name, 1023).id)).toBe(true);
  expect(problemsOf({ ...LEAST, region: `${region}r`, training: `${region}r` })).toEqual([
    expect.stringContaining(": region is "),
  ]);
});
