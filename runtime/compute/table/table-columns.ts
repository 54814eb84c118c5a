import { SYNC_LIMITS } from "../../../protocols/limits.ts";
import { type RowBatch } from "../../../protocols/sync/row-store.ts";
import { type SharedMemory } from "../load.ts";
import { copyBytes } from "./copy-bytes.ts";
import { type TableCode } from "./table-code.ts";

/** A piece of a table's memory: where it stands, and views of it. */
export interface Column<View> {
  readonly at: number;
  readonly view: View;
}

/** Rows of a batch from one on, and what of each writer is known. */
export interface MergePiece {
  readonly known: Float64Array;
  readonly from: number;
  readonly count: number;
}

/** Rows of a batch from one on, with their states or without. */
export interface ContentsPiece {
  readonly from: number;
  readonly count: number;
  readonly state: boolean;
}

/** What goes in and out of the code at once. */
const PIECE_BYTES = 2 ** 18;
const PIECE_ROWS_MAX = 4096;

/**
 * Room in a table's memory for rows on their way in and out, in columns, a piece of a batch at a time: as much as one thread needs, and every
 * thread has its own. Once made it never moves, whatever else grows.
 */
export class TableColumns {
  /** Rows of a piece. */
  readonly rowsMax: number;
  readonly keys: Column<BigUint64Array>;
  readonly t: Column<Float64Array>;
  readonly norms: Column<Float64Array>;
  /** The versions that rows had before they were stored. */
  readonly beforeT: Column<Float64Array>;
  readonly beforeWriters: Column<Uint16Array>;
  readonly known: Column<Float64Array>;
  readonly numbers: Column<Float64Array>;
  readonly rows: Column<Uint32Array>;
  readonly places: Column<Uint32Array>;
  readonly writerHashes: Column<Uint32Array>;
  readonly writers: Column<Uint16Array>;
  readonly flags: Column<Uint8Array>;
  readonly added: Column<Uint8Array>;
  readonly values: Column<Uint8Array>;
  readonly state: Column<Uint8Array>;
  /** Three columns of floats, as many as a row has numbers: gradients, first values, values that were read. */
  readonly gradients: Column<Float32Array>;
  readonly initial: Column<Float32Array>;
  readonly read: Column<Float32Array>;
  /** For the code alone. */
  readonly scratch: Column<Uint8Array>;
  readonly #valueBytes: number;
  readonly #stateBytes: number;

  constructor(
    memory: SharedMemory,
    code: TableCode,
    {
      dim,
      valueBytes,
      stateBytes,
      rowsMax = PIECE_ROWS_MAX,
    }: { readonly dim: number; readonly valueBytes: number; readonly stateBytes: number; readonly rowsMax?: number },
  ) {
    this.#valueBytes = valueBytes;
    this.#stateBytes = stateBytes;
    const rowBytes = 8 + 8 + 8 + 8 + 4 + 4 + 2 + 2 + 1 + 1 + valueBytes + stateBytes + 3 * 4 * dim;
    this.rowsMax = Math.max(1, Math.min(PIECE_ROWS_MAX, rowsMax, Math.floor(PIECE_BYTES / rowBytes)));
    const rows = this.rowsMax;
    const scratchBytes = 4096 + 3 * (16 * dim + valueBytes + stateBytes + 64);
    // In the order in which they are taken below.
    const sizes = [
      8 * rows,
      8 * rows,
      8 * rows,
      8 * rows,
      8 * SYNC_LIMITS.writersMax,
      128,
      4 * rows,
      4 * rows,
      4 * SYNC_LIMITS.writersMax,
      2 * rows,
      2 * rows,
      rows,
      rows,
      valueBytes * rows,
      stateBytes * rows,
      4 * dim * rows,
      4 * dim * rows,
      4 * dim * rows,
      scratchBytes,
    ];
    let next = code.allocate(sizes.reduce((sum, bytes) => sum + aligned(bytes), 0)) >>> 0;
    if (next === 0) throw new TableFull();
    const places = sizes.map((bytes) => {
      const at = next;
      next += aligned(bytes);
      return at;
    });
    const { buffer } = memory;
    let column = 0;
    function take<View>(view: (at: number) => View): Column<View> {
      const at = places[column] ?? 0;
      column += 1;
      return { at, view: view(at) };
    }
    this.keys = take((at) => new BigUint64Array(buffer, at, rows));
    this.t = take((at) => new Float64Array(buffer, at, rows));
    this.norms = take((at) => new Float64Array(buffer, at, rows));
    this.beforeT = take((at) => new Float64Array(buffer, at, rows));
    this.known = take((at) => new Float64Array(buffer, at, SYNC_LIMITS.writersMax));
    this.numbers = take((at) => new Float64Array(buffer, at, 16));
    this.rows = take((at) => new Uint32Array(buffer, at, rows));
    this.places = take((at) => new Uint32Array(buffer, at, rows));
    this.writerHashes = take((at) => new Uint32Array(buffer, at, SYNC_LIMITS.writersMax));
    this.writers = take((at) => new Uint16Array(buffer, at, rows));
    this.beforeWriters = take((at) => new Uint16Array(buffer, at, rows));
    this.flags = take((at) => new Uint8Array(buffer, at, rows));
    this.added = take((at) => new Uint8Array(buffer, at, rows));
    this.values = take((at) => new Uint8Array(buffer, at, valueBytes * rows));
    this.state = take((at) => new Uint8Array(buffer, at, stateBytes * rows));
    this.gradients = take((at) => new Float32Array(buffer, at, dim * rows));
    this.initial = take((at) => new Float32Array(buffer, at, dim * rows));
    this.read = take((at) => new Float32Array(buffer, at, dim * rows));
    this.scratch = take((at) => new Uint8Array(buffer, at, scratchBytes));
  }

  /** Puts the keys and versions of a piece here, and what is known. */
  place({ keys, t, writers }: RowBatch, { known, from, count }: MergePiece): void {
    this.keys.view.set(keys.subarray(from, from + count));
    this.t.view.set(t.subarray(from, from + count));
    this.writers.view.set(writers.subarray(from, from + count));
    this.known.view.set(known);
  }

  /** Puts flags, values and states of a piece here. Gives where the states are, or 0. */
  placeContents(batch: RowBatch, { from, count, ...options }: ContentsPiece): number {
    const [valueBytes, stateBytes] = [this.#valueBytes, this.#stateBytes];
    const to = from + count;
    const state = options.state && stateBytes > 0 ? batch.state : undefined;
    this.flags.view.set(batch.flags.subarray(from, to));
    copyBytes(batch.values.subarray(from * valueBytes, to * valueBytes), this.values.view);
    if (state === undefined) return 0;
    copyBytes(state.subarray(from * stateBytes, to * stateBytes), this.state.view);
    return this.state.at;
  }

  /** [from, to) of each piece of so many rows. */
  *pieces(rows: number): Generator<{ readonly from: number; readonly to: number; readonly count: number }> {
    for (let from = 0; from < rows; from += this.rowsMax) {
      const to = Math.min(rows, from + this.rowsMax);
      yield { from, to, count: to - from };
    }
  }
}

/** A table's memory is at the end of what 32-bit addresses reach. */
export class TableFull extends Error {
  override readonly name = "TableFull";

  constructor() {
    super(
      "Cannot hold more rows: a table of one shard has at most 4 GiB in one memory. Give the table a budget, by which it has as many memories as it takes, " +
        "or the model more shards",
    );
  }
}

function aligned(bytes: number): number {
  return (bytes + 63) & ~63;
}
