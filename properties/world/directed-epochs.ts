/*
 * Forced promotions, built by hand: what random worlds meet too rarely. `a` was the primary, and `b` begins an epoch. Each says what does not hold.
 */
import { encodeImage, loadImage } from "../../protocols/sync/image.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { contentOf, createReplica, stepReplica } from "../../protocols/sync/replica.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { Shard } from "./directed-horizon.ts";
import { NOW, TABLES } from "./situation.ts";

/** What a later start of `b` may begin. */
const BEGINS = { epoch: 1, writer: parseWriterId("1.sim.b.l2") };

/** Both hold row 1; then `b` goes on without `a`, and writes row 2. */
function forced(...others: readonly string[]): Shard {
  const shard = new Shard();
  for (const name of ["a", "b", ...others]) shard.start(name);
  shard.write("a", 1n, NOW);
  shard.pull("b", "a");
  stepReplica(shard.at("b"), { kind: "lead", epoch: 1, writer: parseWriterId("1.sim.b.l1") }, NOW + 1_000);
  shard.write("b", 2n, NOW + 1_000);
  return shard;
}

/** P2: what the old primary let expire behind its cut is there again, where the new one holds it. */
export function expiredBehindTheCut(): string | undefined {
  const shard = forced();
  stepReplica(shard.at("a"), { kind: "expire", table: 0, before: (NOW + 500) * 1_000 }, NOW + 1_000);
  if (shard.at("a").store.rows(0) !== 0) return "a row was to expire";
  for (let pull = 0; pull < 2; pull += 1) shard.pull("a", "b");
  const isSame = shard.at("a").store.digest() === shard.at("b").store.digest();
  return isSame ? undefined : "a row that the old primary alone let expire stays away from it";
}

/** S1: an expiry of the old primary takes nothing away that a later epoch wrote, whose times may be earlier. */
export function expiryLeavesLaterEpochs(): string | undefined {
  const shard = forced("c");
  shard.pull("c", "a");
  const keys = [2n, 4n, 6n, 7n];
  for (const key of keys) shard.write("b", key, NOW + 1_000);
  // Some of it comes; then its sender is gone.
  shard.pull("c", "b", 2);
  const c = shard.at("c");
  const body = { pullId: c.pull?.pullId ?? "", reason: "gone" };
  stepReplica(c, { kind: "message", from: "b", message: "refuse", body }, NOW);
  const early = keys.find((key) => c.store.versionOf(0, key) !== undefined);
  if (early === undefined || c.early.size === 0) return "a row of the new epoch was to come early";
  shard.write("a", 3n, NOW);
  shard.write("a", early, NOW + 10_000);
  stepReplica(shard.at("a"), { kind: "expire", table: 0, before: (NOW + 5_000) * 1_000 }, NOW + 10_000);
  shard.pull("c", "a");
  return c.store.versionOf(0, early) === undefined
    ? "an expiry of the old epoch took a row of the new one, and what it superseded is missing"
    : undefined;
}

/** S1: who is in the middle of an answer of an earlier epoch is not told of its end as if what expired in the new one had been given. */
export function answerOverAnEpoch(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b", "c"]) shard.start(name);
  const keys = Array.from({ length: 40 }, (_, key) => BigInt(key));
  for (const key of keys) shard.write("a", key, NOW);
  shard.pull("b", "a");
  // The end is not among the frames that come unasked.
  shard.pull("c", "b", 1);
  const [b, c] = [shard.at("b"), shard.at("c")];
  stepReplica(b, { kind: "lead", epoch: 1, writer: parseWriterId("1.sim.b.l1") }, NOW + 1_000);
  stepReplica(b, { kind: "expire", table: 0, before: (NOW + 500) * 1_000 }, NOW + 1_000);
  if (b.store.rows(0) !== 0) return "rows were to expire";
  shard.resume("c");
  if (c.pull !== undefined) return "a pull from who is in a later epoch by now does not end";
  const known = c.knowledge.get(parseWriterId("0.sim.a.l1")) ?? 0;
  const a = shard.at("a").store;
  const lacks = keys.some(
    (key) => (a.versionOf(0, key)?.t ?? Infinity) <= known && c.store.versionOf(0, key) === undefined,
  );
  return lacks ? "a replica knows rows of an earlier epoch that it was never given" : undefined;
}

/** L1: who needs a copy of the new primary gets it, though the old one answers in between and has none to give. */
export function copyBesideTheOldPrimary(): string | undefined {
  const shard = forced("c");
  // What the old one wrote behind the cut: it came too late for the new epoch.
  shard.write("a", 3n, NOW);
  shard.pull("c", "a");
  for (let turn = 0; turn < 3; turn += 1) {
    shard.pull("c", "b");
    shard.pull("c", "a");
  }
  return shard.at("c").horizon.epoch === 1 ? undefined : "a copy is asked of who has none, again and again";
}

/** P2: two that were forced apart settle the same time, and hold different rows up to it: who held one takes a copy of what follows the other. */
export function sameTimeOfTwoEpochs(): string | undefined {
  const shard = new Shard();
  for (const name of ["a", "b", "c"]) shard.start(name);
  shard.write("a", 1n, NOW);
  for (const name of ["b", "c"]) shard.pull(name, "a");
  shard.write("a", 2n, NOW);
  shard.pull("b", "a");
  // At the time of the row that it never saw.
  shard.write("c", 9n, NOW);
  const [b, c] = [shard.at("b"), shard.at("c")];
  stepReplica(b, { kind: "lead", epoch: 1, writer: parseWriterId("1.sim.b.l1") }, NOW);
  for (const epoch of [2, 3]) stepReplica(c, { kind: "lead", epoch, writer: parseWriterId(`${epoch}.sim.c.l1`) }, NOW);
  if (b.horizon.settled !== c.horizon.before) return "two epochs were to settle the same time";
  for (let pull = 0; pull < 2; pull += 1) shard.pull("b", "c");
  if (b.horizon.epoch !== 3) return "a replica of an epoch that was overruled does not get to the later one";
  return b.store.digest() === c.store.digest() ? undefined : "a replica kept rows of an epoch that was overruled";
}

/** P1: who knows that a later epoch has begun neither writes nor lets rows expire nor settles, whatever it takes itself for. */
export function supersededRests(): string | undefined {
  const shard = forced();
  for (let pull = 0; pull < 2; pull += 1) shard.pull("a", "b");
  const a = shard.at("a");
  const before = contentOf(a);
  shard.write("a", 3n, NOW + 2_000);
  stepReplica(a, { kind: "expire", table: 0, before: (NOW + 500) * 1_000 }, NOW + 2_000);
  return contentOf(a) === before ? undefined : "a replica in a later epoch than its writer's changed its rows";
}

/** P3: the old primary hears of the epoch in a report. It is to take it with rows and positions together, when it pulls. */
export function reportBringsNoEpoch(): string | undefined {
  const shard = forced();
  for (let turn = 0; turn < 4; turn += 1) shard.settle("a", ["b"]);
  return shard.at("a").horizon.epoch === 0
    ? undefined
    : "a primary took an epoch from a report, and kept its positions";
}

/** P2: a primary that lost its disk with the epoch of its role gets that from a member as soon as this says that it holds it, and begins none. */
function epochLostWithADisk(): string | undefined {
  const shard = forced("c");
  for (let pull = 0; pull < 2; pull += 1) shard.pull("c", "b");
  const { horizon } = shard.at("c");
  if (horizon.epoch !== 1) return "a member was to hold the epoch";
  shard.start("b", 2);
  shard.settle("b", ["a", "c"], true, BEGINS);
  const [b, c] = [shard.at("b"), shard.at("c")];
  if (b.horizon.epoch !== 1) return "a primary asked who holds its epoch, and did not take it";
  return contentOf(b) === contentOf(c) ? undefined : "a primary that took its epoch holds something else";
}

/** P2: where no member holds the epoch, the primary begins it again, with all that they have. */
function epochLostByAll(): string | undefined {
  const shard = forced("c");
  shard.pull("c", "a");
  shard.start("b", 2);
  for (let turn = 0; turn < 6; turn += 1) shard.settle("b", ["a", "c"], true, BEGINS);
  const b = shard.at("b");
  if (b.horizon.epoch !== 1 || b.writer !== BEGINS.writer) return "an epoch that nobody holds is never begun";
  if (b.store.versionOf(0, 1n) === undefined) return "an epoch began without what members had of the one before";
  for (let pull = 0; pull < 2; pull += 1) shard.pull("c", "b");
  return contentOf(shard.at("c")) === contentOf(b) ? undefined : "a member does not follow into the epoch";
}

/** P2: while a member is away that may hold the epoch, it is not begun. */
function epochMayBeHeld(): string | undefined {
  const shard = forced("c");
  shard.pull("c", "a");
  shard.start("b", 2);
  for (let turn = 0; turn < 6; turn += 1) shard.settle("b", ["a", "c", "away"], true, BEGINS);
  return shard.at("b").horizon.epoch === 0 ? undefined : "an epoch began that a member may hold which was not asked";
}

/** P4: rows that are the same and not known yet are not handed over: who pulls no more never knows them. */
export function earlyRowsAreNotHandedOver(): string | undefined {
  const shard = new Shard();
  shard.start("a");
  shard.write("a", 1n, NOW);
  const loaded = loadImage(encodeImage(shard.at("a")), createMapRowStore(TABLES, { state: true }));
  const next = createReplica({ ...loaded, writer: parseWriterId("0.sim.b.l1"), knowledge: new Map() });
  const succession = { kind: "succeed", content: contentOf(shard.at("a")), applied: new Map([["t", 1]]) } as const;
  const [effect] = stepReplica(next, succession, NOW);
  return effect?.kind === "refused" ? undefined : "rows ahead of the knowledge were handed over";
}

/** What comes of an epoch that its primary lost. */
export const EPOCHS_LOST = [
  ["P2", epochLostWithADisk],
  ["P2", epochLostByAll],
  ["P2", epochMayBeHeld],
] as const;
