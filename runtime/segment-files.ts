import { setImmediate } from "node:timers/promises";
import { IMAGE_LIMITS } from "../protocols/limits.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type NamedSegment } from "../protocols/wire/manifest.ts";
import {
  decodeSegmentEnd,
  encodeSegmentEnd,
  SEGMENT_TAIL_BYTES,
  segmentEndBytes,
  type StoredBlock,
} from "../protocols/wire/segment.ts";
import { packBlock, unpackBlock } from "./block-packing.ts";
import { giveBytes, takeBytes } from "./spare-bytes.ts";
import { type StoredSegment } from "./file-store-protocol.ts";
import { type NewFile, type OldFile } from "./disk.ts";
import { type ImagePlace, newSegmentId, segmentPath } from "./image-files.ts";

/** Packed blocks that wait for the disk; beyond it `append` waits too. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

/** Room for some blocks. A block that is larger has its own. */
const ROOM_BYTES = 2 * IMAGE_LIMITS.storedBlockBytes;
const NOTHING = new Uint8Array();

/** Bytes on their way to the disk, and memory that may be used again once they are there. */
interface Waiting {
  readonly bytes: Uint8Array;
  readonly room?: Uint8Array<ArrayBuffer>;
}

/** A segment being written, from front to back. Disposal removes it, unless `keep` was called; without either the next start does. */
export class SegmentWriter implements AsyncDisposable {
  readonly id: string;
  readonly #place: ImagePlace;
  readonly #file: NewFile;
  /** Blocks are put together until there are so many bytes, and stored as one. */
  readonly #storedBytes: number;
  readonly #blocks: StoredBlock[] = [];
  /** Blocks that are not stored yet, at the start of this memory: together they are to be one. */
  #gathered = NOTHING;
  #gatheredBytes = 0;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #bytes = 0;
  /** Blocks take their places in the order in which they came, whichever is packed first. */
  #order: Promise<void> = Promise.resolve();
  #writing: Promise<void> | undefined;
  #state: "open" | "finished" | "kept" | "removed" = "open";

  private constructor(
    id: string,
    options: { readonly place: ImagePlace; readonly file: NewFile; readonly storedBytes: number },
  ) {
    this.id = id;
    this.#place = options.place;
    this.#file = options.file;
    this.#storedBytes = options.storedBytes;
  }

  static async open(
    place: ImagePlace,
    { storedBytes = IMAGE_LIMITS.storedBlockBytes }: { readonly storedBytes?: number } = {},
  ): Promise<SegmentWriter> {
    const id = newSegmentId();
    return new SegmentWriter(id, { place, file: await place.disk.create(segmentPath(place, id)), storedBytes });
  }

  /**
   * Takes a copy of a block at once. Resolves when there is room for the next, and never in the same turn of the thread, so that others have theirs between
   * blocks; rejects once anything could not be written.
   */
  async append(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0 || bytes.length > IMAGE_LIMITS.blockBytesMax) {
      throw new RangeError(`Cannot append a block of ${bytes.length} bytes`);
    }
    if (this.#gatheredBytes > 0 && this.#gatheredBytes + bytes.length > this.#gathered.length) void this.#store();
    if (this.#gatheredBytes === 0) this.#gathered = takeBytes(Math.max(ROOM_BYTES, bytes.length));
    this.#gathered.set(bytes, this.#gatheredBytes);
    this.#gatheredBytes += bytes.length;
    // One may be packed while the next is gathered.
    const before = this.#order;
    if (this.#gatheredBytes >= this.#storedBytes) void this.#store();
    await before;
    await setImmediate();
  }

  /** Ends the segment; resolves when all of it is on the disk. */
  async finish(head: Uint8Array): Promise<NamedSegment> {
    await (this.#gatheredBytes === 0 ? this.#order : this.#store());
    const { bytes, checksum } = encodeSegmentEnd({ head, blocks: this.#blocks });
    this.#enqueue({ bytes });
    await this.#writing;
    await this.#file.close();
    this.#state = "finished";
    return { id: this.id, bytes: this.#bytes, checksum };
  }

  /** It is named by a manifest now. */
  keep(): void {
    this.#state = "kept";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const state = this.#state;
    if (state === "kept" || state === "removed") return;
    this.#state = "removed";
    await Promise.allSettled([this.#order, this.#writing]);
    if (state === "open") await this.#file.close().catch(() => undefined);
    // A full disk needs the space back. If even this fails, the next start removes it.
    await this.#place.disk.remove(segmentPath(this.#place, this.id)).catch(() => undefined);
  }

  /** What was gathered, as one block. */
  #store(): Promise<void> {
    const room = this.#gathered;
    const packed = packBlock(room.subarray(0, this.#gatheredBytes));
    this.#gathered = NOTHING;
    this.#gatheredBytes = 0;
    packed.catch(() => undefined); // told to whoever waits for the order
    const turn = this.#appendAfter(this.#order, { packed, room });
    turn.catch(() => undefined);
    this.#order = turn;
    return turn;
  }

  async #appendAfter(
    before: Promise<void>,
    of: { readonly packed: ReturnType<typeof packBlock>; readonly room: Uint8Array<ArrayBuffer> },
  ): Promise<void> {
    await before;
    const { stored, block } = await of.packed;
    this.#blocks.push(block);
    this.#enqueue({ bytes: stored, room: of.room });
    if (this.#waitingBytes > WAITING_BYTES_MAX) await this.#writing;
  }

  #enqueue(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#waitingBytes += waiting.bytes.length;
    if (this.#writing !== undefined) return;
    // One that failed stays: nothing is written any more, and whoever waits for it is told.
    this.#writing = this.#write();
    this.#writing.catch(() => undefined);
  }

  /** Whatever waits goes to the disk in one write, as each write waits for it. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const [waiting, bytes] = [this.#waiting, this.#waitingBytes];
      const parts = waiting.map((each) => each.bytes);
      this.#waiting = [];
      this.#waitingBytes = 0;
      await this.#file.write(parts);
      for (const { room } of waiting) if (room !== undefined) giveBytes(room);
      this.#bytes += bytes;
    }
    this.#writing = undefined;
  }
}

/** A segment as its file describes it; rejects with `DecodeError` where that is not the one that is named. */
export async function openSegment(place: ImagePlace, named: NamedSegment): Promise<StoredSegment> {
  await using file = await place.disk.open(segmentPath(place, named.id));
  const { size } = file;
  if (size !== named.bytes) throw new DecodeError("segment", `its file has ${size} bytes, not ${named.bytes}`);
  const tailBytes = Math.min(size, SEGMENT_TAIL_BYTES);
  const endBytes = segmentEndBytes(await file.read({ from: size - tailBytes, bytes: tailBytes }), size);
  const end = decodeSegmentEnd(await file.read({ from: size - endBytes, bytes: endBytes }), size);
  if (end.checksum !== named.checksum) throw new DecodeError("segment", "its file is another than was written");
  return { id: named.id, bytes: size, head: end.head, blocks: end.blocks };
}

/**
 * Blocks [from, to) of a segment, unpacked at the same time; rejects with `DecodeError` where one is not what was stored. As far as they are not compressed
 * they lie in the room that is given, if they fit.
 */
export async function readBlocks(
  file: OldFile,
  {
    blocks,
    from,
    to,
    room,
  }: {
    readonly blocks: readonly StoredBlock[];
    readonly from: number;
    readonly to: number;
    readonly room?: Uint8Array<ArrayBuffer>;
  },
): Promise<Uint8Array[]> {
  let start = 0;
  for (let block = 0; block < from; block += 1) start += blocks[block]?.storedBytes ?? 0;
  const wanted = blocks.slice(from, to);
  const bytes = wanted.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const stored = await file.read({ from: start, bytes }, room);
  let at = 0;
  return Promise.all(
    wanted.map((block) => {
      at += block.storedBytes;
      return unpackBlock(stored.subarray(at - block.storedBytes, at), block);
    }),
  );
}
