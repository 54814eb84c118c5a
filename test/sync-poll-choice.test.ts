import fc from "fast-check";
import { expect, test } from "vitest";
import { LINK_LIMITS, POLL_LIMITS } from "../protocols/limits.ts";
import { createPoller, type PollEffect, type Poller, stepPoller } from "../protocols/sync/poll.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { pullIds } from "../properties/world/names.ts";

const A = parseWriterId("0.a.n.x");
const B = parseWriterId("0.b.n.x");
const C = parseWriterId("0.c.n.x");
const { frameBytes, openingBytes, unknownBytes } = LINK_LIMITS;

test("of peers that list a shard the freshest is pulled from, and of equally fresh ones that with the shorter link", () => {
  const node = new Node(["b", "c", "d"]);
  // Round trips of the links to b and c, each from a small answer.
  for (const [peer, tookMs] of [
    ["b", 80],
    ["c", 5],
  ] as const) {
    expect(node.list(peer, `measure-${peer}`, 1, B)).toMatchObject([{ peer }]);
    node.nowMs += tookMs;
    node.frame(`measure-${peer}`, { bytes: 100, frames: 1 });
    node.pulled(`measure-${peer}`, "complete");
  }
  node.list("d", "busy", 1, B);
  // Both are known before either is asked: what asks first is over with the second listing.
  node.list("d", "s", 1, C);
  node.list("b", "s", 7, B);
  node.list("c", "s", 7, B);
  expect(node.pulled("s", "failed")).toMatchObject([{ peer: "c" }]);
  node.list("b", "s", 9, B);
  expect(node.pulled("s", "failed")).toMatchObject([{ peer: "b" }]);
});

test("a failed pull gives way to another peer at once, and its own next try comes later, elsewhere at another time", () => {
  const node = new Node(["b", "c"]);
  expect(node.list("b", "s", 1, B)).toMatchObject([{ peer: "b" }]);
  node.list("c", "s", 2, B);
  const effects = node.end("s", "failed");
  expect(pullsOf(effects)).toMatchObject([{ peer: "c" }]);
  const delays = ["s", "t", "u", "v"].map((shard) => {
    const other = new Node(["b"]);
    other.list("b", shard, 1, B);
    const timer = other.end(shard, "failed").find(({ kind }) => kind === "timer");
    return timer?.kind === "timer" ? timer.delayMs : 0;
  });
  for (const delayMs of delays) {
    expect(delayMs).toBeGreaterThanOrEqual(0.75 * POLL_LIMITS.backoffMs);
    expect(delayMs).toBeLessThanOrEqual(1.25 * POLL_LIMITS.backoffMs);
  }
  expect(new Set(delays).size).toBeGreaterThan(1);
});

test("one honest peer is asked within a few pulls, whatever the others claim, answer or do not answer", () => {
  const turn = fc.record({
    outcome: fc.constantFrom("complete" as const, "failed" as const),
    lists: fc.array(fc.constantFrom("b", "c", "d"), { maxLength: 3 }),
    tookMs: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(turn, { minLength: 40, maxLength: 40 }), (turns) => {
      const node = new Node(["b", "c", "d", "honest"]);
      // The longest link of all.
      node.list("honest", "measure", 1, C);
      node.nowMs += 5_000;
      node.frame("measure", { bytes: 100, frames: 1 });
      node.pulled("measure", "complete");
      let counter = 1;
      let pulls = [...node.list("b", "s", (counter += 1), B)];
      node.list("honest", "s", 1, C);
      let asked = 0;
      for (const { outcome, lists, tookMs } of turns) {
        if (pulls.some(({ peer }) => peer === "honest")) return;
        asked += 1;
        expect(asked).toBeLessThan(4 * (POLL_LIMITS.passesMax + 1));
        for (const liar of lists) node.list(liar, "s", (counter += 1), B);
        node.nowMs += tookMs;
        pulls = node.pulled("s", outcome);
      }
    }),
  );
});

test("a peer that only trickles gives way to another after a while, and a pull whose shard is gone is over", () => {
  const node = new Node(["b", "c"]);
  const [timer] = timersOf(node.stepList("b", "s", 1, B), "pull ");
  node.list("c", "s", 1, C);
  node.frame("s", { bytes: 100, frames: 1_000 });
  const effects = node.step({ kind: "timer", name: timer?.name ?? "" });
  expect(effects).toContainEqual({ kind: "give-up", shard: "s", pullId: node.running("s") });
  expect(node.pulled("s", "failed")).toMatchObject([{ peer: "c" }]);

  const alone = new Node(["b"]);
  const [watch] = timersOf(alone.stepList("b", "s", 1, B), "pull ");
  // With nobody else to ask it may go on, for as long as something comes.
  alone.frame("s", { bytes: 100, frames: 1_000 });
  expect(kindsOf(alone.step({ kind: "timer", name: watch?.name ?? "" }))).toEqual(["timer"]);
  expect(kindsOf(alone.step({ kind: "timer", name: watch?.name ?? "" }))).toEqual(["give-up", "timer"]);
});

test("a hundred shards over one link share its window, and another link's pulls do not wait for them", () => {
  const node = new Node(["b", "c"]);
  const shards = Array.from({ length: 100 }, (_, shard) => `s-${shard}`);
  const begun: (PollEffect & { kind: "pull" })[] = shards.flatMap((shard) => node.list("b", shard, 1, B));
  expect(begun.length).toBe(LINK_LIMITS.pullsMax);
  const bytes = begun.reduce((sum, { burst }) => sum + burst, 0);
  expect(bytes).toBeLessThan(LINK_LIMITS.openingFramesMax * frameBytes + LINK_LIMITS.pullsMax * openingBytes);
  expect(node.list("c", "other", 1, C)).toMatchObject([{ peer: "c", burst: unknownBytes }]);

  // All are long: two go on, the others are put off and begun again when there is a place, and all end.
  const received = new Map<string, number>();
  const done = new Set<string>();
  let runMost = 0;
  function bring(shard: string, upTo: number): PollEffect[] {
    const effects: PollEffect[] = [];
    for (let at = received.get(shard) ?? 0; at < upTo; at += 1) {
      node.nowMs += 1;
      effects.push(...node.frame(shard, { bytes: at === 0 ? openingBytes : frameBytes, frames: 20 }));
    }
    received.set(shard, upTo);
    if (upTo < 20) return effects;
    done.add(shard);
    return [...effects, ...node.end(shard, "complete")];
  }
  const queue = begun.flatMap(({ shard }) => bring(shard, 1));
  for (let effect = queue.shift(); effect !== undefined; effect = queue.shift()) {
    if (effect.kind === "give-up") queue.push(...node.end(effect.shard, "failed"));
    if (effect.kind === "pull") {
      received.delete(effect.shard);
      queue.push(...bring(effect.shard, 1));
    }
    if (effect.kind === "grant") queue.push(...bring(effect.shard, effect.upTo));
    const pulls = [...(node.poller.lanes.get("b")?.link.pulls.values() ?? [])];
    runMost = Math.max(runMost, pulls.filter(({ isLong }) => isLong).length);
  }
  expect([done.size, runMost]).toEqual([100, LINK_LIMITS.longMax]);
});

/** A poller whose time and neighbours the test plays. */
class Node {
  nowMs = 1;
  readonly poller: Poller = createPoller(A, pullIds());
  readonly #listings = new Map<string, number>();

  constructor(peers: readonly string[]) {
    for (const peer of peers) this.step({ kind: "neighbour", peer });
  }

  step(event: Parameters<typeof stepPoller>[1]): PollEffect[] {
    return stepPoller(this.poller, event, this.nowMs);
  }

  stepList(peer: string, shard: string, counter: number, generator: typeof A): PollEffect[] {
    if (!this.poller.changes.byShard.has(shard)) {
      this.step({ kind: "changed", shard, version: { counter: 1, generator: A } });
    }
    const pollId = this.poller.neighbours.get(peer)?.pollId ?? 0;
    const change = (this.#listings.get(peer) ?? 0) + 1;
    this.#listings.set(peer, change);
    const body = { pollId, cursor: { writer: B, change }, more: false, shards: [{ shard, counter, generator }] };
    return this.step({ kind: "message", from: peer, message: "changes", body });
  }

  list(peer: string, shard: string, counter: number, generator: typeof A): (PollEffect & { kind: "pull" })[] {
    return pullsOf(this.stepList(peer, shard, counter, generator));
  }

  /** The id of the shard's pull. */
  running(shard: string): string {
    return this.poller.pulling.get(shard)?.pullId ?? "";
  }

  frame(shard: string, frame: { bytes: number; frames: number }): PollEffect[] {
    return this.step({ kind: "frame", shard, pullId: this.running(shard), ...frame });
  }

  end(shard: string, outcome: "complete" | "failed"): PollEffect[] {
    return this.step({ kind: "pulled", shard, pullId: this.running(shard), outcome });
  }

  pulled(shard: string, outcome: "complete" | "failed"): (PollEffect & { kind: "pull" })[] {
    return pullsOf(this.end(shard, outcome));
  }
}

function pullsOf(effects: readonly PollEffect[]): (PollEffect & { kind: "pull" })[] {
  return effects.flatMap((effect) => (effect.kind === "pull" ? [effect] : []));
}

function timersOf(effects: readonly PollEffect[], begin: string): (PollEffect & { kind: "timer" })[] {
  return effects.flatMap((effect) => (effect.kind === "timer" && effect.name.startsWith(begin) ? [effect] : []));
}

function kindsOf(effects: readonly PollEffect[]): string[] {
  return effects.map(({ kind }) => kind);
}
