import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, QUICK, shortFolder, shownAndClicked, SMALL_MODEL } from "./e2e-support.ts";
import { TestNode } from "./test-node.ts";
import { steadyPorts } from "./free-ports.ts";
import { open } from "./nats-server-support.ts";
import { startTestNats, type TestNats } from "./real-nats.ts";

const REGION = "oregon";
const FRANKFURT_PASSWORD = "frankfurt may enter oregon";

/** One region that trains, with a peer that may enter and a peer that lets nobody in. */
interface World extends AsyncDisposable {
  readonly node: TestNode;
  readonly singapore: TestNats;
  readonly folder: string;
}

let world: World;

beforeAll(async () => {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await shortFolder());
  const singapore = undo.use(
    await startTestNats({ name: "singapore", users: [{ user: REGION, password: "another one", permissions: "all" }] }),
  );
  await writeFile(join(folder.path, "for-singapore"), "a wrong one", { mode: 0o600 });
  await writeFile(join(folder.path, "of-frankfurt"), FRANKFURT_PASSWORD, { mode: 0o600 });
  const node = undo.use(await makeNode(folder.path, { peer: singapore.url }));
  await node.start();
  await node.ready();
  expect(await node.post(shownAndClicked("someone", "something"))).toBe(202);
  await eventually("it is learned", async () => node.clicksOf("something"));
  const held = undo.move();
  world = { node, singapore, folder: folder.path, [Symbol.asyncDispose]: () => held.disposeAsync() };
}, 60_000);

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

interface Making {
  readonly peer?: string;
  readonly nats?: string;
  readonly http?: string;
  readonly prefix?: readonly string[];
  readonly limits?: { readonly streamBytes: string };
}

async function makeNode(folder: string, { peer, nats, http, prefix, limits }: Making = {}): Promise<TestNode> {
  const [natsPort = 0, httpPort = 0] = await steadyPorts(2);
  return new TestNode({
    folder,
    ...(prefix === undefined ? {} : { prefix }),
    config: {
      ...QUICK,
      region: REGION,
      training: REGION,
      nats: {
        listen: nats ?? `127.0.0.1:${natsPort}`,
        password: { file: "operator" },
        ...(limits === undefined ? {} : { limits }),
      },
      http: { listen: http ?? `127.0.0.1:${httpPort}`, deadline: "1s" },
      grants: peer === undefined ? [] : [{ region: "frankfurt", password: { file: "of-frankfurt" } }],
      peers: peer === undefined ? [] : [{ region: "singapore", url: peer, password: { file: "for-singapore" } }],
    },
  });
}

async function digest(): Promise<string | undefined> {
  return (await world.node.status())?.models[0]?.digest;
}

async function counted(name: string, labels: Readonly<Record<string, string>>, atLeast = 1): Promise<void> {
  await eventually(`${name} ${JSON.stringify(labels)} is ${atLeast}`, async () =>
    ((await world.node.metric(name, labels)) ?? 0) >= atLeast ? true : undefined,
  );
}

test("a peer that refuses our password is a link that is down, said and counted, and no reason not to serve", async () => {
  const { node } = world;
  const status = await node.status();
  expect(status).toMatchObject({ ready: true, links: [{ peer: "singapore", connected: false }] });
  expect(status?.problems).toContain("the link to singapore is down");
  await counted("freshet_link_connect_failures_total", { peer: "singapore", reason: "refused" });
  expect(node.lines.join("\n")).toMatch(/cannot connect to a nats-server.*singapore.*authorization/i);
});

test("whoever has no password, or a wrong one, is refused by our server, and counted", async () => {
  await expect(open(world.node.natsUrl, "frankfurt", "guessed")).rejects.toThrow(/authorization/i);
  await counted("freshet_nats_refused_total", { what: "login" });
});

test("a peer that speaks for another is refused by our server, and counted", async () => {
  const before = await digest();
  expect(before).toBeTypeOf("string");
  await using frankfurt = await open(world.node.natsUrl, "frankfurt", FRANKFURT_PASSWORD);
  const { connection, refused } = frankfurt;
  for (const subject of [
    `freshet.${REGION}.shard.${SMALL_MODEL.name}-0-a.frame.singapore`,
    `freshet.${REGION}.shard.${SMALL_MODEL.name}-0-a.frame.${REGION}`,
    "freshet.singapore.shard.x.frame.frankfurt",
    `freshet.${REGION}.events.http.a.${REGION}`,
    "$KV.LEASES.clicks-0",
    "$JS.API.STREAM.PURGE.EVENTS",
  ]) {
    connection.publish(subject, "{}");
    await connection.flush();
    await eventually(`${subject} is refused`, async () => (refused.includes(`publish ${subject}`) ? true : undefined));
  }
  await counted("freshet_nats_refused_total", { what: "publish" }, 6);
  expect(await digest()).toBe(before);
});

test("what a peer sends that cannot be decoded is refused whole and counted, what is not for peers never arrives, and nothing changes", async () => {
  const before = await digest();
  expect(before).toBeTypeOf("string");
  await using frankfurt = await open(world.node.natsUrl, "frankfurt", FRANKFURT_PASSWORD);
  const { connection, refused } = frankfurt;
  function send(to: string, payload: Uint8Array | string, type?: string): void {
    const made = headers();
    made.set("Freshet-From", `shard.${SMALL_MODEL.name}-0-a`);
    if (type !== undefined) made.set("Freshet-Type", type);
    connection.publish(`freshet.${REGION}.${to}.frankfurt`, payload, { headers: made });
  }
  const shard = { what: "shard" };
  const refusedBefore = (await world.node.metric("freshet_sync_refused_total", shard)) ?? 0;
  const noise = new Uint8Array(100_000).fill(7);
  const replica = `shard.${SMALL_MODEL.name}-0-a`;
  send(`${replica}.pull`, noise, "pull");
  send(`${replica}.pull`, JSON.stringify({ pullId: {}, knowledge: "everything" }));
  send(`${replica}.more`, "[1e999]");
  send(`${replica}.release`, "{}");
  await counted("freshet_sync_refused_total", shard, refusedBefore + 4);
  send("leader.a.poll", "{}");
  await counted("freshet_sync_refused_total", { what: "poll" });
  // No JSON and not marked as bytes: refused before the shard hears of it.
  send(`${replica}.pull`, noise);
  await counted("freshet_dead_letters_total", { reason: "undecodable" });
  expect(refused).toEqual([]);

  const others = [
    `${replica}.frame`,
    `${replica}.push`,
    `${replica}.overwrite`,
    "stream.a.append",
    "link.a.cut",
    "joiner.a.status",
  ];
  for (const to of others) send(to, "{}");
  await eventually("the server has refused them all", async () => (refused.length >= others.length ? true : undefined));
  await counted("freshet_nats_refused_total", { what: "publish" });
  expect(await digest()).toBe(before);
  expect((await world.node.status())?.ready).toBe(true);
  expect(await world.node.clicksOf("something")).toBe(1);
});

test("feedback of a kind that the config does not call positive makes no click", async () => {
  const [impression] = shownAndClicked("somebody", "disliked");
  const dislike = { type: "feedback", kind: "dislike", request: "shown-by-hand", item: "disliked" };
  expect(await world.node.post([{ ...impression, request: "shown-by-hand" }, dislike])).toBe(202);
  await counted("freshet_feedback_ignored_total", {});
  await eventually("its window ends without a click", async () =>
    (await world.node.clicksOf("disliked")) === 0 ? true : undefined,
  );
});

test("a second node is refused what the first one has: its state folder, its ports", async () => {
  const { node, folder } = world;
  await using other = await shortFolder();
  async function refusal(making: Making, where: string, says: readonly (string | RegExp)[]): Promise<void> {
    const second = await makeNode(where, making);
    await second.start();
    expect(await second.ended).toBe(1);
    const said = second.lines.join("\n");
    for (const each of says) expect(said).toMatch(each);
    // A person reads this: what to do, and no stack.
    expect(said).not.toMatch(/^\s+at .*:\d+:\d+\)?$/m);
  }
  const port = new URL(node.natsUrl).port;
  const httpPort = new URL(node.url).port;
  await refusal({}, folder, [/Cannot use state folder/, new RegExp(`process ${node.pid}`)]);
  await refusal({ nats: `127.0.0.1:${port}` }, other.path, [/Cannot start nats-server/, new RegExp(port)]);
  await refusal({ http: `127.0.0.1:${httpPort}` }, other.path, [new RegExp(`Cannot .*127\\.0\\.0\\.1:${httpPort}`)]);
  expect((await node.status())?.ready).toBe(true);
  expect(await node.clicksOf("something")).toBe(1);
});

test("a config that is wrong starts nothing, and all that is wrong is listed", async () => {
  await using folder = await shortFolder();
  const node = new TestNode({
    folder: folder.path,
    config: {
      region: "Not A Token",
      training: REGION,
      models: [{ name: "m", shards: 0 }],
      http: { listen: "0.0.0.0:80" },
    },
  });
  await node.start();
  expect(await node.ended).toBe(1);
  const said = node.lines.join("\n");
  for (const each of [/region is "Not A Token"/, /models\[0\]\.shards is 0/, /http\.listen is "0\.0\.0\.0:80"/]) {
    expect(said).toMatch(each);
  }
  await expect(stat(node.state)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a nats-server that is killed is started again, and the node takes and learns feedback again", async () => {
  const { node } = world;
  const pid = await node.natsPid();
  process.kill(pid, "SIGKILL");
  await eventually("another server runs", async () =>
    (await node.natsPid().catch(() => pid)) !== pid ? true : undefined,
  );
  await eventually("feedback is accepted", async () =>
    (await node.post(shownAndClicked("someone", "after-the-server"))) === 202 ? true : undefined,
  );
  await eventually("it is learned", async () => node.clicksOf("after-the-server").catch(() => undefined));
  expect(await node.clicksOf("something")).toBe(1);
  await counted("freshet_nats_restarts_total", {});
  await eventually("it is ready", async () => ((await node.status())?.ready === true ? true : undefined));
}, 60_000);
