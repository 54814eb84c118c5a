import { type SharedMemory } from "../load.ts";
import { type ScratchFile } from "./scratch.ts";
import { type TableCode } from "./table-code.ts";
import { TableFull } from "./table-columns.ts";

/** How a log is cut. */
export interface LogShape {
  readonly recordBytes: number;
  /** Records of a region are a power of two. */
  readonly regionLog: number;
  readonly regions: number;
  /** Records that are written, or read, at once. */
  readonly bufferRecords: number;
}

/** Of 4 MiB: as much as is read, and half of it written, at once when a region is cleaned. */
const REGION_BYTES = 2 ** 22;
const REGIONS_MAX = 2 ** 16;
const BUFFER_BYTES = 2 ** 18;
/** Records are read together where no more than this lies between them: it takes as long as a call. */
const GAP_BYTES = 4096;
/** As many as can be named with a record in one number that is exact. */
export const WANTED_MAX = 2 ** 13;

/** The shape of a log of records of so many bytes. */
export function logShape(
  contentBytes: number,
  {
    regionBytes = REGION_BYTES,
    bufferBytes = BUFFER_BYTES,
  }: { readonly regionBytes?: number; readonly bufferBytes?: number } = {},
): LogShape {
  const recordBytes = 8 + 8 * Math.ceil(contentBytes / 8);
  const regionLog = Math.max(1, Math.floor(Math.log2(regionBytes / recordBytes)));
  return {
    recordBytes,
    regionLog,
    regions: Math.min(REGIONS_MAX, Math.floor((2 ** 32 - 1) / 2 ** regionLog)),
    bufferRecords: Math.max(1, Math.min(2 ** regionLog, Math.floor(bufferBytes / recordBytes))),
  };
}

/**
 * Contents of rows in one file, written one after the other and never in place (a log-structured store, after Rosenblum and Ousterhout, 1992). It is cut into regions. One in which no record
 * is a row's any more is written again; and where more than half of all records are nobody's, those of the emptiest region that are somebody's are moved on. So the file is at most
 * about twice as large as what lies in it, and no call moves more than half a region.
 */
export class RowLog {
  readonly counts = { readBytes: 0, writtenBytes: 0, moved: 0 };
  readonly #code: TableCode;
  readonly #shape: LogShape;
  readonly #file: ScratchFile;
  /** How many records of each region are a row's; the code counts. */
  readonly #live: Uint32Array;
  readonly #out: { readonly at: number; readonly bytes: Uint8Array };
  readonly #in: { readonly at: number; readonly bytes: Uint8Array };
  /** The one that is being written, its records so far, and those of them that are in the file. The others wait in `#out`. */
  #region = -1;
  #filled = 0;
  #flushed = 0;
  /** Regions from here on are not in the file. */
  #end = 0;
  #bytes = 0;

  constructor(
    { code, memory, live }: { readonly code: TableCode; readonly memory: SharedMemory; readonly live: Uint32Array },
    shape: LogShape,
    file: ScratchFile,
  ) {
    this.#code = code;
    this.#shape = shape;
    this.#file = file;
    this.#live = live;
    const [out, into] = [0, 1].map(() => {
      const bytes = shape.bufferRecords * shape.recordBytes;
      const at = code.allocate(bytes) >>> 0;
      if (at === 0) throw new TableFull();
      return { at, bytes: new Uint8Array(memory.buffer, at, bytes) };
    });
    if (out === undefined || into === undefined) throw new TableFull();
    this.#out = out;
    this.#in = into;
  }

  /** Bytes of the file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Frees the frames in a list, so many. What is in them is in the log then. `answer` is what the code's last call gave besides its result. */
  spill(frames: number, count: number, answer: () => number): void {
    for (let done = 0; done < count;) {
      const room = this.#makeRoom();
      const to = this.#out.at + (this.#filled - this.#flushed) * this.#shape.recordBytes;
      done += this.#code.spillFrames(frames + 4 * done, count - done, this.#next, to, room);
      this.#filled += answer();
    }
  }

  /** Shows records, which are given in order, each with its place in memory until the next is shown. */
  read(records: Float64Array, show: (index: number, at: number) => void): void {
    const { recordBytes, bufferRecords } = this.#shape;
    const waiting = this.#region < 0 ? Infinity : this.#region * this.#regionRecords + this.#flushed;
    const waitingEnd = waiting + this.#filled - this.#flushed;
    for (let from = 0, to = 0; from < records.length; from = to) {
      const first = records[from] ?? 0;
      to += 1;
      if (first >= waiting && first < waitingEnd) {
        show(from, this.#out.at + (first - waiting) * recordBytes);
        continue;
      }
      let last = first;
      for (; to < records.length; to += 1) {
        const next = records[to] ?? 0;
        if (next >= waiting && next < waitingEnd) break;
        if (next - first >= bufferRecords || (next - last - 1) * recordBytes > GAP_BYTES) break;
        last = next;
      }
      this.#read(first, last - first + 1);
      for (let index = from; index < to; index += 1) {
        show(index, this.#in.at + ((records[index] ?? 0) - first) * recordBytes);
      }
    }
  }

  get #regionRecords(): number {
    return 2 ** this.#shape.regionLog;
  }

  /** The number of the record that is written next. */
  get #next(): number {
    return this.#region * this.#regionRecords + this.#filled;
  }

  /** Gives for how many records there is room. */
  #makeRoom(): number {
    if (this.#region < 0 || this.#filled === this.#regionRecords) this.#openRegion();
    if (this.#filled - this.#flushed === this.#shape.bufferRecords) this.#flush();
    return Math.min(this.#shape.bufferRecords - (this.#filled - this.#flushed), this.#regionRecords - this.#filled);
  }

  #openRegion(): void {
    this.#flush();
    this.#region = this.#freeRegion();
    this.#filled = 0;
    this.#flushed = 0;
    this.#end = Math.max(this.#end, this.#region + 1);
    const emptiest = this.#emptiest();
    if (emptiest !== undefined) this.#clean(emptiest);
    let end = this.#end;
    while (end - 1 > this.#region && this.#live[end - 1] === 0) end -= 1;
    if (end === this.#end) return;
    this.#end = end;
    this.#bytes = Math.min(this.#bytes, end * this.#regionRecords * this.#shape.recordBytes);
    this.#file.truncate(this.#bytes);
  }

  /** One in which no record is a row's. */
  #freeRegion(): number {
    let region = 0;
    while (region < this.#end && this.#live[region] !== 0) region += 1;
    if (region < this.#shape.regions) return region;
    throw new RangeError(`it has ${this.#shape.regions} regions of ${this.#regionRecords} rows, which are all full`);
  }

  /** The region with the fewest records that are rows', where more than half of all are nobody's. */
  #emptiest(): number | undefined {
    let [regions, live] = [0, 0];
    let emptiest: number | undefined;
    for (let region = 0; region < this.#end; region += 1) {
      const count = this.#live[region] ?? 0;
      if (count === 0) continue;
      regions += 1;
      live += count;
      if (emptiest === undefined || count < (this.#live[emptiest] ?? 0)) emptiest = region;
    }
    return 2 * live < regions * this.#regionRecords ? emptiest : undefined;
  }

  /** Moves what is left in a region on to the one that was just opened: it has room, as less than half is left. */
  #clean(region: number): void {
    const { bufferRecords } = this.#shape;
    const first = region * this.#regionRecords;
    for (let from = 0; from < this.#regionRecords && this.#live[region] !== 0; from += bufferRecords) {
      const count = Math.min(bufferRecords, this.#regionRecords - from);
      this.#flush();
      this.#read(first + from, count);
      const moved = this.#code.moveRecords(this.#in.at, first + from, count, this.#out.at, this.#next);
      if (moved < 0) throw new Damaged();
      this.#filled += moved;
      this.counts.moved += moved;
    }
    if (this.#live[region] !== 0) throw new Damaged();
  }

  #flush(): void {
    const { recordBytes } = this.#shape;
    const bytes = (this.#filled - this.#flushed) * recordBytes;
    if (bytes === 0) return;
    const at = (this.#region * this.#regionRecords + this.#flushed) * recordBytes;
    this.#file.write(this.#out.bytes.subarray(0, bytes), at);
    this.#flushed = this.#filled;
    this.#bytes = Math.max(this.#bytes, at + bytes);
    this.counts.writtenBytes += bytes;
  }

  #read(first: number, count: number): void {
    const { recordBytes } = this.#shape;
    const bytes = count * recordBytes;
    this.#file.read(this.#in.bytes.subarray(0, bytes), first * recordBytes);
    this.counts.readBytes += bytes;
  }
}

/** The disk did not give back what was written. */
export class Damaged extends Error {
  override readonly name = "Damaged";

  constructor() {
    super("what it gives back is not what was written to it");
  }
}
