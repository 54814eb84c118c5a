/*
 * Settling, built by hand over a primary and its members: what random worlds meet too rarely. Each says what does not hold.
 */
import { SYNC_LIMITS, type SyncLimits } from "../../protocols/limits.ts";
import { encodeImage, loadImage } from "../../protocols/sync/image.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import {
  contentOf,
  createReplica,
  type Replica,
  type ReplicaEffect,
  stepReplica,
} from "../../protocols/sync/replica.ts";
import { type Mutate } from "../../protocols/sync/row-store.ts";
import { parseWriterId, type WriterId } from "../../protocols/sync/version.ts";
import { NOW, TABLES } from "./situation.ts";

const LIMITS: SyncLimits = { ...SYNC_LIMITS, frameBytes: 30, entriesKept: 0 };
const RESTARTS = 300;

interface Begins {
  readonly epoch: number;
  readonly writer: WriterId;
}

/** More than any of these situations has from one step on. */
const MESSAGES_MAX = 10_000;

/** Some replicas by name, and the messages between them, delivered at once. */
export class Shard {
  readonly replicas = new Map<string, Replica>();
  /** The last image of each that had to be on disk. */
  readonly disks = new Map<string, Uint8Array>();
  rowsSent = 0;
  #pullIds = 0;

  /** A replica named "serving" holds no optimizer state: no full one may pull from it. */
  start(name: string, life = 1, image?: Uint8Array): Replica {
    const store = createMapRowStore(TABLES, { state: name !== "serving" });
    const replica = createReplica({
      writer: parseWriterId(`0.sim.${name}.l${life}`),
      limits: LIMITS,
      ...(image === undefined ? { store } : loadImage(image, store)),
    });
    this.replicas.set(name, replica);
    return replica;
  }

  write(name: string, key: bigint, nowMs: number, value = 1): void {
    this.#change(name, { key, nowMs, mutate: ({ floats }) => void floats.fill(value) });
  }

  delete(name: string, key: bigint, nowMs: number): void {
    this.#change(name, { key, nowMs, mutate: () => "delete" });
  }

  #change(name: string, { key, nowMs, mutate }: { key: bigint; nowMs: number; mutate: Mutate }): void {
    stepReplica(this.at(name), { kind: "write", writes: [{ table: 0, keys: BigUint64Array.of(key), mutate }] }, nowMs);
  }

  /** Pulls whole, or up to so many frames; says how it ended. */
  pull(name: string, peer: string, frames = Infinity): string {
    const pullId = this.#nextPullId();
    let left = frames;
    let outcome = "open";
    const asked = stepReplica(this.at(name), { kind: "pull", peer, pullId }, NOW);
    this.#deliver(name, asked, (from, effect) => {
      if (effect.kind === "pulled") outcome = effect.outcome === "complete" ? "complete" : effect.reason;
      if (effect.kind === "applied") this.rowsSent += effect.keys.length;
      if (effect.kind === "send" && effect.message === "frame" && from === peer) left -= 1;
      return left >= 0;
    });
    return outcome;
  }

  /** Lets a pull that lacks frames ask for them again and again, until it ends. */
  resume(name: string): void {
    const replica = this.at(name);
    for (let turn = 0; replica.pull !== undefined && turn < RESTARTS; turn += 1) {
      const timer = { kind: "timer", name: `pull ${replica.pull.pullId}` } as const;
      this.#deliver(name, stepReplica(replica, timer, NOW));
    }
  }

  /** One turn of the primary's survey. */
  settle(name: string, members: readonly string[], isAloof = false, begins?: Begins): void {
    const event = { kind: "settle", members, isAloof, pullId: this.#nextPullId(), ...(begins && { begins }) } as const;
    this.#deliver(name, stepReplica(this.at(name), event, NOW));
  }

  #nextPullId(): string {
    this.#pullIds += 1;
    return this.#pullIds.toString(16).padStart(32, "0");
  }

  at(name: string): Replica {
    const replica = this.replicas.get(name);
    if (replica === undefined) throw new RangeError(`Cannot use replica ${name}: there is none`);
    return replica;
  }

  #deliver(
    from: string,
    effects: readonly ReplicaEffect[],
    passes: (from: string, effect: ReplicaEffect) => boolean = () => true,
  ): void {
    const inbox = effects.map((effect) => ({ from, effect }));
    let delivered = 0;
    for (let next = inbox.shift(); next !== undefined; next = inbox.shift()) {
      delivered += 1;
      if (delivered > MESSAGES_MAX) throw new RangeError("replicas go on sending each other messages for ever");
      const { effect } = next;
      if (effect.kind === "save") this.disks.set(next.from, encodeImage(this.at(next.from)));
      if (!passes(next.from, effect) || effect.kind !== "send") continue;
      const { to, message, body } = effect;
      const replica = this.replicas.get(to);
      if (replica === undefined) continue;
      const answer = stepReplica(replica, { kind: "message", from: next.from, message, body }, NOW);
      inbox.push(...answer.map((each) => ({ from: to, effect: each })));
    }
  }
}

/** V9: a row that a member holds early is not left behind: no settled time goes past it. */
export function earlyRowsHoldBack(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b", "dead"]) shard.start(name);
  shard.write("dead", 1n, NOW);
  shard.write("dead", 2n, NOW);
  // One frame of two, and its sender is no more.
  shard.pull("b", "dead", 1);
  stepReplica(
    shard.at("b"),
    {
      kind: "message",
      from: "dead",
      message: "refuse",
      body: { pullId: shard.at("b").pull?.pullId ?? "", reason: "gone" },
    },
    NOW,
  );
  shard.write("a", 3n, NOW + 1_000);
  shard.delete("a", 3n, NOW + 1_000);
  shard.pull("b", "a");
  for (let turn = 0; turn < 4; turn += 1) shard.settle("a", ["b"]);
  const [slot] = shard.at("b").early;
  if (slot === undefined) return "a row was to be early";
  const { t } = shard.at("b").store.versionAt(slot);
  return shard.at("a").horizon.settled < t ? undefined : "a settled time went past an early row of a member";
}

/** L1: a primary that pulls from nobody has lost its disk, with what was settled: it gets that back from a member that can give it, and settles on. */
export function primaryLostItsDisk(): string | undefined {
  const shard = new Shard();
  function start(name: string, life = 1): void {
    shard.start(name, life).primary = name === "a" ? { kind: "self" } : { kind: "peer", peer: "a" };
  }
  const members = ["serving", "b"];
  function settle(turns: number): void {
    for (let turn = 0; turn < turns; turn += 1) {
      shard.settle("a", members, true);
      for (const member of members) shard.pull(member, "a");
    }
  }
  for (const name of ["a", ...members]) start(name);
  for (const key of [1n, 2n, 3n]) shard.write("a", key, NOW);
  shard.delete("a", 3n, NOW);
  settle(4);
  const { settled } = shard.at("b").horizon;
  if (settled === 0) return "what all members know was to be settled";
  start("a", 2);
  shard.write("a", 9n, NOW + 1_000);
  settle(8);
  const [a, b] = [shard.at("a"), shard.at("b")];
  if (a.horizon.settled <= settled) return "a primary that lost its disk settles no more";
  if (a.store.rows(0) !== 3) return "what was settled is not there again after a primary lost its disk";
  return contentOf(a) === contentOf(b) ? undefined : "who pulls from a primary that lost its disk holds something else";
}

/** S1: rows of an answer expire before all of it is sent: its knowledge would cover what was never given. */
export function rowsGoneMidway(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b"]) shard.start(name);
  shard.write("a", 1n, NOW);
  shard.write("a", 2n, NOW);
  shard.pull("b", "a", 1);
  const [a, b] = [shard.at("a"), shard.at("b")];
  stepReplica(a, { kind: "expire", table: 0, before: (NOW + 1_000) * 1_000 }, NOW);
  const timer = { kind: "timer", name: `pull ${b.pull?.pullId}` } as const;
  const asked = [1, 2].flatMap(() => stepReplica(b, timer, NOW)).find((effect) => effect.kind === "send");
  if (asked?.message !== "more") return "a pull was to ask for the frame that did not come";
  const message = { kind: "message", from: "b", message: "more", body: asked.body } as const;
  return stepReplica(a, message, NOW).some((effect) => effect.kind === "send" && effect.message === "frame")
    ? "an answer goes on although rows that it lists are gone"
    : undefined;
}

/** V9: a member dies after another learned from it and before it answered; the one in its place knows nothing of that. */
export function deathBetweenAnswers(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b", "c"]) shard.start(name);
  shard.write("c", 1n, NOW);
  shard.write("a", 3n, NOW + 1_000);
  shard.delete("a", 3n, NOW + 1_000);
  shard.pull("b", "a");
  // b answers; then it learns from c, which dies and comes back empty but for what a tells it.
  const c = shard.at("c");
  shard.replicas.delete("c");
  shard.settle("a", ["b", "c"]);
  shard.replicas.set("c", c);
  shard.pull("b", "c");
  const t = shard.at("b").knowledge.get(c.writer) ?? 0;
  shard.start("c", 2);
  shard.pull("c", "a");
  for (let turn = 0; turn < 2; turn += 1) shard.settle("a", ["b", "c"]);
  const { settled, graveyard } = shard.at("a").horizon;
  return t <= settled && (graveyard.get(c.writer) ?? 0) < t
    ? "what a member knew of a dead writer was left behind"
    : undefined;
}

/** V9: who waits for rows says where it stands when they have come. */
export function reportsWait(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b"]) shard.start(name);
  shard.delete("a", 1n, NOW);
  shard.pull("b", "a", 0);
  const survey = { asker: shard.at("a").writer, round: 1 };
  const during = stepReplica(shard.at("b"), { kind: "message", from: "a", message: "survey", body: survey }, NOW);
  if (during.length > 0) return "a member reported while rows were on their way to it";
  const refuse = { pullId: shard.at("b").pull?.pullId ?? "", reason: "gone" };
  const after = stepReplica(shard.at("b"), { kind: "message", from: "a", message: "refuse", body: refuse }, NOW);
  return after.some((effect) => effect.kind === "send" && effect.message === "report")
    ? undefined
    : "a member forgot that it was asked";
}

/** X10: a row of a stranger that came too late, over one that is settled: who holds it takes a copy, and has the settled one again. */
export function lateRowGivesWay(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b", "stranger"]) shard.start(name);
  shard.write("a", 1n, NOW, 5);
  shard.write("a", 2n, NOW + 1_000);
  shard.delete("a", 2n, NOW + 1_000);
  shard.pull("b", "a");
  for (let turn = 0; turn < 2; turn += 1) shard.settle("a", ["b"]);
  shard.write("stranger", 1n, NOW + 500, 6);
  shard.pull("b", "stranger");
  const first = shard.pull("b", "a");
  const second = shard.pull("b", "a");
  if (first !== "behind" || second !== "complete") return `the pulls ended ${first} and ${second}`;
  if (shard.at("b").store.digest() !== shard.at("a").store.digest()) return "a late row stays over a settled one";
  shard.pull("b", "stranger");
  return shard.at("b").store.digest() === shard.at("a").store.digest() ? undefined : "a late row came back";
}

/** X10: no member knows a settled time that a restart of the primary could go behind. */
export function settledOnDisk(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b"]) shard.start(name);
  shard.delete("a", 1n, NOW);
  shard.pull("b", "a");
  shard.disks.set("a", encodeImage(shard.at("a")));
  for (let turn = 0; turn < 2; turn += 1) shard.settle("a", ["b"]);
  shard.pull("b", "a");
  const { settled } = shard.at("b").horizon;
  if (settled === 0) return "something was to be settled";
  shard.start("a", 2, shard.disks.get("a"));
  return shard.at("a").horizon.settled === settled ? undefined : "a primary starts behind what it had settled";
}

/** V9: a primary that starts hundreds of times leaves no trail of writers in any vector, and nothing is sent again for it. */
export function manyLives(): string | undefined {
  const shard = new Shard();
  shard.start("a");
  shard.start("b");
  let longest = 0;
  for (let life = 2; life <= RESTARTS; life += 1) {
    shard.write("a", BigInt(life % 7), NOW + life);
    shard.pull("b", "a");
    shard.settle("a", ["b"]);
    shard.start("a", life, encodeImage(shard.at("a")));
    // Two turns without a write in between, now and then.
    if (life % 3 === 0) for (let turn = 0; turn < 3; turn += 1) shard.settle("a", ["b"]);
    shard.pull("b", "a");
    for (const replica of shard.replicas.values()) {
      longest = Math.max(longest, replica.knowledge.size, replica.horizon.graveyard.size);
    }
  }
  if (longest > 8) return `a vector had ${longest} entries after ${RESTARTS} starts`;
  return shard.rowsSent === RESTARTS - 1 ? undefined : `${shard.rowsSent} rows were sent for ${RESTARTS - 1} written`;
}
