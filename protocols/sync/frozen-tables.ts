import { type FreezableRows, FrozenTable } from "./frozen-table.ts";
import { type FrozenRows } from "./row-store.ts";

/** What changed in the tables of one store, and its rows of one moment. */
export class FrozenTables {
  readonly #tables: readonly FrozenTable[];
  #isFrozen = false;

  constructor(tables: readonly FreezableRows[], { state }: { readonly state: boolean }) {
    this.#tables = tables.map((rows, table) => new FrozenTable(rows, { table, state }));
  }

  table(index: number): FrozenTable | undefined {
    return this.#tables[index];
  }

  /** Grows with every change of a row, and never falls. */
  get touches(): number {
    return this.#tables.reduce((sum, { touches }) => sum + touches, 0);
  }

  get changes(): number {
    return this.#tables.reduce((sum, { changes }) => sum + changes, 0);
  }

  /** Throws `RangeError` while rows are frozen. */
  checkNone(): void {
    if (this.#isFrozen) throw new RangeError("Cannot freeze or load rows: others are frozen");
  }

  freeze(what: "all" | "changed"): FrozenRows {
    this.checkNone();
    this.#isFrozen = true;
    const whole = what === "all" || this.#tables.some(({ isLost }) => isLost);
    for (const table of this.#tables) table.freeze(whole ? "all" : "changed");
    const dropped = whole ? [] : this.#tables.flatMap(({ dropsBefore }) => dropsBefore);
    const unread = [...this.#tables];
    let isOpen = true;
    return {
      whole,
      dropped,
      next: (bytesMax) => {
        for (let [table] = unread; table !== undefined; [table] = unread) {
          const batch = table.next(bytesMax);
          if (batch !== undefined) return batch;
          unread.shift();
        }
        return undefined;
      },
      close: (outcome) => {
        if (!isOpen) return;
        isOpen = false;
        this.#isFrozen = false;
        unread.length = 0;
        for (const table of this.#tables) table.close(outcome);
      },
    };
  }
}
