/*
 * Files for contents of rows that are not in memory. They are of one life of a store and mean nothing to the next: what lasts is in images. So a folder of them is emptied when it is
 * opened, whoever left something there, and nothing is ever synced.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Bytes by place. Each call is over when it returns; it throws where it could not do all of it. */
export interface ScratchFile {
  /** What messages call it. */
  readonly name: string;
  write(bytes: Uint8Array, at: number): void;
  /** Fills `into`. */
  read(into: Uint8Array, at: number): void;
  /** Gives back what lies from here on. */
  truncate(bytes: number): void;
}

/** Where a store's scratch files are. */
export interface Scratch {
  /** An empty file of this name. */
  open(name: string): ScratchFile;
  /** The files are gone. */
  close(): void;
}

/** Those of this thread, by folder. */
const opened = new Map<string, Scratch>();

/** The scratch in a folder, which is made where there is none, and is empty then: what another life left there goes, and where that was in this thread its files are closed. */
export function openScratch(folder: string): Scratch {
  opened.get(folder)?.close();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const files: OpenFile[] = [];
  const scratch: Scratch = {
    open: (name) => {
      const path = join(folder, name);
      const file = new OpenFile(path, openSync(path, "wx+", 0o600));
      files.push(file);
      return file;
    },
    close: () => {
      for (const file of files.splice(0)) file.close();
      // Whoever opened it since has it now.
      if (opened.get(folder) !== scratch) return;
      opened.delete(folder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  opened.set(folder, scratch);
  return scratch;
}

/** Does nothing any more once it is closed: the number that it had may be another file's by then. */
class OpenFile implements ScratchFile {
  readonly name: string;
  #file: number | undefined;

  constructor(name: string, file: number) {
    this.name = name;
    this.#file = file;
  }

  write(bytes: Uint8Array, at: number): void {
    const file = this.#opened();
    for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, at + done);
  }

  read(into: Uint8Array, at: number): void {
    const file = this.#opened();
    for (let done = 0; done < into.length;) {
      const read = readSync(file, into, done, into.length - done, at + done);
      if (read === 0) throw new RangeError(`it ends ${into.length - done} bytes early`);
      done += read;
    }
  }

  truncate(bytes: number): void {
    ftruncateSync(this.#opened(), bytes);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #opened(): number {
    if (this.#file === undefined) throw new RangeError("it was closed, as another life of the shard has begun");
    return this.#file;
  }
}
