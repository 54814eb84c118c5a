import {
  plainPooling,
  type Pooling,
  type RowChoice,
  type RowPooling,
  type TableOfBatch,
} from "../../protocols/compute/pooling.ts";
import { EMBEDDINGS, type Program } from "../../protocols/compute/program.ts";
import { type KernelLayout } from "./kernel-layout.ts";
import { type Kernels } from "./kernels.ts";

/** Room for so many distinct rows, and entries of lists, a sample that a program is compiled for. What is more is pooled by the reference. */
const ROWS_A_SAMPLE = 2;
const ENTRIES_A_SAMPLE = 16;
const POOLINGS: Readonly<Record<Pooling, number>> = { sum: 0, mean: 1, max: 2 };

/** Where rows lie on their way. Taken before the memory is made. */
export interface PoolingPlaces {
  readonly rowsMax: number;
  readonly entriesMax: number;
  /** Those of one table after those of the other. What is not used takes no memory of the machine. */
  readonly rows: number;
  readonly sums: number;
  readonly rowOf: number;
  readonly starts: number;
  readonly share: number;
}

export function placePooling({ dim, tables }: Pick<Program, "dim" | "tables">, layout: KernelLayout): PoolingPlaces {
  const { batchMax } = layout;
  const [rowsMax, entriesMax] = [ROWS_A_SAMPLE * batchMax, ENTRIES_A_SAMPLE * batchMax];
  const [rows, sums] = [layout.take(tables * rowsMax * dim).address, layout.take(rowsMax * dim).address];
  const [rowOf, starts] = [layout.take(entriesMax).address, layout.take(batchMax + 1).address];
  return { rowsMax, entriesMax, rows, sums, rowOf, starts, share: layout.take(dim).address };
}

/** Pools rows in a program's own memory. */
export function kernelPooling(
  program: Program,
  memory: {
    readonly buffer: SharedArrayBuffer;
    readonly kernels: Kernels;
    readonly layout: KernelLayout;
    readonly places: PoolingPlaces;
    readonly embeddings: Float32Array;
    readonly gradients: Float32Array;
  },
): RowPooling {
  const { buffer, kernels, layout, places } = memory;
  const { dim } = program;
  const reference = plainPooling(program, memory);
  const rowBytes = 4 * program.tables * dim;

  function rowsAt(table: number): number {
    return places.rows + 4 * table * places.rowsMax * dim;
  }

  /** Puts what is needed where the kernels read it; false where there is no room for it. */
  function place({ size, table, choice: { rowOf, list } }: TableOfBatch, rows: Float32Array): boolean {
    const entries = list === undefined ? size : (list.starts[size] ?? 0);
    if (rows.length > places.rowsMax * dim || entries > places.entriesMax) return false;
    const at = rowsAt(table);
    if (rows.buffer !== buffer || rows.byteOffset !== at) new Float32Array(buffer, at, rows.length).set(rows);
    new Uint32Array(buffer, places.rowOf, entries).set(rowOf.subarray(0, entries));
    if (list !== undefined) new Uint32Array(buffer, places.starts, size + 1).set(list.starts.subarray(0, size + 1));
    return true;
  }

  function listArguments({ list }: RowChoice): [starts: number, pooling: number] {
    return list === undefined ? [0, 0] : [places.starts, POOLINGS[list.pooling]];
  }

  return {
    rows(table, count) {
      const floats = count * dim;
      return count > places.rowsMax ? new Float32Array(floats) : new Float32Array(buffer, rowsAt(table), floats);
    },
    spread(batch, rows) {
      const { size, table, choice } = batch;
      if (!place(batch, rows)) return reference.spread(batch, rows);
      const to = layout.values(EMBEDDINGS).address + 4 * table * dim;
      const [starts, pooling] = listArguments(choice);
      kernels.spreadRows(size, dim, rowsAt(table), places.rowOf, starts, pooling, to, rowBytes);
    },
    sum(batch, rows) {
      const { size, table, choice } = batch;
      if (!place(batch, rows)) return reference.sum(batch, rows);
      const [starts, pooling] = listArguments(choice);
      const from = layout.deltas(EMBEDDINGS).address + 4 * table * dim;
      const squares = kernels.sumRows(
        size,
        dim,
        rows.length / Math.max(1, dim),
        rowsAt(table),
        places.rowOf,
        starts,
        pooling,
        from,
        rowBytes,
        places.sums,
        places.share,
      );
      return { sums: new Float32Array(buffer, places.sums, rows.length), squares };
    },
  };
}
