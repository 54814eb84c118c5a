import { KeyIndex } from "./key-index.ts";
import { type RowBatch, type RowGlance, type TableSpec, TOMBSTONE } from "./row-store.ts";

/** No row is here. Never leaves the store. */
const EMPTY = 2;

/** The rows of one table in columns, by row number. What a dropped row leaves is used again, as another generation. */
export class TableRows {
  readonly spec: TableSpec;
  readonly index: KeyIndex = new KeyIndex();
  t: Float64Array<ArrayBuffer> = new Float64Array();
  writers: Uint16Array<ArrayBuffer> = new Uint16Array();
  flags: Uint8Array<ArrayBuffer> = new Uint8Array();
  generations: Uint32Array<ArrayBuffer> = new Uint32Array();
  /** `spec.valueBytes` a row, and `spec.stateBytes`. */
  values: Uint8Array<ArrayBuffer> = new Uint8Array();
  state: Uint8Array<ArrayBuffer> = new Uint8Array();
  /** Rows from here on were never used. */
  end = 0;
  /** Rows that are neither empty nor deleted. */
  live = 0;
  readonly #free: number[] = [];

  constructor(spec: TableSpec) {
    this.spec = spec;
    this.#growColumns();
  }

  /** Rows that are not empty. */
  get held(): number {
    return this.end - this.#free.length;
  }

  isEmpty(row: number): boolean {
    return row >= this.end || this.flags[row] === EMPTY;
  }

  isAhead(row: number, known: Float64Array): boolean {
    return !this.isEmpty(row) && (this.t[row] ?? 0) > (known[this.writers[row] ?? 0] ?? 0);
  }

  isDeleted(row: number): boolean {
    return this.flags[row] === TOMBSTONE;
  }

  /** A row for a key that has none; counted as deleted until `setFlags`. */
  add(low: number, high: number): number {
    const row = this.#free.pop() ?? this.end;
    if (row === this.end) {
      if (row === this.t.length) {
        this.index.grow(2 * row, (held) => !this.isEmpty(held));
        this.#growColumns();
      }
      this.end += 1;
    }
    this.flags[row] = TOMBSTONE;
    this.index.add(row, low, high);
    return row;
  }

  setFlags(row: number, flags: number): void {
    this.live += (flags === TOMBSTONE ? 0 : 1) - (this.isDeleted(row) ? 0 : 1);
    this.flags[row] = flags;
  }

  drop(row: number): void {
    this.index.remove(row);
    this.setFlags(row, TOMBSTONE);
    this.flags[row] = EMPTY;
    this.generations[row] = (this.generations[row] ?? 0) + 1;
    this.#free.push(row);
  }

  /** These rows as a batch. */
  pack(rows: readonly number[], options: { readonly table: number; readonly state: boolean }): RowBatch {
    const batch = this.emptyBatch(rows.length, options);
    for (let at = 0; at < rows.length; at += 1) this.packRow(rows[at] ?? 0, { batch, at });
    return batch;
  }

  /** Room for so many rows. */
  emptyBatch(count: number, options: { readonly table: number; readonly state: boolean }): RowBatch {
    const { valueBytes, stateBytes } = this.spec;
    return {
      table: options.table,
      keys: new BigUint64Array(count),
      t: new Float64Array(count),
      writers: new Uint16Array(count),
      flags: new Uint8Array(count),
      values: new Uint8Array(count * valueBytes),
      state: options.state ? new Uint8Array(count * stateBytes) : undefined,
    };
  }

  /** One row into a place of a batch. */
  packRow(row: number, { batch, at }: { readonly batch: RowBatch; readonly at: number }): void {
    const { valueBytes, stateBytes } = this.spec;
    batch.keys[at] = this.index.keys[row] ?? 0n;
    batch.t[at] = this.t[row] ?? 0;
    batch.writers[at] = this.writers[row] ?? 0;
    batch.flags[at] = this.flags[row] ?? 0;
    batch.values.set(this.values.subarray(row * valueBytes, (row + 1) * valueBytes), at * valueBytes);
    batch.state?.set(this.state.subarray(row * stateBytes, (row + 1) * stateBytes), at * stateBytes);
  }

  #growColumns(): void {
    const { valueBytes, stateBytes } = this.spec;
    const rows = this.index.keys.length;
    this.t = grown(this.t, new Float64Array(rows));
    this.writers = grown(this.writers, new Uint16Array(rows));
    this.flags = grown(this.flags, new Uint8Array(rows));
    this.generations = grown(this.generations, new Uint32Array(rows));
    this.values = grown(this.values, new Uint8Array(rows * valueBytes));
    this.state = grown(this.state, new Uint8Array(rows * stateBytes));
  }
}

/** The row of one table that `dropWhere` looks at. */
export class ColumnGlance implements RowGlance {
  row = 0;
  readonly table: number;
  readonly #rows: TableRows;

  constructor(rows: TableRows, table: number) {
    this.#rows = rows;
    this.table = table;
  }

  get key(): bigint {
    return this.#rows.index.keys[this.row] ?? 0n;
  }

  get t(): number {
    return this.#rows.t[this.row] ?? 0;
  }

  get writer(): number {
    return this.#rows.writers[this.row] ?? 0;
  }

  get flags(): number {
    return this.#rows.flags[this.row] ?? 0;
  }
}

function grown<Column extends Float64Array | Uint16Array | Uint8Array | Uint32Array>(
  held: Column,
  into: Column,
): Column {
  into.set(held);
  return into;
}
