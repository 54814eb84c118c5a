/*
 * The algebra under the protocol, over small cases that are all tried or drawn from a fixed seed.
 */
import { T_MAX } from "../../protocols/limits.ts";
import { createRandom, nextBelow, type Random } from "../../protocols/random.ts";
import { dominates, equalKnowledge, join, type Knowledge } from "../../protocols/sync/knowledge.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { type RowBatch } from "../../protocols/sync/row-store.ts";
import { createStamper, isPlausible, stamp, TimeExhausted } from "../../protocols/sync/stamper.ts";
import { compareVersions, parseWriterId, type Version, type WriterId } from "../../protocols/sync/version.ts";

const WRITERS = ["0.sim.a.l1", "0.sim.b.l1", "2.sim.a.l1", "10.sim.a.l1"].map(parseWriterId);
const VERSIONS: readonly Version[] = WRITERS.flatMap((writer) => [1, 2].map((t) => ({ t, writer })));
const KNOWLEDGES = allKnowledges(WRITERS.slice(0, 3));

/** V1: joining gives the least upper bound, in whatever order. */
export function joining(): string | undefined {
  for (const a of KNOWLEDGES) {
    for (const b of KNOWLEDGES) {
      const joined = new Map(a);
      const grew = join(joined, b);
      const isBound = WRITERS.every(
        (writer) => (joined.get(writer) ?? 0) === Math.max(a.get(writer) ?? 0, b.get(writer) ?? 0),
      );
      if (!isBound) return "a join is not the greater of both, writer by writer";
      if (grew !== (joined.size !== a.size || [...a].some(([writer, t]) => joined.get(writer) !== t))) {
        return "a join tells wrongly whether it changed anything";
      }
    }
  }
  return undefined;
}

/** V2: knowledge is ordered by what it covers, and an absent writer is one of whom nothing is known. */
export function dominating(): string | undefined {
  for (const a of KNOWLEDGES) {
    for (const b of KNOWLEDGES) {
      const covers = WRITERS.every((writer) => (a.get(writer) ?? 0) >= (b.get(writer) ?? 0));
      if (dominates(a, b) !== covers) return "dominates() is not the order of what is covered";
      const isEqual = covers && WRITERS.every((writer) => (a.get(writer) ?? 0) === (b.get(writer) ?? 0));
      if (equalKnowledge(a, b) !== isEqual) return "equalKnowledge() is not equality of what is covered";
    }
  }
  return undefined;
}

/** V3: versions are in one strict order: epoch as a number, then t, then writer. */
export function ordering(): string | undefined {
  for (const a of VERSIONS) {
    for (const b of VERSIONS) {
      const order = Math.sign(compareVersions(a, b));
      if (order + Math.sign(compareVersions(b, a)) !== 0) return "the order of two versions depends on who asks";
      if ((order === 0) !== (a === b)) return "two different versions are the same in order";
      const epochs = Number.parseInt(a.writer, 10) - Number.parseInt(b.writer, 10);
      if (epochs !== 0 && order !== Math.sign(epochs)) return "a newer epoch does not come first";
      if (epochs === 0 && a.t !== b.t && order !== Math.sign(a.t - b.t)) return "a later t does not come first";
    }
  }
  return undefined;
}

/** V8: a clock that is almost used up stamps its last t and then refuses, instead of losing count. */
export function lastStamps(): string | undefined {
  const stamper = createStamper(T_MAX - 1);
  if (stamp(stamper, 0) !== T_MAX) return "the last t is not stamped";
  try {
    return `${stamp(stamper, 0)} is stamped, beyond what is counted exactly`;
  } catch (error) {
    if (error instanceof TimeExhausted) return undefined;
    throw error;
  }
}

/** V10: a t more than the jump limit ahead is not plausible; up to it, it is. */
export function jumps(): string | undefined {
  const nowMs = 1_760_000_000_000;
  const jumpMs = 24 * 60 * 60 * 1000;
  const limit = (nowMs + jumpMs) * 1000;
  if (!isPlausible(limit, { nowMs, jumpMs })) return "a t at the jump limit is refused";
  return isPlausible(limit + 1, { nowMs, jumpMs }) ? "a t beyond the jump limit is taken" : undefined;
}

/** S10: merging the same rows in any order, some of them twice, gives the same store. */
export function mergingInAnyOrder(): string | undefined {
  const random = createRandom(10);
  for (let round = 0; round < 100; round += 1) {
    const rows = Array.from({ length: 1 + nextBelow(random, 8) }, () => drawRow(random));
    const digest = merged(rows);
    for (let other = 0; other < 4; other += 1) {
      const again = shuffle([...rows, ...rows.slice(0, nextBelow(random, rows.length))], random);
      if (merged(again) !== digest) return "the order in which rows came shows in what is held";
    }
  }
  return undefined;
}

interface DrawnRow {
  readonly key: bigint;
  readonly t: number;
  readonly writer: number;
}

function drawRow(random: Random): DrawnRow {
  return { key: BigInt(nextBelow(random, 3)), t: 1 + nextBelow(random, 3), writer: nextBelow(random, WRITERS.length) };
}

function merged(rows: readonly DrawnRow[]): string {
  const store = createMapRowStore(
    [{ name: "rows", dim: 1, valueBytes: 4, stateBytes: 0, precision: "f32", optimizer: "" }],
    { state: true },
  );
  for (const writer of WRITERS) store.writerIndex(writer);
  for (const { key, t, writer } of rows) {
    const batch: RowBatch = {
      table: 0,
      keys: BigUint64Array.of(key),
      t: Float64Array.of(t),
      writers: Uint16Array.of(writer),
      flags: Uint8Array.of(0),
      // The content follows from the version, as it must.
      values: Uint8Array.of(Number(key), t, writer, 0),
      state: new Uint8Array(),
    };
    store.merge(batch, new Float64Array());
  }
  return store.digest();
}

function shuffle<T>(items: T[], random: Random): T[] {
  return items
    .map((item) => ({ item, order: nextBelow(random, 2 ** 30) }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}

function allKnowledges(writers: readonly WriterId[]): Knowledge[] {
  const [writer, ...rest] = writers;
  if (writer === undefined) return [new Map()];
  return allKnowledges(rest).flatMap((others) =>
    [0, 1, 2].map((t) => new Map(t === 0 ? others : [...others, [writer, t]])),
  );
}
