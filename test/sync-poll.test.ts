import { expect, test } from "vitest";
import { POLL_LIMITS } from "../protocols/limits.ts";
import {
  createPoller,
  pendingCount,
  type PollEffect,
  type PollEvent,
  type Poller,
  stepPoller,
} from "../protocols/sync/poll.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { type ChangesMessage, type Cursor, encodePoll, parseChanges } from "../protocols/wire/poll.ts";
import { pullIds } from "../properties/world/names.ts";

const A = parseWriterId("0.a.n.x");
const B = parseWriterId("0.b.n.x");

test("a poll is held until something changes, and the next answer keeps its distance so that changes coalesce", () => {
  const b = createPoller(B, pullIds());
  change(b, "s/0", 1);
  const first = answerOf(poll(b, { pollId: 1 }));
  expect(first).toMatchObject({ pollId: 1, more: false, shards: [{ shard: "s/0", counter: 1, generator: B }] });
  expect(answerOf(poll(b, { pollId: 2, cursor: first?.cursor }))).toBeUndefined();

  // Within the distance: collected, one listing for two changes of one shard.
  expect(change(b, "s/0", 2)).toEqual([]);
  expect(change(b, "s/0", 3)).toEqual([]);
  const later = answerOf(stepPoller(b, { kind: "timer", name: "rest 1 a" }));
  expect(later).toMatchObject({ pollId: 2, shards: [{ shard: "s/0", counter: 3 }] });

  // After the distance: at once.
  stepPoller(b, { kind: "timer", name: "rest 2 a" });
  poll(b, { pollId: 3, cursor: later?.cursor });
  expect(answerOf(change(b, "s/1", 1))).toMatchObject({ pollId: 3, shards: [{ shard: "s/1" }] });
});

test("a held poll whose time is up is answered with nothing", () => {
  const b = createPoller(B, pullIds());
  const [timer] = poll(b, { pollId: 4, cursor: { writer: B, change: 0 } });
  expect(timer).toMatchObject({ kind: "timer", delayMs: POLL_LIMITS.waitMs });
  if (timer?.kind !== "timer") return;
  expect(answerOf(stepPoller(b, { kind: "timer", name: timer.name }))).toEqual({
    pollId: 4,
    cursor: { writer: B, change: 0 },
    more: false,
    shards: [],
  });
  expect(stepPoller(b, { kind: "timer", name: timer.name })).toEqual([]);
});

test("a cursor of another start, or of the future, lists everything", () => {
  for (const cursor of [
    { writer: A, change: 5 },
    { writer: B, change: 99 },
  ]) {
    const b = createPoller(B, pullIds());
    change(b, "s/0", 1);
    expect(answerOf(poll(b, { pollId: 1, cursor }))).toMatchObject({
      shards: [{ shard: "s/0" }],
      cursor: { writer: B, change: 1 },
    });
  }
});

test("many changes come in bounded answers, oldest first, and every shard is pulled once, at most so many at a time", () => {
  const shards = Array.from({ length: POLL_LIMITS.changesMax + 500 }, (_, index) => `s/${index}`);
  const [a, b] = [createPoller(A, pullIds()), createPoller(B, pullIds())];
  for (const shard of shards) {
    stepPoller(a, { kind: "changed", shard, version: { counter: 1, generator: A } });
    change(b, shard, 1);
  }
  const pulled: string[] = [];
  let runningMost = 0;
  const queue: PollEffect[] = stepPoller(a, { kind: "neighbour", peer: "b" });
  for (let effect = queue.shift(); effect !== undefined; effect = queue.shift()) {
    runningMost = Math.max(runningMost, a.pulling.size);
    if (effect.kind === "send" && effect.message === "poll") {
      queue.push(...stepPoller(b, { kind: "message", from: "a", message: "poll", body: effect.body }));
    }
    if (effect.kind === "send" && effect.message === "changes") {
      queue.push(...stepPoller(a, { kind: "message", from: "b", message: "changes", body: effect.body }));
    }
    if (effect.kind === "pull") {
      pulled.push(effect.shard);
      queue.push(...stepPoller(a, { kind: "pulled", shard: effect.shard, pullId: effect.pullId, outcome: "complete" }));
    }
  }
  expect(pulled.toSorted()).toEqual(shards.toSorted());
  expect(pendingCount(a)).toBe(0);
  expect(runningMost).toBe(POLL_LIMITS.pullsMax);
});

test("a shard that we know as much of is not pulled, and one that another neighbour is being asked for waits", () => {
  const a = createPoller(A, pullIds());
  change(a, "s/0", 5, A);
  for (const peer of ["b", "c"]) stepPoller(a, { kind: "neighbour", peer });
  expect(pulls(list(a, { from: "b", counter: 4, generator: A }))).toEqual([]);
  expect(pendingCount(a)).toBe(0);

  expect(pulls(list(a, { from: "b", pollId: 2, counter: 7, generator: B }))).toEqual(["b s/0"]);
  expect(pulls(list(a, { from: "c", counter: 6, generator: B }))).toEqual([]);
  // The pull brought us b's version, which covers what c listed.
  change(a, "s/0", 7, B);
  expect(pulls(stepPoller(a, { kind: "pulled", shard: "s/0", pullId: running(a), outcome: "complete" }))).toEqual([]);
  expect(pendingCount(a)).toBe(0);
});

test("a shard that is new here makes neighbours list everything again", () => {
  const a = createPoller(A, pullIds());
  stepPoller(a, { kind: "neighbour", peer: "b" });
  list(a, { from: "b", counter: 1, generator: B });
  expect(pendingCount(a)).toBe(0);
  const [effect] = change(a, "s/0", 1, A);
  expect(effect).toMatchObject({ kind: "send", message: "poll", to: "b" });
  if (effect?.kind === "send") expect(effect.body).not.toHaveProperty("cursor");
});

test("a lost answer is asked for again, and only the latest poll's answer counts", () => {
  const a = createPoller(A, pullIds());
  change(a, "s/0", 1, A);
  const [, timer] = stepPoller(a, { kind: "neighbour", peer: "b" });
  if (timer?.kind !== "timer") throw new Error("Cannot test: a poll sets no timer");
  expect(stepPoller(a, { kind: "timer", name: timer.name })).toContainEqual(
    expect.objectContaining({ kind: "send", message: "poll", to: "b" }),
  );
  const pollId = a.neighbours.get("b")?.pollId ?? 0;
  expect(list(a, { from: "b", pollId: pollId - 1, counter: 1, generator: B })).toMatchObject([
    { kind: "refused", reason: "stale" },
  ]);
  expect(pulls(list(a, { from: "b", pollId, counter: 1, generator: B }))).toEqual(["b s/0"]);
  expect(stepPoller(a, { kind: "message", from: "b", message: "changes", body: { pollId } })).toMatchObject([
    { kind: "refused", reason: "undecodable" },
  ]);
});

test("past the bound on nodes that poll, who was answered and polled longest ago is forgotten, and who waits for an answer is not", () => {
  const b = createPoller(B, pullIds());
  change(b, "s/0", 1);
  const names = Array.from({ length: POLL_LIMITS.peersMax }, (_, at) => `n${at}`);
  for (const from of names) expect(answerOf(poll(b, { pollId: 1, from }))).toMatchObject({ pollId: 1 });
  // It polls once more, so that another is who polled longest ago.
  poll(b, { pollId: 2, from: "n0", cursor: { writer: B, change: 1 } });
  expect(answerOf(poll(b, { pollId: 1, from: "new" }))).toMatchObject({ pollId: 1 });
  expect([b.askers.size, b.askers.has("n0"), b.askers.has("n1")]).toEqual([POLL_LIMITS.peersMax, true, false]);

  for (const from of [...names, "new"]) {
    if (b.askers.has(from)) poll(b, { pollId: 3, from, cursor: { writer: B, change: 1 } });
  }
  expect(poll(b, { pollId: 1, from: "n1" })).toMatchObject([{ kind: "refused", reason: "full", from: "n1" }]);
});

function change(poller: Poller, shard: string, counter: number, generator = B): PollEffect[] {
  return stepPoller(poller, { kind: "changed", shard, version: { counter, generator } });
}

/** The id of the pull that runs. */
function running(poller: Poller): string {
  return poller.pulling.get("s/0")?.pullId ?? "";
}

function poll(
  poller: Poller,
  { pollId, cursor, from = "a" }: { pollId: number; cursor?: Cursor | undefined; from?: string },
): PollEffect[] {
  return stepPoller(poller, {
    kind: "message",
    from,
    message: "poll",
    body: encodePoll({ pollId, waitMs: POLL_LIMITS.waitMs, ...(cursor && { cursor }) }),
  });
}

function list(
  poller: Poller,
  {
    from,
    pollId = poller.neighbours.get(from)?.pollId,
    ...version
  }: { from: string; pollId?: number; counter: number; generator: string },
): PollEffect[] {
  const event: PollEvent = {
    kind: "message",
    from,
    message: "changes",
    body: { pollId, cursor: { writer: B, change: 1 }, more: false, shards: [{ shard: "s/0", ...version }] },
  };
  return stepPoller(poller, event);
}

function answerOf(effects: readonly PollEffect[]): ChangesMessage | undefined {
  const answer = effects.find((effect) => effect.kind === "send" && effect.message === "changes");
  return answer?.kind === "send" ? parseChanges(answer.body) : undefined;
}

function pulls(effects: readonly PollEffect[]): string[] {
  return effects.flatMap((effect) => (effect.kind === "pull" ? [`${effect.peer} ${effect.shard}`] : []));
}
