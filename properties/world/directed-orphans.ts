/*
 * Directed situations of rows left early: a primary that pulls from nobody, and what it is told.
 */
import { SYNC_LIMITS } from "../../protocols/limits.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { ORPHAN_TIMER } from "../../protocols/sync/orphans.ts";
import { createReplica, stepReplica } from "../../protocols/sync/replica.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { buildOrphans } from "../../protocols/wire/orphans.ts";
import { isOlder } from "./seen-row.ts";
import { NOW } from "./situation.ts";

const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "test" },
];

/** S20: whoever reports rows that never were makes a primary write so many in a while and no more; after the while it goes on. */
export function reportsBounded(): string | undefined {
  const orphansMax = 4;
  const primary = createReplica({
    writer: parseWriterId("0.sim.a.l1"),
    store: createMapRowStore(TABLES, { state: true }),
    primary: { kind: "self" },
    limits: { ...SYNC_LIMITS, orphansMax },
  });
  const writer = parseWriterId("0.sim.b.l1");
  let keys = 0n;
  function written(): number {
    const orphans = Array.from({ length: 3 }, () => ({ table: 0, key: (keys += 1n), t: NOW * 1000, writer }));
    const body = buildOrphans(primary.declaration, orphans);
    const effects = stepReplica(primary, { kind: "message", from: "b", message: "orphans", body }, NOW);
    return effects.filter(({ kind }) => kind === "applied").length;
  }
  if (written() + written() + written() !== orphansMax) {
    return "reports are not bounded by what a primary writes for them";
  }
  stepReplica(primary, { kind: "timer", name: ORPHAN_TIMER }, NOW);
  return written() === 3 ? undefined : "a primary takes no reports any more";
}

/** X5: an orphan of a row that the primary does not hold, stamped by a clock ahead of ours, ends behind what all will take. */
export function orphanSuperseded(): string | undefined {
  const primary = createReplica({
    writer: parseWriterId("0.sim.a.l1"),
    store: createMapRowStore(TABLES, { state: true }),
    primary: { kind: "self" },
  });
  const orphan = { table: 0, key: 7n, t: (NOW + 60_000) * 1000, writer: parseWriterId("0.sim.b.l1") };
  const body = buildOrphans(primary.declaration, [orphan]);
  stepReplica(primary, { kind: "message", from: "b", message: "orphans", body }, NOW);
  const held = primary.store.versionOf(0, 7n);
  if (held === undefined || isOlder(held, orphan)) return "an orphan is not superseded by the primary";
  return held.t <= (primary.knowledge.get(held.writer) ?? 0) ? undefined : "what superseded an orphan is early itself";
}

/** X12: a row that stays early is reported, again and again while it stays so. */
export function orphanReported(): string | undefined {
  const store = createMapRowStore(TABLES, { state: true });
  const writer = store.writerIndex(parseWriterId("0.sim.b.l1"));
  const batch = {
    table: 0,
    keys: BigUint64Array.of(7n),
    t: Float64Array.of(NOW * 1000),
    writers: Uint16Array.of(writer),
    flags: Uint8Array.of(0),
    values: new Uint8Array(4),
    state: new Uint8Array(4),
  };
  store.merge(batch, new Float64Array());
  const holder = createReplica({
    writer: parseWriterId("0.sim.c.l1"),
    store,
    primary: { kind: "peer", peer: "a" },
  });
  let timers = stepReplica(holder, { kind: "pull", peer: "b", pullId: "0".repeat(32) }, NOW);
  let reports = 0;
  for (let sweep = 0; sweep < 3; sweep += 1) {
    if (!timers.some((effect) => effect.kind === "timer" && effect.name === ORPHAN_TIMER)) {
      return "a replica with early rows does not watch them";
    }
    timers = stepReplica(holder, { kind: "timer", name: ORPHAN_TIMER }, NOW);
    if (timers.some((effect) => effect.kind === "send" && effect.message === "orphans")) reports += 1;
  }
  return reports === 2 ? undefined : `a row early at three sweeps was reported ${reports} times`;
}
