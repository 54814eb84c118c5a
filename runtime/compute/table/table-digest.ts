import { hashText } from "../../../protocols/sync/content-hash.ts";
import { type KernelTable } from "./kernel-table.ts";

/** Reading a row from disk takes about as long as hashing so many. */
const COLD_COST = 16;

/** What a turn came to: all rows were looked at, more are to be, or also, it has just begun. */
export type DigestTurn =
  | { readonly kind: "done"; readonly digest: string }
  | { readonly kind: "more"; readonly isNew: boolean };

/** What a digest is made of. */
export interface Digested {
  readonly writers: readonly string[];
  /** The numbers under which the tables are in the digest, where these are not their own. */
  readonly names: readonly number[] | undefined;
}

/** Digests of some tables, whole and in turns. */
export class TableDigests {
  readonly #tables: readonly KernelTable[];
  /** One that is being made, of rows that were touched so often by then. */
  #turns: { readonly touches: number; readonly digest: TableDigest } | undefined;

  constructor(tables: readonly KernelTable[]) {
    this.#tables = tables;
  }

  whole(of: Digested): string {
    const digest = this.#begin(of).turn(Infinity);
    if (digest === undefined) throw new RangeError("Cannot make a digest: it has no end");
    return digest;
  }

  /** About so many rows more. It begins anew where rows were touched since the turn before, `touches` having grown. */
  turn(rows: number, { touches, ...of }: Digested & { readonly touches: number }): DigestTurn {
    const isNew = this.#turns?.touches !== touches;
    const turns = this.#turns?.touches === touches ? this.#turns : { touches, digest: this.#begin(of) };
    this.#turns = turns;
    const digest = turns.digest.turn(rows);
    return digest === undefined ? { kind: "more", isNew } : { kind: "done", digest };
  }

  /** Rows have changed that were not touched. */
  forget(): void {
    this.#turns = undefined;
  }

  #begin({ writers, names }: Digested): TableDigest {
    const tables = this.#tables.map((table, index) => ({ table, index: names?.[index] ?? index }));
    return new TableDigest(tables, writers.map(hashText));
  }
}

/** The digest that protocols/sync/content-hash.ts makes row by row, table by table; in turns, between which no row may change. */
class TableDigest {
  readonly #tables: readonly { readonly table: KernelTable; readonly index: number }[];
  readonly #writerHashes: readonly number[];
  #first = 0;
  #second = 0;
  #rows = 0;
  /** Where the next turn begins: a table, and a row of it. */
  #at = 0;
  #from = 0;

  /** `index`: the number under which a table is in the digest. */
  constructor(
    tables: readonly { readonly table: KernelTable; readonly index: number }[],
    writerHashes: readonly number[],
  ) {
    this.#tables = tables;
    this.#writerHashes = writerHashes;
  }

  /** Takes in about so many rows more, and gives the digest once there are no more: sixteen hex digits and the number of rows. */
  turn(rows: number): string | undefined {
    let left = rows;
    for (; this.#at < this.#tables.length; this.#at += 1, this.#from = 0) {
      const { table, index } = this.#tables[this.#at] ?? {};
      if (table === undefined || index === undefined) continue;
      while (this.#from < table.end) {
        if (left < 1) return undefined;
        left -= this.#add(table, { index, rows: left });
      }
    }
    return `${hex(this.#first)}${hex(this.#second)}-${this.#rows}`;
  }

  /** Gives how many rows' time it took. */
  #add(table: KernelTable, { index, rows }: { readonly index: number; readonly rows: number }): number {
    const { code, columns, cold, end } = table;
    // Where some are on disk, no more at a time than there is room for.
    const most = cold === undefined ? rows : Math.min(columns.rowsMax, Math.ceil(rows / COLD_COST));
    const size = Math.min(most, end - this.#from);
    columns.writerHashes.view.set(this.#writerHashes);
    copyCold(table, this.#from, size);
    this.#rows += code.digestRows(this.#from, size, index, columns.writerHashes.at, columns.values.at);
    this.#first = (this.#first + table.answer) >>> 0;
    this.#second = (this.#second + table.answerToo) >>> 0;
    this.#from += size;
    return cold === undefined ? size : COLD_COST * size;
  }
}

/** Has the values of those of these rows that are on disk in the column of values, each in its place from `from` on. */
function copyCold({ columns, cold, spec }: KernelTable, from: number, count: number): void {
  if (cold === undefined) return;
  const { rows, values } = columns;
  for (let at = 0; at < count; at += 1) rows.view[at] = from + at;
  cold.copy(rows, count, { values: values.at, valueBytes: spec.valueBytes, state: 0, stateBytes: 0 });
}

function hex(sum: number): string {
  return sum.toString(16).padStart(8, "0");
}
