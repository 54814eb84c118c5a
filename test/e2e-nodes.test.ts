import { afterAll, beforeAll, expect, test } from "vitest";
import { type Regions, SHARDS, startRegions } from "./e2e-regions.ts";
import { eventually, shownAndClicked } from "./e2e-support.ts";
import { type TestNode } from "./test-node.ts";

const NODES = { frankfurt: ["a", "b"], oregon: ["a", "b"] };

async function learned(node: TestNode, item: string, clicks: number): Promise<void> {
  await eventually(
    `${node.region}/${node.node} has ${clicks} clicks of ${item}`,
    async () => ((await node.clicksOf(item)) === clicks ? true : undefined),
    40_000,
  );
}

test("two nodes share the server of one of them; both take events, and both learn what is trained on one", async () => {
  await using regions = await startRegions({ nodes: NODES, training: "oregon", servers: "own" });
  for (const [at, node] of regions.all.entries()) {
    expect(await node.post(shownAndClicked("someone", `item-${at}`))).toBe(202);
  }
  for (const node of regions.all) {
    for (const at of regions.all.keys()) await learned(node, `item-${at}`, 1);
  }
  await regions.converged(regions.all);
  const [first] = await Promise.all(regions.all.map((node) => node.status()));
  expect(first?.problems).toEqual([]);
}, 120_000);

/** Who leads every shard of its region, as all these nodes see it. */
async function leaderOf(nodes: readonly TestNode[], other?: TestNode): Promise<TestNode> {
  return eventually(`one of ${nodes.length} nodes leads every shard${other ? `, not ${other.node}` : ""}`, async () => {
    const statuses = await Promise.all(nodes.map((node) => node.status()));
    const holders = new Set(statuses.flatMap((status) => status?.leaders.map(({ holder }) => holder) ?? []));
    const isWhole = statuses.every((status) => status?.leaders.length === SHARDS.length);
    const leader = nodes.find(({ node }) => holders.has(node));
    return isWhole && holders.size === 1 && leader !== other ? leader : undefined;
  });
}

/** Turns of a lease's holder, whose renewals are its terms: time as the leases count it. */
async function terms(node: TestNode): Promise<number> {
  return node.lastOf("KV_LEASES");
}

let regions: Regions;
let pair: readonly TestNode[];

beforeAll(async () => {
  regions = await startRegions({ nodes: NODES, training: "oregon", servers: "apart" });
  pair = [regions.node("frankfurt", "a"), regions.node("frankfurt", "b")];
}, 90_000);

afterAll(async () => {
  await regions[Symbol.asyncDispose]();
});

/** One node for all shards: the other is away until the first has them all. */
async function madeLeader(): Promise<{ readonly leader: TestNode; readonly other: TestNode }> {
  const [a, b] = pair;
  if (a === undefined || b === undefined) throw new RangeError("Cannot choose a leader: the plan has two nodes");
  await b.kill();
  const leader = await leaderOf([a]);
  await b.start();
  await b.ready();
  expect(await leaderOf(pair)).toBe(leader);
  return { leader, other: b };
}

async function asked(node: TestNode, role: string): Promise<number> {
  return eventually(`${node.node} says what it pulled`, () => node.metric("freshet_pulls_asked_total", { role }));
}

test("one node of a region pulls from afar, and the other from it", async () => {
  const { leader, other } = await madeLeader();
  const [byLeader, byOther] = [await asked(leader, "leader"), await asked(other, "follower")];
  expect(await leader.post(shownAndClicked("someone", "by-the-leader"))).toBe(202);
  for (const node of regions.all) await learned(node, "by-the-leader", 1);
  expect(await asked(leader, "leader")).toBeGreaterThan(byLeader);
  expect(await asked(other, "follower")).toBeGreaterThan(byOther);
  // The primary pulls from nobody, whoever leads.
  const primary = regions.node("oregon");
  for (const role of ["leader", "follower", "itself"]) expect(await asked(primary, role)).toBe(0);
}, 90_000);

test("without trouble no leader changes, however often leases are renewed", async () => {
  const { leader, other } = await madeLeader();
  const changes = await other.metric("freshet_leader_changes_total");
  const before = await terms(other);
  await eventually("each lease was renewed ten times", async () =>
    (await terms(other)) >= before + 10 * SHARDS.length ? true : undefined,
  );
  expect(await leaderOf(pair)).toBe(leader);
  expect(await other.metric("freshet_leader_changes_total")).toBe(changes);
}, 90_000);

test("a leader killed with SIGKILL is replaced by the other node, which goes on from where it was", async () => {
  const { leader, other } = await madeLeader();
  await leader.kill();
  expect(await leaderOf([other], leader)).toBe(other);
  expect(await other.post(shownAndClicked("someone", "after-the-death"))).toBe(202);
  await learned(other, "after-the-death", 1);
  expect(await asked(other, "leader")).toBeGreaterThan(0);
  await leader.start();
  await leader.ready();
  await learned(leader, "after-the-death", 1);
  // Who comes back leaves the lease where it is.
  expect(await leaderOf(pair)).toBe(other);
  await regions.converged(regions.all);
}, 120_000);

test("a leader that was stopped for longer than its lease leads no more when it goes on", async () => {
  const { leader, other } = await madeLeader();
  process.kill(leader.pid, "SIGSTOP");
  try {
    expect(await leaderOf([other], leader)).toBe(other);
    expect(await other.post(shownAndClicked("someone", "in-its-sleep"))).toBe(202);
    await learned(other, "in-its-sleep", 1);
    const before = await terms(other);
    await eventually("the new leader has renewed its leases", async () =>
      (await terms(other)) >= before + 3 * SHARDS.length ? true : undefined,
    );
  } finally {
    process.kill(leader.pid, "SIGCONT");
  }
  await learned(leader, "in-its-sleep", 1);
  expect(await leaderOf(pair)).toBe(other);
  await regions.converged(regions.all);
}, 120_000);

async function membersAre(nodes: readonly TestNode[], expected: readonly string[]): Promise<void> {
  for (const node of nodes) {
    await eventually(`${node.region}/${node.node} knows the members ${expected.join(", ")}`, async () =>
      (await node.members())?.present.join() === expected.join() ? true : undefined,
    );
  }
}

test("the region log names the members; nodes of the region that trains change them, and no config brings a retired one back", async () => {
  const all = ["frankfurt/a", "frankfurt/b", "oregon/a", "oregon/b"];
  const [primary, follower] = [regions.node("oregon", "a"), regions.node("oregon", "b")];
  await membersAre(regions.all, all);

  const retiring = { act: "retire", region: "frankfurt", node: "b" } as const;
  const elsewhere = await regions.node("frankfurt").members(retiring);
  expect([elsewhere?.status, elsewhere?.text]).toEqual([409, expect.stringContaining("changed in oregon")]);
  const trains = await follower.members({ act: "retire", region: "oregon", node: "a" });
  expect([trains?.status, trains?.text]).toEqual([409, expect.stringContaining("oregon/a trains")]);
  const unknown = await follower.members({ act: "retire", region: "tokyo", node: "a" });
  expect([unknown?.status, unknown?.text]).toEqual([409, expect.stringContaining("tokyo/a is no member")]);

  // Both at once: one of them finds that the other was first, and says it again after that.
  const [added, retired] = await Promise.all([
    primary.members({ act: "add", region: "tokyo", node: "a" }),
    follower.members(retiring),
  ]);
  expect([added?.status, retired?.status]).toEqual([200, 200]);
  const left = ["frankfurt/a", "oregon/a", "oregon/b", "tokyo/a"];
  await membersAre(regions.all, left);
  const last = await primary.lastOf("LOG");
  expect((await follower.members(retiring))?.status).toBe(200);
  expect(await primary.lastOf("LOG")).toBe(last);

  await primary.kill();
  await primary.start();
  await primary.ready();
  await membersAre(regions.all, left);
}, 90_000);
