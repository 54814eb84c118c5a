import {
  type Among,
  type DroppedRows,
  type FrozenRows,
  type LearnRequest,
  type MergeOutcome,
  type RowBatch,
  type RowGlance,
  type RowStore,
  type Slot,
  type SlotList,
  type SlotVersions,
  type TableKeys,
  type TableSpec,
  type UpdateOutcome,
  type UpdateRequest,
} from "../../protocols/sync/row-store.ts";
import { type Version, type WriterId } from "../../protocols/sync/version.ts";

/**
 * A row store that notes which keys it was asked to change, so that a checker need not look at all rows after each step. It
 * notes what was asked, not what came of it: what a broken store does to other rows is seen when all are looked at.
 */
export class WatchedStore implements RowStore {
  /** Keys since whoever looks has cleared this. */
  readonly touched = new Set<number>();
  readonly tables: readonly TableSpec[];
  readonly declared: readonly TableSpec[];
  readonly hasState: boolean;
  readonly #store: RowStore;

  constructor(store: RowStore) {
    this.#store = store;
    this.tables = store.tables;
    this.declared = store.declared;
    this.hasState = store.hasState;
  }

  get writers(): readonly WriterId[] {
    return this.#store.writers;
  }

  update(request: UpdateRequest): UpdateOutcome {
    this.#touch(request.keys);
    return this.#store.update(request);
  }

  learn(request: LearnRequest): UpdateOutcome {
    this.#touch(request.keys);
    return this.#store.learn(request);
  }

  merge(batch: RowBatch, known: Float64Array): MergeOutcome {
    this.#touch(batch.keys);
    return this.#store.merge(batch, known);
  }

  load(batch: RowBatch, options: { readonly rows: number }): void {
    this.#touch(batch.keys);
    this.#store.load(batch, options);
  }

  dropWhere(isDoomed: (row: RowGlance) => boolean, among?: Among): DroppedRows[] {
    const dropped = this.#store.dropWhere(isDoomed, among);
    for (const { keys } of dropped) this.#touch(keys);
    return dropped;
  }

  oldest(table: number, count: number): number {
    return this.#store.oldest(table, count);
  }

  dropKeys(dropped: TableKeys): void {
    this.#touch(dropped.keys);
    this.#store.dropKeys(dropped);
  }

  get changes(): number {
    return this.#store.changes;
  }

  freeze(what: "all" | "changed"): FrozenRows {
    return this.#store.freeze(what);
  }

  get tombstones(): number {
    return this.#store.tombstones;
  }

  writerIndex(writer: WriterId): number {
    return this.#store.writerIndex(writer);
  }

  rows(table: number): number {
    return this.#store.rows(table);
  }

  read(table: number, keys: BigUint64Array): { readonly found: Uint8Array; readonly values: Uint8Array } {
    return this.#store.read(table, keys);
  }

  versionOf(table: number, key: bigint): Version | undefined {
    return this.#store.versionOf(table, key);
  }

  slotOf(table: number, key: bigint): Slot | undefined {
    return this.#store.slotOf(table, key);
  }

  versionAt(slot: Slot): { readonly t: number; readonly writer: number } {
    return this.#store.versionAt(slot);
  }

  versionsAt(slots: Float64Array): SlotVersions {
    return this.#store.versionsAt(slots);
  }

  collect(known: Float64Array, among?: Float64Array): SlotList {
    return this.#store.collect(known, among);
  }

  pack(list: SlotList, range: { readonly from: number; readonly to: number }): RowBatch[] {
    return this.#store.pack(list, range);
  }

  release(list: SlotList): void {
    this.#store.release(list);
  }

  digest(): string {
    return this.#store.digest();
  }

  #touch(keys: BigUint64Array): void {
    for (let at = 0; at < keys.length; at += 1) this.touched.add(Number(keys[at]));
  }
}
