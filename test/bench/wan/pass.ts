import { type Machine } from "./machine.ts";

/** Shards that never change are pulled many at a time; so many such groups are under way at once. */
const GROUPS_MAX = 16;

/**
 * Pulls every shard from one machine, pass after pass: what is left without shard versions, where nothing says which shard changed.
 * A group is one shard that changes and its share of those that never do.
 */
export class Pass {
  readonly #machine: Machine;
  readonly #from: number;
  readonly #idlePulls: number;
  readonly #start: number;
  #next = 0;
  /** Pulls under way: of shards that change, and of groups of others. */
  #underWay = 0;

  constructor(
    machine: Machine,
    options: { readonly from: number; readonly idlePulls: number; readonly start: number },
  ) {
    this.#machine = machine;
    this.#from = options.from;
    this.#idlePulls = options.idlePulls;
    this.#start = options.start;
  }

  begin(): void {
    while (this.#underWay <= 2 * (GROUPS_MAX - 1)) {
      const shard = (this.#start + this.#next) % this.#machine.replicas.length;
      // A shard may be reached again before its last pull has ended, where there are few.
      if (this.#machine.replicas[shard]?.pull !== undefined) return;
      this.#next += 1;
      this.#underWay += 2;
      this.#machine.pull(shard, this.#from);
      this.#machine.pullIdle(this.#idlePulls, this.#from);
    }
  }

  /** A pull has ended. */
  settled(): void {
    this.#underWay -= 1;
    this.begin();
  }
}
