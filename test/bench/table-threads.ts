import { Worker } from "node:worker_threads";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { HEAD } from "../../runtime/compute/table/table-code.ts";
import { type SharedTable } from "../../runtime/compute/table/table-reader.ts";

/** What a thread of table-thread.ts is to do. */
export type TableOrder =
  | {
      readonly kind: "write";
      readonly spec: TableSpec;
      readonly rows: number;
      /** So many of them have their contents in memory; all where it is not said. Others are read back as fast as rows are written. */
      readonly warmRows?: number;
      /** So many rows of other keys are added once these are written, so that the index grows. */
      readonly more?: number;
      /** Rows a second; as many as it can when there is none. */
      readonly perSecond: number | undefined;
      readonly stop: Int32Array;
    }
  | ReadOrder;

export interface ReadOrder {
  readonly kind: "read";
  readonly table: SharedTable;
  readonly rows: number;
  readonly reads: number;
  readonly seed: number;
  /** Rows are read by their keys, and must be those of the keys, too: of tables of up to 128 rows. */
  readonly byKey: boolean;
}

export interface ReadReport {
  readonly reads: number;
  readonly torn: number;
  /** Rows that were not given, and of these those that were on disk. */
  readonly gaveUp: number;
  readonly onDisk: number;
  /** Keys that were said to have no row. */
  readonly missing: number;
  readonly retries: number;
  readonly ms: number;
}

/** A table that another thread writes all the time. */
export class WrittenTable implements AsyncDisposable {
  readonly table: SharedTable;
  readonly rows: number;
  readonly #worker: Worker;
  readonly #stop: Int32Array;

  private constructor(given: { table: SharedTable; rows: number; worker: Worker; stop: Int32Array }) {
    this.table = given.table;
    this.rows = given.rows;
    this.#worker = given.worker;
    this.#stop = given.stop;
  }

  static async start(order: {
    readonly spec: TableSpec;
    readonly rows: number;
    readonly warmRows?: number;
    readonly more?: number;
    readonly perSecond: number | undefined;
  }): Promise<WrittenTable> {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const { worker, answer } = startThread<SharedTable>({ kind: "write", stop, ...order });
    const table = await answer;
    return new WrittenTable({ table, rows: order.rows, worker, stop });
  }

  /** How many rows there are by now, as the head of its memory says (assembly/table/layout.ts). */
  get rowsHeld(): number {
    return new Uint32Array(this.table.memory.buffer, HEAD.end, 1)[0] ?? 0;
  }

  /** So many threads read so many rows each, at random, at the same time. */
  async read(
    threads: number,
    reads: number,
    { byKey = false }: { readonly byKey?: boolean } = {},
  ): Promise<readonly ReadReport[]> {
    return Promise.all(
      Array.from({ length: threads }, async (_, seed) => {
        const order = { kind: "read", table: this.table, rows: this.rows, reads, seed, byKey } as const;
        const { worker, answer } = startThread<ReadReport>(order);
        const report = await answer;
        await worker.terminate();
        return report;
      }),
    );
  }

  /** Ends the writer wherever it is. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    Atomics.store(this.#stop, 0, 1);
    Atomics.notify(this.#stop, 0);
    await this.#worker.terminate();
  }
}

/** A thread at work, and its first message; rejects where it ends without one. */
function startThread<Answer>(order: TableOrder): { readonly worker: Worker; readonly answer: Promise<Answer> } {
  const worker = new Worker(new URL("./table-thread.ts", import.meta.url));
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  worker.once("message", (answer: Answer) => resolve(answer));
  worker.once("error", reject);
  worker.once("exit", () => reject(new Error("Cannot go on: a thread at a table ended without an answer")));
  worker.postMessage(order);
  return { worker, answer: promise };
}
