/*
 * A primary brings a shard back within its budget of rows. Which rows go, and how many, is worked out here from what it holds, and not by the
 * core's rules.
 */
import { type Version } from "../../protocols/sync/version.ts";
import { epochIn } from "./seen-row.ts";
import { type SimulatedNode } from "./simulated-node.ts";
import { type Surroundings } from "./surroundings.ts";

/** Of the rows that a shard may hold, how many are free after an eviction. */
export const EVICT_SLACK = 0.25;

interface World extends Surroundings {
  clock(node: number): number;
}

/** Has a primary evict, and looks at what it did. */
export function evictAt(world: World, { node, shard }: { readonly node: SimulatedNode; readonly shard: number }): void {
  const { keys, rowsMax, evictRowsMax } = world.knobs;
  const replica = node.replicas[shard];
  const store = replica?.store;
  const book = world.checkers[shard]?.book;
  if (replica === undefined || store === undefined || book === undefined) return;
  // It knows that another is the primary by now, and takes that one's rows with their age.
  const isSuperseded = epochIn(replica.writer) < replica.horizon.epoch;
  const event = { kind: "evict", table: 0, rowsMax } as const;
  if (world.judge.isBlind) {
    node.step(shard, event, world.clock(node.index));
    return;
  }
  function live(): Version[] {
    const all = BigUint64Array.from({ length: keys }, (_, key) => BigInt(key));
    const { found } = store?.read(0, all) ?? { found: new Uint8Array() };
    return Array.from(all)
      .flatMap((key, at) => (found[at] === 1 ? (store?.versionOf(0, key) ?? []) : []))
      .toSorted((a, b) => a.t - b.t);
  }
  const rows = live();
  const before = rows.map(({ t }) => t);
  const count = Math.min(evictRowsMax, before.length - Math.floor(rowsMax * (1 - EVICT_SLACK)));
  const last = before[count - 1] ?? 0;
  const isOver = before.length > rowsMax && !isSuperseded;
  if (isOver) book.mayExpire(last + 1);
  const effects = node.step(shard, event, world.clock(node.index));
  if (effects.length > 0) world.count("evicted");
  const after = live().map(({ t }) => t);
  // Rows of several writers may have one t: they go together. Of a later epoch, whose times may be earlier, this primary's age says nothing.
  const staying = rows.filter(({ t, writer }) => t > last || epochIn(writer) > replica.horizon.epoch);
  const wanted = isOver ? staying.map(({ t }) => t) : before;
  if (after.join() === wanted.join()) return;
  const what = `node ${node.index} shard ${shard}, which may hold ${rowsMax} rows`;
  world.judge.breach("B1", `${what}, had those of ${before.join()} and evicted all but ${after.join()}`);
}
