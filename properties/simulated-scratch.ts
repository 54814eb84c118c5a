import { type Scratch, type ScratchFile } from "../runtime/compute/table/scratch.ts";

/** A disk for a store's scratch files, in memory, which a law can make full or faulty. */
export class SimulatedScratch implements Scratch {
  /** Bytes that fit on it. */
  bytesMax = Infinity;
  readonly #files = new Map<string, SimulatedFile>();

  open(name: string): ScratchFile {
    if (this.#files.has(name)) throw new RangeError(`Cannot open ${name}: it is there already`);
    const file = new SimulatedFile(name, () => this.bytesMax - this.bytes);
    this.#files.set(name, file);
    return file;
  }

  close(): void {
    this.#files.clear();
  }

  get bytes(): number {
    return this.#files.values().reduce((sum, { length }) => sum + length, 0);
  }

  /** What lies in a file. Whoever writes here damages it. */
  contents(name: string): Uint8Array {
    return this.#files.get(name)?.contents ?? new Uint8Array();
  }
}

class SimulatedFile implements ScratchFile {
  readonly name: string;
  length = 0;
  readonly #left: () => number;
  #bytes = new Uint8Array(64);

  constructor(name: string, left: () => number) {
    this.name = name;
    this.#left = left;
  }

  get contents(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  write(bytes: Uint8Array, at: number): void {
    const length = Math.max(this.length, at + bytes.length);
    if (length - this.length > this.#left()) throw new RangeError("ENOSPC: no space left on device, write");
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.contents);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, at);
    this.length = length;
  }

  read(into: Uint8Array, at: number): void {
    const missing = at + into.length - this.length;
    if (missing > 0) throw new RangeError(`it ends ${missing} bytes early`);
    into.set(this.#bytes.subarray(at, at + into.length));
  }

  truncate(bytes: number): void {
    this.length = bytes;
  }
}
