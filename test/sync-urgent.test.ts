import { expect, test } from "vitest";
import { SYNC_LIMITS, type SyncLimits } from "../protocols/limits.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { ORPHAN_TIMER } from "../protocols/sync/orphans.ts";
import { type Primary, type Replica, type ReplicaEffect, stepReplica } from "../protocols/sync/replica.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { decodeFrame } from "../protocols/wire/frame-codec.ts";
import { buildOrphans, parseOrphans } from "../protocols/wire/orphans.ts";
import { askedFrames, NOW, PULL, replicaOf, TABLES } from "./replica-steps.ts";

// One row a frame, two in flight.
const LIMITS: SyncLimits = { ...SYNC_LIMITS, frameBytes: 30, windowFrames: 2 };
const DEAD = parseWriterId("0.sim.dead.l1");

test("an urgent row overtakes a long pull, moves no knowledge, and is relayed at once", () => {
  const [a, b, c] = [start("a"), start("b"), start("c")];
  for (let key = 1n; key <= 9n; key += 1n) write(b, key, 1);
  const answers = toOther(b, "a", stepReplica(a, { kind: "pull", peer: "b", pullId: PULL }, NOW));
  expect(answers.length).toBe(2);
  write(b, 100n, 7, { urgent: true });
  const before = a.version;

  const more = toSelf(a, "b", answers.slice(0, 1));
  const [urgent, ordinary] = toOther(b, "a", more);
  expect(urgent && decodeFrame(urgent).urgent).toBe(1);
  expect(ordinary && decodeFrame(ordinary).index).toBe(2);
  const effects = toSelf(a, "b", urgent === undefined ? [] : [urgent]);
  expect(valueOf(a, 100n)).toBe(7);
  expect(a.knowledge.size).toBe(0);
  expect(effects).toContainEqual(expect.objectContaining({ kind: "applied", origin: "urgent" }));
  // Others hear of it while this pull still runs, and get it from here.
  expect(a.pull?.answer?.receivedCount).toBe(1);
  expect(effects).toContainEqual({ kind: "changed", version: a.version });
  expect(a.version).not.toEqual(before);
  for (const body of toOther(a, "c", stepReplica(c, { kind: "pull", peer: "a", pullId: PULL }, NOW)).slice(0, 1)) {
    expect(decodeFrame(body).urgent).toBe(1);
    toSelf(c, "a", [body]);
  }
  expect(valueOf(c, 100n)).toBe(7);

  // With its cursor it is not sent again.
  const next = toOther(b, "a", toSelf(a, "b", answers.slice(1)));
  expect(next.map((body) => decodeFrame(body).urgent)).toEqual([undefined]);
});

test("a row that is found to be urgent after it was written overtakes a long pull; one that is gone by then is passed over", () => {
  const [a, b] = [start("a"), start("b")];
  for (let key = 1n; key <= 9n; key += 1n) write(b, key, 1);
  const answers = toOther(b, "a", stepReplica(a, { kind: "pull", peer: "b", pullId: PULL }, NOW));
  const urged = stepReplica(b, { kind: "urge", table: 0, keys: BigUint64Array.of(77n, 8n) }, NOW);
  expect(urged).toContainEqual(expect.objectContaining({ kind: "written", urgent: 1 }));
  const [urgent] = toOther(b, "a", toSelf(a, "b", answers.slice(0, 1)));
  expect(urgent && decodeFrame(urgent).urgent).toBe(1);
  toSelf(a, "b", urgent === undefined ? [] : [urgent]);
  expect(valueOf(a, 8n)).toBe(1);
  expect([valueOf(a, 7n), a.knowledge.size]).toEqual([undefined, 0]);
});

test("on a congested link urgent rows travel alone while they come, and a pull is held back for so long and no longer", () => {
  const [a, b] = [start("a"), start("b")];
  for (let key = 1n; key <= 9n; key += 1n) write(b, key, 1);
  let frames = toOther(b, "a", stepReplica(a, { kind: "pull", peer: "b", pullId: PULL }, NOW));
  toSelf(a, "b", frames.splice(0, 1));
  // Nothing comes for as long as a time-out.
  stepReplica(a, { kind: "timer", name: `pull ${PULL}` }, NOW);
  frames = toOther(b, "a", stepReplica(a, { kind: "timer", name: `pull ${PULL}` }, NOW));
  write(b, 100n, 1, { urgent: true });
  const asked = toSelf(a, "b", toOther(b, "a", toSelf(a, "b", frames)));
  expect(askedFrames(asked).at(-1)).toEqual([]);

  // However long urgent rows come: no ordinary frame until the time is over.
  let effects = asked;
  for (let round = 2; round < 20; round += 1) {
    write(b, 100n, round, { urgent: true });
    effects = toSelf(a, "b", toOther(b, "a", effects));
    expect(askedFrames(effects)).toEqual([[]]);
    expect(valueOf(a, 100n)).toBe(round);
  }
  effects.push(...stepReplica(a, { kind: "timer", name: `hold ${PULL}` }, NOW));
  expect(askedFrames(effects).at(-1)).toEqual([5, 6]);
  write(b, 100n, 50, { urgent: true });
  effects = toSelf(a, "b", toOther(b, "a", effects));
  expect(valueOf(a, 100n)).toBe(50);
  expect(askedFrames(effects).every(({ length }) => length > 0)).toBe(true);
  expect(a.pull?.hold).toBe("over");
});

test("a row left early is reported after a while; a primary that pulls from nobody writes its own row anew", () => {
  const primary = start("p", { primary: { kind: "self" } });
  write(primary, 1n, 5);
  write(primary, 3n, 5);
  // Its last start wrote three rows after its last image; one of them it has written again since.
  const holder = start("h", { primary: { kind: "peer", peer: "p" }, image: primary });
  const dead = start("dead", { writer: DEAD });
  for (const key of [1n, 2n, 3n]) write(dead, key, 9, { urgent: true, nowMs: NOW + 1 });
  write(dead, 9n, 9);
  write(primary, 3n, 6, { nowMs: NOW + 2 });
  const queue = toOther(dead, "h", stepReplica(holder, { kind: "pull", peer: "dead", pullId: PULL }, NOW));
  while (holder.early.size < 3) queue.push(...toOther(dead, "h", toSelf(holder, "dead", queue.splice(0, 1))));
  expect(holder.early.size).toBe(3);

  const sweep = { kind: "timer", name: ORPHAN_TIMER } as const;
  expect(reports(stepReplica(holder, sweep, NOW))).toEqual([]);
  const [report] = reports(stepReplica(holder, sweep, NOW));
  expect(report?.to).toBe("p");
  expect(parseOrphans(report?.body).orphans.map(({ key }) => key)).toEqual([1n, 2n, 3n]);
  const body = report?.body;
  const told = stepReplica(primary, { kind: "message", from: "h", message: "orphans", body }, NOW);
  expect(told.filter(({ kind }) => kind === "applied").length).toBe(2);
  // Again: all is known by now.
  expect(stepReplica(primary, { kind: "message", from: "h", message: "orphans", body }, NOW)).toEqual([]);

  // What it holds stays as it is; a row that it never trained is none.
  expect([1n, 2n, 3n].map((key) => valueOf(primary, key))).toEqual([5, undefined, 6]);
  stepReplica(holder, { kind: "timer", name: `pull ${PULL}` }, NOW);
  holder.pull = undefined;
  let frames = toOther(primary, "h", stepReplica(holder, { kind: "pull", peer: "p", pullId: "2".repeat(32) }, NOW));
  while (frames.length > 0) frames = toOther(primary, "h", toSelf(holder, "p", frames));
  expect(holder.early.size).toBe(0);
  expect(holder.store.digest()).toBe(primary.store.digest());
});

test("reports are refused whole where they are not for this replica, malformed, or not plausible", () => {
  const primary = start("p", { primary: { kind: "self" } });
  const { declaration } = primary;
  const row = { table: 0, key: 1n, t: NOW * 1000, writer: DEAD };
  function refusal(replica: Replica, body: unknown): unknown {
    const effects = stepReplica(replica, { kind: "message", from: "h", message: "orphans", body }, NOW);
    return effects.length === 1 && effects[0]?.kind === "refused" ? effects[0].reason : effects;
  }
  expect(refusal(start("x"), buildOrphans(declaration, [row]))).toBe("stale");
  expect(refusal(primary, { declaration })).toBe("undecodable");
  expect(refusal(primary, buildOrphans("0".repeat(16), [row]))).toBe("declaration");
  expect(refusal(primary, buildOrphans(declaration, [row, { ...row, table: 1 }]))).toBe("declaration");
  expect(refusal(primary, buildOrphans(declaration, [{ ...row, writer: primary.writer }]))).toBe("minted");
  expect(refusal(primary, buildOrphans(declaration, [{ ...row, t: (NOW + SYNC_LIMITS.jumpMs) * 1000 + 1 }]))).toBe(
    "time",
  );
  expect(primary.store.versionOf(0, 1n)).toBeUndefined();
});

function start(
  name: string,
  options: { readonly primary?: Primary; readonly image?: Replica; readonly writer?: Replica["writer"] } = {},
): Replica {
  const store = createMapRowStore(TABLES, { state: true });
  const { image, primary, writer = parseWriterId(`0.sim.${name}.l1`) } = options;
  if (image !== undefined) {
    for (const id of image.store.writers) store.writerIndex(id);
    const list = image.store.collect(new Float64Array());
    for (const batch of image.store.pack(list, { from: 0, to: list.slots.length })) {
      store.merge(batch, new Float64Array());
    }
  }
  return replicaOf({ writer, store, primary, limits: LIMITS, ...(image && { knowledge: image.knowledge }) });
}

function write(
  replica: Replica,
  key: bigint,
  value: number,
  { urgent = false, nowMs = NOW }: { readonly urgent?: boolean; readonly nowMs?: number } = {},
): void {
  const writes = [
    {
      table: 0,
      keys: BigUint64Array.of(key),
      mutate: ({ floats }: { readonly floats: Float32Array }) => void floats.fill(value),
      isUrgent: () => urgent,
    },
  ];
  stepReplica(replica, { kind: "write", writes }, nowMs);
}

/** The frames with which a replica answers the messages among these effects. */
function toOther(replica: Replica, asker: string, effects: readonly ReplicaEffect[]): Uint8Array[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== "send" || (effect.message !== "pull" && effect.message !== "more")) return [];
    const { message, body } = effect;
    return stepReplica(replica, { kind: "message", from: asker, message, body }, NOW).flatMap((answer) =>
      answer.kind === "send" && answer.message === "frame" ? [answer.body] : [],
    );
  });
}

function toSelf(replica: Replica, peer: string, frames: readonly Uint8Array[]): ReplicaEffect[] {
  return frames.flatMap((body) => stepReplica(replica, { kind: "message", from: peer, message: "frame", body }, NOW));
}

function reports(effects: readonly ReplicaEffect[]): { readonly to: string; readonly body: unknown }[] {
  return effects.flatMap((effect) => (effect.kind === "send" && effect.message === "orphans" ? [effect] : []));
}

function valueOf({ store }: Replica, key: bigint): number | undefined {
  const { found, values } = store.read(0, BigUint64Array.of(key));
  return found[0] === 1 ? new Float32Array(values.buffer)[0] : undefined;
}
