import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { codeFolder } from "../runtime/permissions.ts";
import { eventually, loneNode, QUICK, shortFolder, shownAndClicked, SMALL_MODEL } from "./e2e-support.ts";
import { TestNode } from "./test-node.ts";
import { type Misbehaviour } from "./fixtures/probe-actor.ts";

const REGION = "oregon";
const WORKERS = ["link", "http", "shards", "control", `inference-${SMALL_MODEL.name}`, `trainer-${SMALL_MODEL.name}`];

/** A region of its own that trains, with a probe in each of its workers. */
async function startProbedNode(): Promise<AsyncDisposable & { readonly node: TestNode }> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await shortFolder());
  const node = undo.use(
    new TestNode({
      folder: folder.path,
      entry: fileURLToPath(new URL("fixtures/probed-node.ts", import.meta.url)),
      config: { ...QUICK, ...(await loneNode(REGION)) },
    }),
  );
  await node.start();
  await node.ready();
  const held = undo.move();
  return { node, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

test("from inside each worker of a running node only its grant works", async () => {
  await using probed = await startProbedNode();
  const { node } = probed;
  const files = {
    "beside the code": join(dirname(codeFolder.replace(/\/$/, "")), "freshet-canary"),
    state: join(node.state, "canary"),
    secret: join(dirname(node.state), "operator"),
    "nats config": join(node.state, "nats", "nats-server.conf"),
    image: join(node.state, "shards", `image-${SMALL_MODEL.name}-0.current`),
    code: join(codeFolder, "package.json"),
  };
  // So that there is an image to reach for.
  expect(await node.post(shownAndClicked("someone", "something"))).toBe(202);
  await eventually(
    "an image is written",
    async () => ((await node.metric("freshet_images_saved_total")) ?? 0) >= SMALL_MODEL.shards || undefined,
  );

  const refused = "ERR_ACCESS_DENIED";
  const nothing = {
    ...Object.fromEntries(
      Object.keys(files).flatMap((name) => [`read ${name}`, `write ${name}`].map((what) => [what, refused])),
    ),
    "read code": "done",
    "write working directory": refused,
    "files in working directory": 0,
    connect: refused,
    spawn: refused,
    nest: refused,
    addon: "ERR_DLOPEN_DISABLED",
    environment: 0,
  };
  for (const worker of WORKERS) {
    const tried = await node.tellProgram({ worker, region: REGION, attempt: files });
    const granted =
      worker === "link" || worker === "http"
        ? { connect: "ECONNREFUSED" }
        : worker === "shards"
          ? { "read image": "done", "write image": "done" }
          : {};
    expect([worker, tried]).toEqual([worker, { answer: { ...nothing, ...granted } }]);
  }
  // These are all there are.
  expect((await node.status())?.workers.map(({ name }) => name).toSorted()).toEqual(WORKERS.toSorted());
}, 60_000);

test("workers that crash, exhaust their heap or block for ever are replaced, visibly, and nothing that was accepted is lost", async () => {
  await using probed = await startProbedNode();
  const { node } = probed;
  async function learned(item: string): Promise<void> {
    await eventually(`${item} is accepted`, async () =>
      (await node.post(shownAndClicked("someone", item))) === 202 ? true : undefined,
    );
    await eventually(`${item} is learned`, async () => node.clicksOf(item).catch(() => undefined));
  }
  await learned("before");

  const pairs: readonly (readonly [string, Misbehaviour, string])[] = [
    ["control", "crash", "threw"],
    ["shards", "heap", "heap"],
    [`inference-${SMALL_MODEL.name}`, "block", "stuck"],
    [`trainer-${SMALL_MODEL.name}`, "heap", "heap"],
    ["link", "crash", "threw"],
    ["shards", "block", "stuck"],
    ["http", "crash", "threw"],
    ["link", "block", "stuck"],
  ];
  for (const [worker, how, reason] of pairs) {
    const restarts = (await node.status())?.workers.find(({ name }) => name === worker)?.restarts ?? 0;
    await node.tellProgram({ worker, region: REGION, misbehave: how });
    const replaced = await eventually(`${worker} is replaced after '${how}'`, async () => {
      const status = await node.status();
      const one = status?.workers.find(({ name }) => name === worker);
      return status?.ready === true && one !== undefined && one.restarts > restarts ? one : undefined;
    }).catch(async (error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(await node.status())}\n${node.lines.slice(-30).join("\n")}`, {
        cause: error,
      });
    });
    expect([worker, how, replaced.lastFailure?.split(":")[0]]).toEqual([worker, how, reason]);
    expect(await node.metric("freshet_worker_restarts_total", { worker, reason })).toBe(1);
    await learned(`after-${worker}-${how}`);
  }

  for (const item of ["before", ...pairs.map(([worker, how]) => `after-${worker}-${how}`)]) {
    expect([item, await node.clicksOf(item)]).toEqual([item, 1]);
  }
  // An actor that throws is the smaller thing: it alone starts afresh.
  await node.tellProgram({ worker: "control", region: REGION, misbehave: "throw" });
  await eventually(
    "the failure of an actor is counted",
    async () => ((await node.metric("freshet_actor_restarts_total", { kind: "probe" })) ?? 0) > 0 || undefined,
  );
  expect((await node.status())?.workers.find(({ name }) => name === "control")?.restarts).toBe(1);
  expect(await node.stop()).toBe(0);
}, 120_000);
