import { expect, test } from "vitest";
import { POLL_LIMITS } from "../protocols/limits.ts";
import { type LeaderOf } from "../protocols/sync/poll-leaders.ts";
import { createPoller, pendingCount, type PollEffect, type Poller, stepPoller } from "../protocols/sync/poll.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { pullIds } from "../properties/world/names.ts";

const OURS = parseWriterId("0.here.b.l1");
const THEIRS = parseWriterId("0.there.a.l1");
const LIMITS = { ...POLL_LIMITS, gapMs: 50, patienceMs: 5_000, farPollMs: 1_000 };
const SIBLING = "here/a";
const FAR = ["there/a", "there/b"];
const SHARD = "clicks-0";

interface NodeB {
  readonly poller: Poller;
  leader: ReturnType<LeaderOf>;
  led(leader: ReturnType<LeaderOf>): PollEffect[];
}

/** Node b of region here, which polls its sibling and two nodes elsewhere. Who leads is what `leader` says at the time. */
function nodeB(): NodeB {
  const node: NodeB = {
    poller: createPoller(OURS, pullIds(), LIMITS, () => node.leader),
    leader: undefined,
    led(leader: ReturnType<LeaderOf>): PollEffect[] {
      node.leader = leader;
      return stepPoller(node.poller, { kind: "led", shard: SHARD });
    },
  };
  stepPoller(node.poller, { kind: "changed", shard: SHARD, version: { counter: 1, generator: OURS } });
  stepPoller(node.poller, { kind: "neighbour", peer: SIBLING });
  for (const peer of FAR) stepPoller(node.poller, { kind: "neighbour", peer, isFar: true });
  return node;
}

/** A neighbour answers the open poll: its shard has this version now. */
function lists(poller: Poller, peer: string, counter: number): PollEffect[] {
  const pollId = poller.neighbours.get(peer)?.pollId;
  const shards = [{ shard: SHARD, counter, generator: THEIRS }];
  const body = { pollId, cursor: { writer: THEIRS, change: counter }, more: false, shards };
  return stepPoller(poller, { kind: "message", from: peer, message: "changes", body });
}

/** The id of the pull that runs. */
function running({ poller }: NodeB): string {
  return poller.pulling.get(SHARD)?.pullId ?? "";
}

function fire(poller: Poller, effects: readonly PollEffect[], what: string): PollEffect[] {
  return effects.flatMap((effect) =>
    effect.kind === "timer" && effect.name.startsWith(`${what} `)
      ? stepPoller(poller, { kind: "timer", name: effect.name })
      : [],
  );
}

function asked(effects: readonly PollEffect[], peer: string): boolean {
  return effects.some((effect) => effect.kind === "send" && effect.to === peer && effect.message === "poll");
}

function pulls(effects: readonly PollEffect[]): string[] {
  return effects.flatMap((effect) => (effect.kind === "pull" ? [`${effect.peer} as ${effect.role}`] : []));
}

test("a shard is pulled as what this node is: its leader, a follower, or on its own where nobody leads", () => {
  for (const [leader, peer, expected] of [
    ["self", "there/a", ["there/a as leader"]],
    ["self", SIBLING, [`${SIBLING} as leader`]],
    [undefined, "there/a", ["there/a as itself"]],
    [{ peer: SIBLING }, SIBLING, [`${SIBLING} as follower`]],
    [{ peer: SIBLING }, "there/a", []],
    // Who is not polled can bring nothing.
    [{ peer: "here/c" }, "there/a", ["there/a as itself"]],
  ] as const) {
    const node = nodeB();
    node.led(leader);
    expect(pulls(lists(node.poller, peer, 1))).toEqual(expected);
  }
});

test("what a leader brings in time is not pulled from elsewhere", () => {
  const node = nodeB();
  node.led({ peer: SIBLING });
  const listed = lists(node.poller, "there/a", 1);
  expect(listed).toContainEqual({ kind: "left", peer: "there/a", shard: SHARD });
  stepPoller(node.poller, { kind: "changed", shard: SHARD, version: { counter: 1, generator: THEIRS } });
  expect(fire(node.poller, listed, "left")).toEqual([]);
  expect(pendingCount(node.poller)).toBe(0);
});

test("a leader that keeps a little behind what is listed has not fallen behind", () => {
  const node = nodeB();
  node.led({ peer: SIBLING });
  const listed = lists(node.poller, "there/a", 1);
  fire(node.poller, listed, "ask");
  lists(node.poller, "there/a", 5);
  stepPoller(node.poller, { kind: "changed", shard: SHARD, version: { counter: 3, generator: THEIRS } });
  const again = fire(node.poller, listed, "left");
  expect(pulls(again)).toEqual([]);
  // From then on it has its time for the newer one.
  expect(pulls(fire(node.poller, again, "left"))).toEqual(["there/a as itself"]);
});

test("what a leader does not bring in time is pulled after all, and again until it is there", () => {
  const node = nodeB();
  node.led({ peer: SIBLING });
  const listed = lists(node.poller, "there/a", 1);
  expect(listed).toContainEqual(expect.objectContaining({ kind: "timer", delayMs: LIMITS.patienceMs }));
  expect(pulls(fire(node.poller, listed, "left"))).toEqual(["there/a as itself"]);
  const failed = stepPoller(node.poller, { kind: "pulled", shard: SHARD, pullId: running(node), outcome: "failed" });
  expect(pulls(fire(node.poller, failed, "retry"))).toEqual(["there/a as itself"]);
  stepPoller(node.poller, { kind: "changed", shard: SHARD, version: { counter: 1, generator: THEIRS } });
  stepPoller(node.poller, { kind: "pulled", shard: SHARD, pullId: running(node), outcome: "complete" });
  // The next change is the leader's again.
  expect(pulls(lists(node.poller, "there/a", 2))).toEqual([]);
});

test("when the leader changes, what was left to the last one is looked at again at once", () => {
  for (const [next, expected] of [
    ["self", ["there/a as leader"]],
    [undefined, ["there/a as itself"]],
  ] as const) {
    const node = nodeB();
    node.led({ peer: SIBLING });
    const listed = lists(node.poller, "there/a", 1);
    expect(pulls(node.led(next))).toEqual(expected);
    // The old timer says nothing any more.
    expect(pulls(fire(node.poller, listed, "left"))).toEqual([]);
  }
});

test("a lease that is over ends the leading at the next pull, whether or not anybody said so", () => {
  const node = nodeB();
  node.led("self");
  node.leader = { peer: SIBLING };
  expect(pulls(lists(node.poller, "there/a", 1))).toEqual([]);
});

test("who leads nothing asks elsewhere at a low rate, all peers together, and its sibling as ever; who leads again asks at once", () => {
  const node = nodeB();
  node.led({ peer: SIBLING });
  expect(asked(lists(node.poller, SIBLING, 1), SIBLING)).toBe(true);
  const far = lists(node.poller, "there/a", 1);
  expect(asked(far, "there/a")).toBe(false);
  expect(far).toContainEqual(expect.objectContaining({ kind: "timer", delayMs: FAR.length * LIMITS.farPollMs }));
  expect(asked(fire(node.poller, far, "ask"), "there/a")).toBe(true);
  lists(node.poller, "there/a", 2);
  const led = node.led("self");
  expect([asked(led, "there/a"), asked(led, "there/b")]).toEqual([true, false]);
  expect(asked(lists(node.poller, "there/a", 3), "there/a")).toBe(true);
});
