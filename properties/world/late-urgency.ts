/*
 * Rows that are found to be urgent a while after they were written, as where a function of the operator's own decides: anything may have happened to
 * them meanwhile. A restart forgets them.
 */
import { type Replica } from "../../protocols/sync/replica.ts";
import { type Version } from "../../protocols/sync/version.ts";
import { sameVersion } from "./seen-row.ts";
import { type SimulatedNode } from "./simulated-node.ts";
import { type Surroundings } from "./surroundings.ts";
import { type Write } from "./writes.ts";

/** Of one life of a node. */
export class LateUrgency {
  readonly #world: Surroundings;
  readonly #of: { readonly index: number; readonly life: number };
  /** By shard and key: what was written, as long as nobody has said that it is urgent. */
  readonly #written: Map<number, Version>[];

  constructor(world: Surroundings, of: { readonly index: number; readonly life: number }) {
    this.#world = world;
    this.#of = of;
    this.#written = world.checkers.map(() => new Map<number, Version>());
  }

  /** Of half of the rows it is found later. So a world has both kinds, and neither changes what else is drawn. */
  isUrgentAtOnce({ key, urgent }: Write): boolean {
    return urgent && (this.#world.knobs.urgeMs === 0 || key % 2 === 1);
  }

  /** The rows of one time are found together, as those of one batch are. */
  wrote(shard: number, write: Write, version: Version | undefined): void {
    const written = this.#written[shard];
    if (!write.urgent || this.isUrgentAtOnce(write) || version === undefined || written === undefined) return;
    if (written.size === 0) {
      const { index: node, life } = this.#of;
      this.#world.after(this.#world.knobs.urgeMs, { kind: "urge", node, life, shard });
    }
    written.set(write.key, version);
  }

  /** A start of a shard forgets what the one before wrote. */
  forget(shard: number): void {
    this.#written[shard]?.clear();
  }

  /** S9: the node is told of them; rows that are still there are listed, and no others. */
  urge(node: SimulatedNode, shard: number, nowMs: number): void {
    const [replica, rows] = [node.replicas[shard], this.#written[shard]];
    if (replica === undefined || rows === undefined) return;
    const { latest } = replica.urgent;
    const held = this.#held(replica, rows);
    node.step(shard, { kind: "urge", table: 0, keys: BigUint64Array.from(rows.keys(), BigInt) }, nowMs);
    rows.clear();
    const listed = replica.urgent.latest - latest;
    if (listed === held) return;
    this.#world.judge.breach("S9", `node ${node.index} holds ${held} rows that are urgent now, and lists ${listed}`);
  }

  /** How many of these rows there still are. Counts what became of them. */
  #held({ store, early }: Replica, rows: ReadonlyMap<number, Version>): number {
    let held = 0;
    for (const [key, version] of rows) {
      const [slot, now] = [store.slotOf(0, BigInt(key)), store.versionOf(0, BigInt(key))];
      if (slot === undefined || now === undefined) {
        this.#world.count("urged when it was gone");
        continue;
      }
      held += 1;
      this.#world.count(sameVersion(now, version) ? "urged after its write" : "urged when it was written over");
      if (early.has(slot)) this.#world.count("urged when a later one was early");
    }
    return held;
  }
}
