import { type TableSpec } from "../../../protocols/sync/row-store.ts";
import { messageOf } from "../../../protocols/wire/error-message.ts";
import { type SharedMemory } from "../load.ts";
import { Damaged, logShape, RowLog, WANTED_MAX } from "./row-log.ts";
import { type ScratchFile } from "./scratch.ts";
import { HEAD, type TableCode } from "./table-code.ts";
import { type Column, TableFull } from "./table-columns.ts";

/** That not all contents of a table are in memory. */
export interface ColdOptions {
  /** Bytes of contents that are. */
  readonly bytes: number;
  /** Where the others are: a file that is empty. */
  readonly file: ScratchFile;
  /** How the file is cut, and how much of it is written or read at once. */
  readonly regionBytes?: number;
  readonly bufferBytes?: number;
}

/** What a table that is partly on disk does. Counts only grow. */
export interface ColdCounts {
  readonly rowsOnDisk: number;
  readonly bytesOnDisk: number;
  /** Rows whose contents were wanted, and were in memory; and were not. One that is wanted twice in a list counts once. */
  readonly hits: number;
  readonly misses: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Rows that were written again to make room on disk. */
  readonly moved: number;
}

/** The scratch file of a table cannot be used. What is in memory no longer makes a whole table; it is gone with the store. */
export class ScratchFailed extends Error {
  override readonly name = "ScratchFailed";

  constructor(file: string, cause: unknown) {
    super(
      `Cannot keep the rows of a table on disk, in ${file}: ${messageOf(cause)}. The shard starts again from its image. Give the disk room, or ` +
        "another disk; or give the table more memory",
      { cause },
    );
  }
}

/** Contents take less than what 32-bit addresses reach: heads and keys need room as well. */
const FRAMES_BYTES_MAX = 3.75 * 2 ** 30;

type RowSizes = Pick<TableSpec, "valueBytes" | "stateBytes">;

/** How many frames such a table has, how many regions its log, and the power of two that is a region's records: as the code is told; no frames where all is in memory. */
export function sizesOf(
  { valueBytes, stateBytes }: RowSizes,
  cold: ColdOptions | undefined,
): [frames: number, regions: number, regionLog: number] {
  if (cold === undefined) return [0, 0, 0];
  const { regions, regionLog } = logShape(valueBytes + stateBytes, cold);
  const frameBytes = 8 * Math.ceil((valueBytes + stateBytes) / 8);
  return [Math.max(1, Math.floor(Math.min(cold.bytes, FRAMES_BYTES_MAX) / frameBytes)), regions, regionLog];
}

/**
 * Which rows of a table have their contents in memory, in one of so many frames, and which on disk. Who leaves its frame is found by a clock with a second chance (Corbató, 1968): a hand goes round,
 * and takes the frames that were not used since it last came by.
 */
export class ColdRows {
  readonly #code: TableCode;
  readonly #log: RowLog;
  readonly #file: ScratchFile;
  readonly #head: Uint32Array;
  /** By frame: its row's head, 0 for none; whether it was used; whether the call that is being prepared needs it. */
  readonly #owners: Uint32Array;
  readonly #used: Uint8Array;
  readonly #needed: Uint8Array;
  /** By place in a list of rows. */
  readonly #frameOf: Column<Uint32Array>;
  readonly #recordOf: Column<Uint32Array>;
  readonly #leaving: Column<Uint32Array>;
  readonly #wanted: Float64Array;
  readonly #places = new Uint32Array(WANTED_MAX);
  #hand = 0;
  #hits = 0;
  #misses = 0;
  #broken: ScratchFailed | undefined;

  /** `rowsMax`: rows of a list, at most as many as there are frames. */
  constructor(
    { code, memory, spec }: { readonly code: TableCode; readonly memory: SharedMemory; readonly spec: RowSizes },
    { rowsMax, ...options }: ColdOptions & { readonly rowsMax: number },
  ) {
    this.#code = code;
    this.#file = options.file;
    this.#head = new Uint32Array(memory.buffer, 0, HEAD.ranks / 4);
    const [frames] = sizesOf(spec, options);
    const shape = logShape(spec.valueBytes + spec.stateBytes, options);
    this.#owners = new Uint32Array(memory.buffer, this.#word(HEAD.owners), frames);
    this.#used = new Uint8Array(memory.buffer, this.#word(HEAD.used), frames);
    this.#needed = new Uint8Array(frames);
    const live = new Uint32Array(memory.buffer, this.#word(HEAD.regionLive), shape.regions);
    this.#log = new RowLog({ code, memory, live }, shape, options.file);
    function column(): Column<Uint32Array> {
      const at = code.allocate(4 * rowsMax) >>> 0;
      if (at === 0) throw new TableFull();
      // Memory may have grown.
      return { at, view: new Uint32Array(memory.buffer, at, rowsMax) };
    }
    [this.#frameOf, this.#recordOf, this.#leaving] = [column(), column(), column()];
    this.#wanted = new Float64Array(rowsMax);
  }

  /** `held`: rows of the table. */
  counts(held: number): ColdCounts {
    const inMemory = this.#owners.length - this.#word(HEAD.freeCount);
    const { bytes: bytesOnDisk, counts } = this.#log;
    return { rowsOnDisk: held - inMemory, bytesOnDisk, hits: this.#hits, misses: this.#misses, ...counts };
  }

  /** These rows (-1: none) have their contents in memory until the next list is prepared, and as many `more` rows find frames that are free. */
  bring(
    rows: Column<Uint32Array>,
    count: number,
    { more, counted = true }: { readonly more: number; readonly counted?: boolean },
  ): void {
    this.#guarded(() => {
      const wanted = this.#prepare(rows, count, { more, counted });
      this.#log.read(this.#records(wanted), (index, at) => {
        if (this.#code.bringRow(rows.view[this.#places[index] ?? 0] ?? 0, at) === 0) throw new Damaged();
      });
    });
  }

  /** Those of these rows whose contents are in memory keep them there, and the others, and as many `more`, find frames that are free: who prepares this writes all of each row. */
  makeRoom(rows: Column<Uint32Array>, count: number, { more }: { readonly more: number }): void {
    this.#guarded(() => void this.#prepare(rows, count, { more, counted: false }));
  }

  /** Puts the contents of those of these rows that are on disk into columns (0: none), each in the place that it has in the list. Nothing else moves. */
  copy(
    rows: Column<Uint32Array>,
    count: number,
    {
      values,
      valueBytes,
      state,
      stateBytes,
    }: { values: number; valueBytes: number; state: number; stateBytes: number },
  ): void {
    this.#guarded(() => {
      this.#log.read(this.#records(this.#onDisk(rows, count)), (index, from) => {
        const place = this.#places[index] ?? 0;
        const toState = state === 0 ? 0 : state + place * stateBytes;
        const isWhole = this.#code.copyRecord(rows.view[place] ?? 0, from, values + place * valueBytes, toState);
        if (isWhole === 0) throw new Damaged();
      });
    });
  }

  /** Gives which of these rows are on disk, in the order of their records, each once. */
  #prepare(
    rows: Column<Uint32Array>,
    count: number,
    { more, counted }: { readonly more: number; readonly counted: boolean },
  ): Float64Array {
    let wanted = onceEach(this.#onDisk(rows, count));
    const frameOf = this.#frameOf.view;
    let hits = 0;
    for (let at = 0; at < count; at += 1) {
      const frame = frameOf[at] ?? 0;
      if (frame === 0) continue;
      hits += 1 - (this.#needed[frame - 1] ?? 0);
      this.#used[frame - 1] = 1;
      this.#needed[frame - 1] = 1;
    }
    const missing = wanted.length + more - this.#word(HEAD.freeCount);
    if (missing > 0) {
      const { moved } = this.#log.counts;
      this.#spill(missing);
      // To make room on disk some of them were written again.
      if (this.#log.counts.moved !== moved) wanted = onceEach(this.#onDisk(rows, count));
    }
    for (let at = 0; at < count; at += 1) {
      const frame = frameOf[at] ?? 0;
      if (frame !== 0) this.#needed[frame - 1] = 0;
    }
    if (counted) {
      this.#hits += hits;
      this.#misses += wanted.length;
    }
    return wanted;
  }

  /** Those of these rows that are on disk: their records with their places in the list, in order. The frames of the others are set aside. */
  #onDisk(rows: Column<Uint32Array>, count: number): Float64Array {
    this.#code.placesOf(rows.at, count, this.#frameOf.at, this.#recordOf.at);
    let cold = 0;
    for (let at = 0; at < count; at += 1) {
      const record = this.#recordOf.view[at] ?? 0;
      if (this.#frameOf.view[at] !== 0 || record === 0) continue;
      this.#wanted[cold] = record * WANTED_MAX + at;
      cold += 1;
    }
    return this.#wanted.subarray(0, cold).sort();
  }

  /** Frees so many frames that are not needed. */
  #spill(count: number): void {
    const leaving = this.#leaving.view;
    const frames = this.#owners.length;
    let chosen = 0;
    // Whoever reads from other threads may use a frame again and again: it gets two chances, not more.
    for (let looked = 0; chosen < count; looked += 1) {
      const frame = this.#hand;
      this.#hand = frame + 1 === frames ? 0 : frame + 1;
      if (this.#owners[frame] === 0 || this.#needed[frame] === 1) continue;
      if (this.#used[frame] === 1 && looked < 2 * frames) {
        this.#used[frame] = 0;
        continue;
      }
      leaving[chosen] = frame;
      this.#needed[frame] = 1;
      chosen += 1;
    }
    for (let at = 0; at < chosen; at += 1) this.#needed[leaving[at] ?? 0] = 0;
    this.#log.spill(this.#leaving.at, chosen, () => this.#word(HEAD.answer));
  }

  /** The numbers of the records in such a list, whose places in the list of rows are set aside. */
  #records(wanted: Float64Array): Float64Array {
    for (let at = 0; at < wanted.length; at += 1) {
      const both = wanted[at] ?? 0;
      const record = Math.floor(both / WANTED_MAX);
      this.#places[at] = both - record * WANTED_MAX;
      wanted[at] = record - 1;
    }
    return wanted;
  }

  /** After a failure some rows are neither here nor there: nothing is given any more. */
  #guarded(work: () => void): void {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      work();
    } catch (error) {
      this.#broken = new ScratchFailed(this.#file.name, error);
      throw this.#broken;
    }
  }

  #word(at: number): number {
    return this.#head[at / 4] ?? 0;
  }
}

/** Of rows that stand twice in such a list, one. */
function onceEach(wanted: Float64Array): Float64Array {
  let kept = 0;
  let last = -1;
  for (const both of wanted) {
    const record = Math.floor(both / WANTED_MAX);
    if (record === last) continue;
    last = record;
    wanted[kept] = both;
    kept += 1;
  }
  return wanted.subarray(0, kept);
}
