/*
 * What must hold in every world, checked from outside: nothing here shares code with the core, not even the order of versions.
 */
import { type Replica } from "../../protocols/sync/replica.ts";
import { type ShardVersion } from "../../protocols/sync/shard-version.ts";
import { type Version, type WriterId } from "../../protocols/sync/version.ts";
import { type Judge } from "./judge.ts";

/** One write as it was made. */
export interface Update {
  readonly key: number;
  readonly version: Version;
  /** 0 for a deletion. */
  readonly value: number;
  readonly deleted: boolean;
}

interface SeenRow {
  readonly version: Version;
  readonly value: number;
  readonly found: number;
}

/** A replica when it was last looked at. */
interface Seen {
  readonly knowledge: Map<WriterId, number>;
  readonly rows: (SeenRow | undefined)[];
  counter: number;
  generator: string;
}

interface Behind {
  readonly counter: number;
  readonly knowledge: ReadonlyMap<WriterId, number>;
}

/** All that was ever written to one shard, and what each replica of it was last seen to hold. */
export class ShardChecker {
  readonly #judge: Judge;
  /** Per writer, in order of t. */
  readonly #updates = new Map<WriterId, Update[]>();
  readonly #contents = new Map<string, Update>();
  readonly #firstSeen = new Map<string, number>();
  readonly #keys: BigUint64Array;
  readonly #behind = new Map<WriterId, Behind[]>();
  readonly #byKnowledge = new Map<string, string>();
  readonly #seen = new WeakMap<Replica, Seen>();

  constructor(keys: number, judge: Judge) {
    this.#keys = BigUint64Array.from({ length: keys }, (_, key) => BigInt(key));
    this.#judge = judge;
  }

  /** A writer stamped this version of a row. V4: a version names one content, for ever. V6: its t rises. */
  wrote(update: Update): void {
    const { key, version } = update;
    const name = nameOf(key, version);
    if (this.#contents.has(name)) this.#judge.breach("V4", `${name} was stamped twice`);
    this.#contents.set(name, update);
    const before = this.#updates.get(version.writer);
    const last = before?.at(-1);
    if (last !== undefined && version.t <= last.version.t) {
      this.#judge.breach("V6", `${version.writer} stamped ${version.t} after ${last.version.t}`);
    }
    if (before === undefined) this.#updates.set(version.writer, [update]);
    else before.push(update);
  }

  /** Looks at a replica after anything happened to it. `property` names soundness: S1, and S12 right after a start. */
  check(replica: Replica, where: string, property: "S1" | "S12" = "S1"): void {
    if (this.#judge.isBlind) return;
    const last = this.#seen.get(replica) ?? { knowledge: new Map(), rows: [], counter: 0, generator: "" };
    this.#seen.set(replica, last);
    this.#checkRows(replica, last.rows, where);
    this.#checkKnowledge(replica, last.knowledge, { where, property });
    const { version } = replica;
    if (last.counter === version.counter && last.generator === version.generator) return;
    last.counter = version.counter;
    last.generator = version.generator;
    this.#checkShardVersion(replica, where);
    if (replica.early.size === 0) this.#checkEqual(replica, last.rows, where);
  }

  /** What was known by whoever first had this shard version. */
  knowledgeBehind(version: ShardVersion): ReadonlyMap<WriterId, number> | undefined {
    return this.#behind.get(version.generator)?.find(({ counter }) => counter === version.counter)?.knowledge;
  }

  /** The row as it was last seen at a replica. */
  seenVersion(replica: Replica, key: number): Version | undefined {
    return this.#seen.get(replica)?.rows[key]?.version;
  }

  /** S2, S3, S14, X8: no row goes back, every row is one that was written, and one version has one content everywhere. */
  #checkRows({ store }: Replica, rows: (SeenRow | undefined)[], where: string): void {
    const read = store.read(0, this.#keys);
    const isHalf = store.tables[0]?.precision === "f16";
    const floats = isHalf ? new Float16Array(read.values.buffer) : new Float32Array(read.values.buffer);
    for (let key = 0; key < this.#keys.length; key += 1) {
      const version = store.versionOf(0, BigInt(key));
      const before = rows[key];
      const value = floats[key] ?? 0;
      const found = read.found[key] ?? 0;
      if (before !== undefined && version !== undefined && sameVersion(version, before.version)) {
        if (value !== before.value || found !== before.found) {
          const what = `row ${key} of ${where} changed from ${before.value} to ${value} within ${text(version)}`;
          this.#judge.breach("X8", what);
          this.#judge.breach("S3", what);
        }
        continue;
      }
      if (before !== undefined && (version === undefined || isOlder(version, before.version))) {
        this.#judge.breach("S2", `row ${key} of ${where} went back from ${text(before.version)} to ${text(version)}`);
      }
      rows[key] = version && { version, value, found };
      if (version !== undefined) this.#checkContent({ key, version, value, found }, where);
    }
  }

  #checkContent({ key, version, value, found }: SeenRow & { readonly key: number }, where: string): void {
    const name = nameOf(key, version);
    const written = this.#contents.get(name);
    if (written?.value !== value || (found === 0 && !written.deleted)) {
      this.#judge.breach(
        "S3",
        `row ${key} of ${where} holds ${value} at ${text(version)}, of which ${written?.value} was written`,
      );
    }
    if (written?.deleted === true && found === 1) {
      this.#judge.breach("S14", `row ${key} of ${where} was deleted at ${text(version)} and is there`);
    }
    const first = this.#firstSeen.get(name);
    if (first === undefined) this.#firstSeen.set(name, value);
    else if (first !== value) {
      this.#judge.breach("X8", `row ${key} of ${where} is ${value} and elsewhere ${first}, both ${text(version)}`);
    }
  }

  /** All that knowledge covers is held or superseded. Looks at what was newly covered; rows never go back (S2). */
  #checkKnowledge(
    { store, knowledge }: Replica,
    last: Map<WriterId, number>,
    { where, property }: { readonly where: string; readonly property: string },
  ): void {
    for (const [writer, before] of last) {
      if ((knowledge.get(writer) ?? 0) < before) {
        this.#judge.breach(property, `knowledge of ${writer} at ${where} went back`);
      }
    }
    for (const [writer, t] of knowledge) {
      const before = last.get(writer) ?? 0;
      if (t === before) continue;
      last.set(writer, t);
      const updates = this.#updates.get(writer) ?? [];
      let isStamped = false;
      for (let at = updates.length - 1; at >= 0; at -= 1) {
        const update = updates[at];
        if (update === undefined || update.version.t <= before) break;
        if (update.version.t > t) continue;
        isStamped ||= update.version.t === t;
        const held = store.versionOf(0, BigInt(update.key));
        if (held === undefined || isOlder(held, update.version)) {
          this.#judge.breach(
            property,
            `${where} knows ${writer} up to ${t}, and lacks row ${update.key} at ${text(update.version)}`,
          );
        }
      }
      if (!isStamped && t > before) this.#judge.breach(property, `${where} knows ${writer} up to ${t}, never stamped`);
    }
  }

  /** X3: who has a later shard version of a generator knows at least as much. */
  #checkShardVersion({ version, knowledge }: Replica, where: string): void {
    const known = this.#behind.get(version.generator) ?? [];
    this.#behind.set(version.generator, known);
    let at = known.length - 1;
    while (at >= 0 && (known[at]?.counter ?? 0) > version.counter) at -= 1;
    const behind = known[at];
    const ahead = known[at + 1];
    const isKept = behind?.counter === version.counter;
    const isSound =
      (behind === undefined || dominates(knowledge, behind.knowledge)) &&
      (ahead === undefined || dominates(ahead.knowledge, knowledge)) &&
      (!isKept || dominates(behind.knowledge, knowledge));
    if (!isSound) {
      this.#judge.breach(
        "X3",
        `${where} has shard version ${version.counter} of ${version.generator}, and its knowledge does not lie between that behind ${behind?.counter} and ${ahead?.counter}`,
      );
    }
    if (!isKept) known.splice(at + 1, 0, { counter: version.counter, knowledge: new Map(knowledge) });
  }

  /** S17: equal knowledge and nothing early means equal rows. */
  #checkEqual({ knowledge }: Replica, rows: readonly (SeenRow | undefined)[], where: string): void {
    if (!this.#judge.watches("S17")) return;
    const known = [...knowledge]
      .map(([writer, t]) => `${writer}:${t}`)
      .sort()
      .join();
    const held = rows.map((row) => row && `${row.version.t}:${row.version.writer}=${row.value}${row.found}`).join();
    const before = this.#byKnowledge.get(known);
    if (before === undefined) this.#byKnowledge.set(known, held);
    else if (before !== held) {
      this.#judge.breach("S17", `${where} holds [${held}], and who knew the same held [${before}]`);
    }
  }
}

/** Whether `a` comes before `b`: by epoch, then t, then writer. */
export function isOlder(a: Version, b: Version): boolean {
  const epochs = Number.parseInt(a.writer, 10) - Number.parseInt(b.writer, 10);
  if (epochs !== 0) return epochs < 0;
  return a.t === b.t ? a.writer < b.writer : a.t < b.t;
}

export function dominates(a: ReadonlyMap<WriterId, number>, b: ReadonlyMap<WriterId, number>): boolean {
  for (const [writer, t] of b) if ((a.get(writer) ?? 0) < t) return false;
  return true;
}

function sameVersion(a: Version, b: Version): boolean {
  return a.t === b.t && a.writer === b.writer;
}

function nameOf(key: number, { t, writer }: Version): string {
  return `${key} ${t} ${writer}`;
}

function text(version: Version | undefined): string {
  return version === undefined ? "nothing" : `(${version.t}, ${version.writer})`;
}
