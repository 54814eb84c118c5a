/*
 * X4: what a cursor into somebody's urgent list claims is true. Nothing here shares code with the core.
 */
import { type Replica } from "../../protocols/sync/replica.ts";
import { type Version, type WriterId } from "../../protocols/sync/version.ts";
import { expiryOf } from "./horizon-book.ts";
import { isOlder, settledBy } from "./seen-row.ts";
import { type Judge } from "./judge.ts";

/** All urgent lists of one shard, and who is how far in them. */
export class UrgentChecker {
  readonly #judge: Judge;
  /** By writer: the replica of that start, and its urgent rows as they were when they became urgent, by number. */
  readonly #lists = new Map<WriterId, { readonly replica: Replica; readonly rows: Map<number, UrgentRow> }>();
  readonly #cursors = new WeakMap<Replica, Map<string, { readonly writer: WriterId; readonly number: number }>>();

  constructor(judge: Judge) {
    this.#judge = judge;
  }

  check(replica: Replica, options: { readonly where: string; seen: (key: number) => Version | undefined }): void {
    if (!this.#judge.watches("X4")) return;
    this.#note(replica);
    const before = this.#cursors.get(replica) ?? new Map<string, { writer: WriterId; number: number }>();
    this.#cursors.set(replica, before);
    for (const [peer, cursor] of replica.cursors) {
      const old = before.get(peer);
      if (old !== undefined && old.writer === cursor.writer && old.number === cursor.number) continue;
      before.set(peer, cursor);
      if (old !== undefined && old.writer === cursor.writer && old.number > cursor.number) {
        this.#judge.breach("X4", `${options.where} went back from ${old.number} to ${cursor.number} of ${peer}`);
      }
      this.#checkClaim(replica, { cursor, ...options });
    }
  }

  /** All that is still in the list up to the cursor is held at that version or a newer one. */
  #checkClaim(
    { knowledge, horizon }: Replica,
    options: {
      readonly cursor: { readonly writer: WriterId; readonly number: number };
      readonly where: string;
      readonly seen: (key: number) => Version | undefined;
    },
  ): void {
    const { cursor, where, seen } = options;
    const list = this.#lists.get(cursor.writer);
    if (list === undefined || cursor.number > list.replica.urgent.latest) {
      this.#judge.breach("X4", `${where} has number ${cursor.number} of ${cursor.writer}, which it never gave`);
      return;
    }
    for (const { number } of list.replica.urgent.places.values()) {
      const row = list.rows.get(number);
      if (row === undefined || number > cursor.number) continue;
      const held = seen(row.key);
      const { t, writer } = row.version;
      const isKnown = t <= Math.max(settledBy(horizon, writer), knowledge.get(writer) ?? 0) || t < expiryOf(horizon);
      if (!isKnown && (held === undefined || isOlder(held, row.version))) {
        this.#judge.breach(
          "X4",
          `${where} is at ${cursor.number} of ${cursor.writer}, and lacks its urgent row ${row.key}, number ${number}`,
        );
      }
    }
  }

  #note(replica: Replica): void {
    const { urgent, writer, store } = replica;
    const list = this.#lists.get(writer) ?? { replica, rows: new Map<number, UrgentRow>() };
    this.#lists.set(writer, list);
    for (const [slot, { number }] of urgent.places) {
      if (list.rows.has(number)) continue;
      const found = store.collect(new Float64Array(), Float64Array.of(slot));
      const [batch] = store.pack(found, { from: 0, to: 1 });
      store.release(found);
      const by = store.writers[batch?.writers[0] ?? -1];
      if (batch === undefined || by === undefined) continue;
      list.rows.set(number, { key: Number(batch.keys[0]), version: { t: batch.t[0] ?? 0, writer: by } });
    }
  }
}

interface UrgentRow {
  readonly key: number;
  readonly version: Version;
}
