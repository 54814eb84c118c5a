import { type Disk, type NewFile, type OldFile } from "../../runtime/disk.ts";

/** What was done to a disk, in its order. A write is on its way from its beginning to its end. */
type Op =
  | { readonly kind: "create"; readonly path: string; readonly file: number }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "begin"; readonly write: number; readonly file: number; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly write: number }
  | { readonly kind: "synced" }
  /** Somebody was told that all is there up to this. */
  | { readonly kind: "told"; readonly image: number };

/** A disk after a crash, and what somebody had been told before it. */
export interface Crashed {
  readonly disk: CrashDisk;
  readonly told: number;
  readonly where: string;
}

/**
 * A disk in memory that notes what is done to it, so that every crash on the way can be looked at. What was written through is there, of
 * what is on its way any part; names that changed are there once anything was written through or synced after them, and else up to any of
 * them, in their order, as a journal has it.
 */
export class CrashDisk implements Disk {
  readonly #names = new Map<string, number>();
  readonly #files = new Map<number, Uint8Array[]>();
  readonly #ops: Op[] = [];
  #writes = 0;

  told(image: number): void {
    this.#ops.push({ kind: "told", image });
  }

  async makeFolder(): Promise<void> {}

  async list(folder: string): Promise<string[]> {
    return [...this.#names.keys()].filter((path) => isIn(path, folder)).map((path) => path.slice(folder.length + 1));
  }

  async create(path: string): Promise<NewFile> {
    const file = this.#files.size;
    this.#do({ kind: "create", path, file });
    return {
      write: async (parts) => {
        const write = this.#writes;
        this.#writes += 1;
        const bytes = Buffer.concat(parts);
        this.#do({ kind: "begin", write, file, bytes });
        // Longer than names take: to wait for those is not to wait for bytes.
        for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        // A disk takes the bytes at any time until then.
        const isSame = Buffer.concat(parts).equals(bytes);
        if (!isSame) throw new Error("The memory of a write changed while it was on its way");
        this.#do({ kind: "end", write });
      },
      close: async () => undefined,
    };
  }

  async open(path: string): Promise<OldFile> {
    const file = this.#names.get(path);
    if (file === undefined) throw Object.assign(new Error(`Cannot open '${path}'`), { code: "ENOENT" });
    const bytes = Buffer.concat(this.#files.get(file) ?? []);
    return {
      size: bytes.length,
      read: async ({ from, bytes: count }, room = new Uint8Array(count)) => {
        if (from + count > bytes.length) throw new Error("Cannot read: the file ended");
        const read = room.length < count ? new Uint8Array(count) : room.subarray(0, count);
        read.set(bytes.subarray(from, from + count));
        return read;
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async rename(from: string, to: string): Promise<void> {
    if (![...this.#names.keys()].some((path) => path === from || isIn(path, from))) {
      throw Object.assign(new Error(`Cannot rename '${from}'`), { code: "ENOENT" });
    }
    this.#do({ kind: "rename", from, to });
  }

  async remove(path: string): Promise<void> {
    if (this.#names.has(path)) this.#do({ kind: "remove", path });
  }

  async syncNames(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#do({ kind: "synced" });
  }

  /** Every disk that a crash may leave, at every byte of every write. */
  *crashes(): Generator<Crashed> {
    let told = 0;
    for (let end = 0; end <= this.#ops.length; end += 1) {
      const done = this.#ops.slice(0, end);
      const last = done.at(-1);
      if (last?.kind === "told") told = last.image;
      const durable = done.findLastIndex(({ kind }) => kind === "end" || kind === "synced") + 1;
      const ended = new Set(done.map((op) => (op.kind === "end" ? op.write : -1)));
      const onTheirWay = done.flatMap((op) => (op.kind === "begin" && !ended.has(op.write) ? [op] : []));
      const longest = Math.max(0, ...onTheirWay.map(({ bytes }) => bytes.length));
      for (let names = durable; names <= end; names += 1) {
        const next = done[names];
        if (next !== undefined && !isNaming(next)) continue;
        for (let bytes = 0; bytes <= longest; bytes += 1) {
          const disk = new CrashDisk();
          // A file that has lost its name has lost its bytes too: nobody finds them.
          const kept = done.filter((op, at) => at < names || !isNaming(op));
          for (const op of kept) {
            const isPart = op.kind === "begin" && !ended.has(op.write);
            disk.#apply(isPart ? { ...op, bytes: op.bytes.slice(0, bytes) } : op);
          }
          yield {
            disk,
            told,
            where: `after ${end} of ${this.#ops.length} steps, ${names} with their names, ${bytes} bytes`,
          };
        }
      }
    }
  }

  /** This disk, with any one bit of it the other way round. */
  *damages(): Generator<{ readonly left: CrashDisk; readonly where: string }> {
    for (const [path, file] of this.#names) {
      const bytes = Buffer.concat(this.#files.get(file) ?? []);
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const flipped = Buffer.from(bytes);
        flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
        yield { left: this.#with(file, flipped), where: `bit ${bit} of ${path}` };
      }
    }
  }

  /** This disk, with any one file of it ended too early. */
  *cuts(): Generator<{ readonly left: CrashDisk; readonly where: string }> {
    for (const [path, file] of this.#names) {
      const bytes = Buffer.concat(this.#files.get(file) ?? []);
      for (let length = 0; length < bytes.length; length += 1) {
        yield { left: this.#with(file, bytes.subarray(0, length)), where: `${length} bytes of ${path}` };
      }
    }
  }

  /** This disk, with other bytes in a file. */
  #with(file: number, bytes: Uint8Array): CrashDisk {
    const left = new CrashDisk();
    for (const [name, of] of this.#names) left.#names.set(name, of);
    for (const [of, parts] of this.#files) left.#files.set(of, parts);
    left.#files.set(file, [bytes]);
    return left;
  }

  #do(op: Op): void {
    this.#ops.push(op);
    this.#apply(op);
  }

  #apply(op: Op): void {
    switch (op.kind) {
      case "create":
        this.#names.set(op.path, op.file);
        this.#files.set(op.file, []);
        return;
      case "rename": {
        for (const [path, file] of this.#names) {
          if (path !== op.from && !isIn(path, op.from)) continue;
          this.#names.delete(path);
          this.#names.set(op.to + path.slice(op.from.length), file);
        }
        return;
      }
      case "remove":
        this.#names.delete(op.path);
        return;
      case "begin":
        this.#files.get(op.file)?.push(op.bytes);
        break;
      case "end":
      case "synced":
      case "told":
    }
  }
}

function isIn(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** Whether it changes what names there are. */
function isNaming({ kind }: Op): boolean {
  return kind === "create" || kind === "rename" || kind === "remove";
}
