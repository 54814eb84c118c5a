/*
 * What must hold in every world, checked from outside: nothing here shares code with the core, not even the order of versions.
 */
import { type Horizon, type Known, NO_HORIZON } from "../../protocols/sync/horizon.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { type ShardVersion } from "../../protocols/sync/shard-version.ts";
import { type Version, type WriterId } from "../../protocols/sync/version.ts";
import { ContentBook } from "./content-book.ts";
import { type Answered, expiryOf, HorizonBook } from "./horizon-book.ts";
import { type Judge } from "./judge.ts";
import {
  countAhead,
  hashKnowledge,
  isOlder,
  listRows,
  sameRows,
  sameVersion,
  type SeenRow,
  settledBy,
  text,
  type Update,
} from "./seen-row.ts";
import { numbersIn } from "./tables.ts";
import { UrgentChecker } from "./urgent-checks.ts";
import { VersionBook } from "./version-book.ts";
import { WatchedStore } from "./watched-store.ts";

/** A replica when it was last looked at. */
interface Seen {
  /** Of each writer, with all that is settled. */
  readonly knowledge: Map<WriterId, number>;
  readonly rows: (SeenRow | undefined)[];
  /** The last version of each row that was there, also when it is gone. */
  readonly last: (SeenRow | undefined)[];
  horizon: Horizon;
  /** Rows whose version knowledge does not cover. */
  ahead: number;
  counter: number;
  generator: string;
}

/** All that was ever written to one shard, and what each replica of it was last seen to hold. */
export class ShardChecker {
  readonly #judge: Judge;
  readonly book: HorizonBook;
  /** Per writer, in order of t. */
  readonly #updates = new Map<WriterId, Update[]>();
  readonly #contents: ContentBook;
  readonly #keys: readonly BigUint64Array[];
  readonly #bytes = new Uint8Array(4);
  readonly #float = new Float32Array(this.#bytes.buffer);
  readonly #versions: VersionBook;
  readonly #byKnowledge = new Map<number, readonly (SeenRow | undefined)[]>();
  readonly #seen = new WeakMap<Replica, Seen>();
  readonly #urgent: UrgentChecker;

  constructor(keys: number, judge: Judge) {
    this.#keys = Array.from({ length: keys }, (_, key) => BigUint64Array.of(BigInt(key)));
    this.#judge = judge;
    this.book = new HorizonBook(keys, judge);
    this.#contents = new ContentBook(keys, judge);
    this.#versions = new VersionBook(judge);
    this.#urgent = new UrgentChecker(judge);
  }

  /** A writer stamped this version of a row. V6: its t rises. */
  wrote(update: Update): void {
    const { version } = update;
    this.#contents.wrote(update);
    this.book.wrote(update);
    const before = this.#updates.get(version.writer);
    const last = before?.at(-1);
    if (last !== undefined && version.t <= last.version.t) {
      this.#judge.breach("V6", `${version.writer} stamped ${version.t} after ${last.version.t}`);
    }
    if (before === undefined) this.#updates.set(version.writer, [update]);
    else before.push(update);
  }

  /**
   * Looks at a replica after anything happened to it; tells whether it is another than when it was last looked at. Of a watched
   * store it looks at the rows that were touched since, of any other at all. `property` names soundness: S1, and S12 right after
   * a start.
   */
  check(replica: Replica, where: string, property: "S1" | "S12" = "S1"): boolean {
    return this.#look(replica, { where, property, isWhole: false });
  }

  /** Looks at all rows, as must be done before a replica goes out of sight: a change that nothing noted is found here. */
  scan(replica: Replica, where: string): void {
    this.#look(replica, { where, property: "S1", isWhole: true });
  }

  /** What was known by whoever first had this shard version. */
  knowledgeBehind(version: ShardVersion): Known | undefined {
    return this.#versions.knowledgeBehind(version);
  }

  /** V9: looks at a settled time that a replica has just moved to, with those who answered for it, and all there are (X10). */
  settled(
    replica: Replica,
    { answered, all, where }: { answered: readonly Answered[]; all: readonly Replica[]; where: string },
  ): void {
    // What is settled now may have the time of what was lost, and other rows.
    if (this.book.moved(replica.horizon)) this.#byKnowledge.clear();
    for (const other of all) this.book.note(other.horizon, other.writer);
    this.book.settled(replica.horizon, {
      updates: this.#updates,
      answered: [{ replica, told: replica.knowledge }, ...answered],
      held: this.#keys.flatMap((keys) => replica.store.versionOf(0, keys[0] ?? 0n) ?? []),
      where,
    });
  }

  /** The row as it was last seen at a replica. */
  seenVersion(replica: Replica, key: number): Version | undefined {
    return this.#seen.get(replica)?.rows[key]?.version;
  }

  /** How many rows were ahead of its knowledge when a replica was last looked at. */
  rowsAhead(replica: Replica): number {
    return this.#seen.get(replica)?.ahead ?? 0;
  }

  #look(
    replica: Replica,
    { where, property, isWhole }: { where: string; property: "S1" | "S12"; isWhole: boolean },
  ): boolean {
    if (this.#judge.isBlind) return false;
    const { store, version } = replica;
    const before = this.#seen.get(replica);
    const last = before ?? {
      knowledge: new Map(),
      rows: [],
      last: [],
      horizon: NO_HORIZON,
      ahead: 0,
      counter: 0,
      generator: "",
    };
    if (before === undefined) this.#seen.set(replica, last);
    let isOther = false;
    const isMoved = replica.horizon !== last.horizon;
    if (isMoved) this.#checkHorizon(replica, last.horizon, where);
    if (store instanceof WatchedStore && before !== undefined && !isWhole && !isMoved) {
      for (const key of store.touched) if (this.#checkRow(replica, key, { seen: last, where })) isOther = true;
    } else {
      for (let key = 0; key < this.#keys.length; key += 1) {
        if (this.#checkRow(replica, key, { seen: last, where })) isOther = true;
      }
    }
    if (store instanceof WatchedStore) store.touched.clear();
    if (this.#checkKnowledge(replica, last, { where, property })) isOther = true;
    this.#urgent.check(replica, { where, seen: (key) => last.rows[key]?.version });
    last.horizon = replica.horizon;
    if (isOther || isMoved) last.ahead = countAhead(last.rows, replica);
    if (last.counter === version.counter && last.generator === version.generator) return isOther;
    last.counter = version.counter;
    last.generator = version.generator;
    this.#versions.check(replica, where);
    if (replica.early.size === 0) this.#checkEqual(replica, last.rows, where);
    return true;
  }

  /** S2, S3, S14, X8: no row goes back, every row is one that was written, and one version has one content everywhere. */
  #checkRow(
    { store, horizon }: Replica,
    key: number,
    { seen, where }: { readonly seen: Seen; readonly where: string },
  ): boolean {
    const { rows, last } = seen;
    const keys = this.#keys[key];
    if (keys === undefined) throw new RangeError(`Cannot check row ${key}: there are ${this.#keys.length}`);
    const version = store.versionOf(0, keys[0] ?? 0n);
    const before = rows[key];
    if (version !== undefined && this.book.isGone(key, version, horizon)) {
      const what = `row ${key} of ${where} is held at ${text(version)}, below the horizon`;
      this.#judge.breach("X10", what);
      this.#judge.breach("S14", what);
    }
    if (before === undefined && version === undefined) return false;
    const read = store.read(0, keys);
    this.#bytes.set(read.values.subarray(0, 4));
    const precision = store.tables[0]?.precision ?? "f32";
    // Most worlds have 32-bit floats, and this is done for each row after each step.
    const value = (precision === "f32" ? this.#float : numbersIn(precision, read.values))[0] ?? 0;
    const found = read.found[0] ?? 0;
    if (before !== undefined && version !== undefined && sameVersion(version, before.version)) {
      if (value === before.value && found === before.found) return false;
      const what = `row ${key} of ${where} changed from ${before.value} to ${value} within ${text(version)}`;
      this.#judge.breach("X8", what);
      this.#judge.breach("S3", what);
      return true;
    }
    if (before !== undefined && (version === undefined || isOlder(version, before.version))) {
      const what = `row ${key} of ${where} went back from ${text(before.version)} to ${text(version)}`;
      if (!this.book.isGone(key, before.version, horizon)) {
        this.#judge.breach("S2", what);
        this.#judge.breach("X10", what);
      }
    }
    const newest = last[key];
    if (newest?.found === 0 && version !== undefined && isOlder(version, newest.version)) {
      if (!this.book.isLate(newest.version, horizon)) {
        this.#judge.breach(
          "S14",
          `row ${key} of ${where}, deleted at ${text(newest.version)}, is back at ${text(version)}`,
        );
      }
    }
    rows[key] = version && { version, value, found };
    last[key] = rows[key] ?? newest;
    if (version !== undefined) this.#contents.check({ key, version, value, found }, where);
    return true;
  }

  /** All that knowledge covers is held or superseded. Looks at what was newly covered; rows never go back (S2). */
  #checkKnowledge(
    { store, knowledge, horizon }: Replica,
    { knowledge: last, horizon: lastHorizon }: Seen,
    { where, property }: { readonly where: string; readonly property: string },
  ): boolean {
    let isOther = false;
    for (const [writer, before] of last) {
      if (Math.max(settledBy(horizon, writer), knowledge.get(writer) ?? 0) < before) {
        this.#judge.breach(property, `knowledge of ${writer} at ${where} went back`);
      }
    }
    // A writer that is neither known nor settled anew knows no more than before.
    const writers = horizon === lastHorizon ? knowledge : new Set([...knowledge.keys(), ...this.#updates.keys()]);
    for (const writer of writers.keys()) {
      const entry = knowledge.get(writer) ?? 0;
      const settled = settledBy(horizon, writer);
      const t = Math.max(settled, entry);
      const before = last.get(writer) ?? 0;
      if (t === before) continue;
      isOther = true;
      last.set(writer, t);
      const updates = this.#updates.get(writer) ?? [];
      let isStamped = false;
      for (let at = updates.length - 1; at >= 0; at -= 1) {
        const update = updates[at];
        if (update === undefined || update.version.t <= before) break;
        if (update.version.t > t) continue;
        isStamped ||= update.version.t === t;
        const held = store.versionOf(0, BigInt(update.key));
        if (
          (held === undefined || isOlder(held, update.version)) &&
          !this.book.isGone(update.key, update.version, horizon)
        ) {
          this.#judge.breach(
            property,
            `${where} knows ${writer} up to ${t}, and lacks row ${update.key} at ${text(update.version)}`,
          );
        }
      }
      if (!isStamped && entry > Math.max(settled, before)) {
        this.#judge.breach(property, `${where} knows ${writer} up to ${t}, never stamped`);
      }
    }
    return isOther;
  }

  /** X10: a horizon never goes back, and follows the one before. */
  #checkHorizon({ horizon }: Replica, last: Horizon, where: string): void {
    this.book.note(horizon, where);
    const isBack =
      horizon.epoch === last.epoch
        ? horizon.settled < last.settled || expiryOf(horizon) < expiryOf(last)
        : horizon.epoch < last.epoch;
    if (isBack) {
      this.#judge.breach("X10", `the horizon of ${where} went back`);
    }
  }

  /** S17, X10: equal knowledge and horizon, and nothing early, means equal rows. */
  #checkEqual(replica: Replica, rows: readonly (SeenRow | undefined)[], where: string): void {
    if (!this.#judge.watches("S17") && !this.#judge.watches("X10")) return;
    const known = hashKnowledge(replica);
    const before = this.#byKnowledge.get(known);
    if (before === undefined) this.#byKnowledge.set(known, rows.slice());
    else if (!sameRows(before, rows)) {
      const what = `${where} holds [${listRows(rows)}], and who knew the same held [${listRows(before)}]`;
      this.#judge.breach("S17", what);
      this.#judge.breach("X10", what);
    }
  }
}
