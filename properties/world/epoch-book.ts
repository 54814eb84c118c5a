import { type Replica } from "../../protocols/sync/replica.ts";
import { epochOf, type Version, type WriterId } from "../../protocols/sync/version.ts";
import { sameVersion, text } from "./seen-row.ts";
import { type Surroundings } from "./surroundings.ts";

/** Who may write in each epoch, and what of earlier ones each began with. */
export class EpochBook {
  readonly #world: Surroundings;
  /** By epoch: the node that leads in it. */
  readonly #leaders = new Map<number, number>([[0, 0]]);
  /** By shard, epoch and key. */
  readonly #kept: readonly Map<number, readonly (Version | undefined)[]>[];

  constructor(world: Surroundings) {
    this.#world = world;
    this.#kept = world.checkers.map(() => new Map());
  }

  /** From now on this node leads in an epoch. */
  begins(epoch: number, node: number): void {
    this.#leaders.set(epoch, node);
  }

  /** A primary's shard has begun an epoch, with the rows that it holds now. */
  began({ store }: Replica, { shard, epoch }: { readonly shard: number; readonly epoch: number }): void {
    const rows = Array.from({ length: this.#world.knobs.keys }, (_, key) => store.versionOf(0, BigInt(key)));
    this.#kept[shard]?.set(epoch, rows);
  }

  /** P1: of each epoch one primary writes. */
  wrote(node: number, writer: WriterId): void {
    const due = this.#leaders.get(epochOf(writer));
    if (due === node) return;
    this.#world.judge.breach("P1", `node ${node} writes as ${writer}, in an epoch in which node ${due} leads`);
  }

  /** P2: of earlier epochs a replica holds what its epoch began with, and nothing else. */
  look({ horizon, store }: Replica, { shard, where }: { readonly shard: number; readonly where: string }): void {
    for (const [key, kept] of this.#kept[shard]?.get(horizon.epoch)?.entries() ?? []) {
      const held = store.versionOf(0, BigInt(key));
      if (held === undefined || epochOf(held.writer) >= horizon.epoch) continue;
      if (kept !== undefined && sameVersion(kept, held)) continue;
      this.#world.judge.breach(
        "P2",
        `${where} is in epoch ${horizon.epoch}, which began with row ${key} at ${text(kept)}, and holds ${text(held)}`,
      );
    }
  }
}
