import { emptyBatch } from "./empty-batch.ts";
import { RowBits } from "./row-bits.ts";
import { type RowBatch, type TableKeys, type TableSpec } from "./row-store.ts";

/** Rows of one table by number, as a moment of them is read. */
export interface FreezableRows {
  readonly spec: TableSpec;
  /** Rows from here on were never used. */
  readonly end: number;
  /** Rows that are not empty. */
  readonly held: number;
  /** How many rows `packHeld` takes. */
  readonly rowsMax: number;
  /** Those of some rows that are not empty as a batch, whose columns are good until the next call. */
  packHeld(rows: Uint32Array, options: { readonly table: number; readonly state: boolean }): RowBatch;
  /** One row into a place of a batch. */
  packRow(row: number, place: { readonly batch: RowBatch; readonly at: number }): void;
}

/** Rows kept aside lie in blocks of about so many bytes, so that none has to grow, and the few of a table take little. */
const BLOCK_BYTES = 2 ** 16;
/** Dropped keys that are remembered at least. With more, and more than there are rows, nobody knows what changed. */
const GONE_MIN = 4096;

/** A moment: what had changed by then, since the one before that was kept. */
interface Moment {
  readonly changed: RowBits;
  readonly gone: readonly BigUint64Array<ArrayBuffer>[];
  readonly isLost: boolean;
}

/** Which rows of a table changed, and those of a frozen moment that were not read yet. Whoever changes a row says so here first. */
export class FrozenTable {
  readonly #rows: FreezableRows;
  readonly #options: { readonly table: number; readonly state: boolean };
  #changed = new RowBits();
  #gone: BigUint64Array<ArrayBuffer>[] = [];
  #goneKeys = 0;
  #isLost = false;
  #moment: Moment | undefined;
  #unread = new RowBits();
  #cursor = 0;
  /** Rows on their way out. */
  readonly #next: Uint32Array;
  #touches = 0;
  /** Rows as they were at the moment, which have changed since. */
  #aside: { readonly block: RowBatch; rows: number }[] = [];

  constructor(rows: FreezableRows, options: { readonly table: number; readonly state: boolean }) {
    this.#rows = rows;
    this.#options = options;
    this.#next = new Uint32Array(rows.rowsMax);
  }

  /** Rows and keys that changed; more where some counts twice. */
  get changes(): number {
    return this.#changed.size + this.#goneKeys;
  }

  /** Grows with every change of a row, and never falls. */
  get touches(): number {
    return this.#touches;
  }

  /** More was dropped than is remembered. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Rows of a moment wait to be read, so that those about to change must be named before they do. */
  get isFrozen(): boolean {
    return this.#moment !== undefined;
  }

  /** A row is about to change, or to go. */
  touch(row: number): void {
    this.#touches += 1;
    this.#changed.add(row);
    if (this.#moment !== undefined && this.#unread.delete(row)) this.#keepAside(row);
  }

  /** A row is in a place that was empty. */
  added(row: number): void {
    this.#touches += 1;
    this.#changed.add(row);
    if (this.#moment !== undefined) this.#unread.delete(row);
  }

  /** These keys' rows, which were touched, are gone. */
  dropped(keys: BigUint64Array<ArrayBuffer>): void {
    this.#gone.push(keys);
    this.#goneKeys += keys.length;
    if (this.#goneKeys <= Math.max(GONE_MIN, this.#rows.held)) return;
    this.#isLost = true;
    this.#gone = [];
    this.#goneKeys = 0;
  }

  freeze(what: "all" | "changed"): void {
    this.#moment = { changed: this.#changed, gone: this.#gone, isLost: this.#isLost };
    this.#cursor = 0;
    if (what === "all") this.#unread.fill(this.#rows.end);
    else this.#unread = this.#changed.copy();
    this.#forget();
  }

  /** What was dropped before the moment. */
  get dropsBefore(): TableKeys[] {
    return (this.#moment?.gone ?? []).map((keys) => ({ table: this.#options.table, keys }));
  }

  /** Rows of the moment of about so many bytes; undefined when all were read. */
  next(bytesMax: number): RowBatch | undefined {
    const { valueBytes, stateBytes } = this.#rows.spec;
    const rowsMax = Math.max(1, Math.floor(bytesMax / (valueBytes + stateBytes)));
    // Rows kept aside go when they fill a block, or last: where each block had the few that were touched since the one before, it would never end.
    const [oldest] = this.#aside;
    if (this.#aside.length > 1 || (oldest?.rows ?? 0) >= rowsMax) return this.#nextAside(rowsMax);
    for (;;) {
      const rows = this.#next.subarray(0, this.#unread.take(this.#cursor, this.#next.subarray(0, rowsMax)));
      const last = rows.at(-1);
      if (last === undefined) return this.#nextAside(rowsMax);
      this.#cursor = last + 1;
      const batch = this.#rows.packHeld(rows, this.#options);
      if (batch.keys.length > 0) return batch;
    }
  }

  close(outcome: "kept" | "lost"): void {
    const moment = this.#moment;
    this.#moment = undefined;
    this.#unread = new RowBits();
    this.#aside = [];
    if (outcome === "kept" || moment === undefined) return;
    this.#changed.addAll(moment.changed);
    this.#isLost ||= moment.isLost;
    const after = this.#gone;
    this.#gone = [];
    this.#goneKeys = 0;
    for (const keys of [...moment.gone, ...after]) this.dropped(keys);
  }

  #nextAside(rowsMax: number): RowBatch | undefined {
    const [oldest] = this.#aside;
    if (oldest === undefined) return undefined;
    const from = Math.max(0, oldest.rows - rowsMax);
    const batch = cut(oldest.block, from, oldest.rows);
    oldest.rows = from;
    if (from === 0) this.#aside.shift();
    return batch;
  }

  #forget(): void {
    this.#changed = new RowBits();
    this.#gone = [];
    this.#goneKeys = 0;
    this.#isLost = false;
  }

  #keepAside(row: number): void {
    let last = this.#aside.at(-1);
    if (last === undefined || last.rows === last.block.keys.length) {
      const { spec } = this.#rows;
      const rows = Math.max(1, Math.floor(BLOCK_BYTES / (spec.valueBytes + spec.stateBytes)));
      last = { block: emptyBatch(spec, rows, this.#options), rows: 0 };
      this.#aside.push(last);
    }
    this.#rows.packRow(row, { batch: last.block, at: last.rows });
    last.rows += 1;
  }
}

function cut({ table, keys, t, writers, flags, values, state }: RowBatch, from: number, to: number): RowBatch {
  const rows = keys.length;
  function bytesOfRows(bytes: Uint8Array): Uint8Array {
    const width = bytes.length / rows;
    return bytes.subarray(from * width, to * width);
  }
  return {
    table,
    keys: keys.subarray(from, to),
    t: t.subarray(from, to),
    writers: writers.subarray(from, to),
    flags: flags.subarray(from, to),
    values: bytesOfRows(values),
    state: state && bytesOfRows(state),
  };
}
