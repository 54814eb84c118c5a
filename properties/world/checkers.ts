/*
 * What must hold in every world, checked from outside: nothing here shares code with the core but the order of versions.
 */
import { type Knowledge } from "../../protocols/sync/knowledge.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { compareVersions, type Version, type WriterId } from "../../protocols/sync/version.ts";

/** A property does not hold. `property` is its id. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly property: string;

  constructor(property: string, what: string) {
    super(`${property}: ${what}`);
    this.property = property;
  }
}

interface Update {
  readonly key: bigint;
  readonly version: Version;
  readonly value: number;
}

/** A replica when it was last looked at. */
interface Seen {
  readonly knowledge: Knowledge;
  readonly versions: Map<bigint, Version>;
  version: string;
}

/** All that was ever written to one shard, and what each replica of it was last seen to hold. */
export class ShardChecker {
  readonly #updates = new Map<WriterId, Update[]>();
  readonly #values = new Map<string, number>();
  readonly #keys: BigUint64Array;
  readonly #behind = new Map<string, Map<number, Knowledge>>();
  readonly #seen = new WeakMap<Replica, Seen>();

  constructor(keys: number) {
    this.#keys = BigUint64Array.from({ length: keys }, (_, key) => BigInt(key));
  }

  /** A writer stamped this version of a row. V4: a version names one content, for ever. */
  wrote(update: Update): void {
    const { key, version, value } = update;
    const name = nameOf(key, version);
    if (this.#values.has(name)) throw new Violation("V4", `${name} was stamped twice`);
    this.#values.set(name, value);
    const before = this.#updates.get(version.writer);
    if (before === undefined) this.#updates.set(version.writer, [update]);
    else before.push(update);
  }

  /** Looks at a replica after anything happened to it. */
  check(replica: Replica, where: string): void {
    const last: Seen = this.#seen.get(replica) ?? { knowledge: new Map(), versions: new Map(), version: "" };
    this.#seen.set(replica, last);
    this.#checkRows(replica, last.versions, where);
    this.#checkKnowledge(replica, last.knowledge, where);
    this.#checkShardVersion(replica, last, where);
  }

  /** S2, S3: no row goes back, and every row is one that was written. */
  #checkRows({ store }: Replica, versions: Map<bigint, Version>, where: string): void {
    const { found, values } = store.read(0, this.#keys);
    const floats = new Float32Array(values.buffer);
    this.#keys.forEach((key, index) => {
      const version = store.versionOf(0, key);
      const before = versions.get(key);
      if (before !== undefined && (version === undefined || compareVersions(version, before) < 0)) {
        throw new Violation("S2", `row ${key} of ${where} went back from ${text(before)} to ${text(version)}`);
      }
      if (version === undefined) return;
      versions.set(key, version);
      const written = this.#values.get(nameOf(key, version));
      if (found[index] !== 1 || written === undefined || written !== floats[index]) {
        throw new Violation(
          "S3",
          `row ${key} of ${where} holds ${floats[index]} at ${text(version)}, of which ${written} was written`,
        );
      }
    });
  }

  /** S1: all that knowledge covers is held or superseded. Looks at what was newly covered; rows never go back (S2). */
  #checkKnowledge({ store, knowledge }: Replica, last: Knowledge, where: string): void {
    for (const [writer, before] of last) {
      if ((knowledge.get(writer) ?? 0) < before) {
        throw new Violation("S1", `knowledge of ${writer} at ${where} went back`);
      }
    }
    for (const [writer, t] of knowledge) {
      const before = last.get(writer) ?? 0;
      if (t === before) continue;
      const updates = this.#updates.get(writer) ?? [];
      for (let at = updates.length - 1; at >= 0; at -= 1) {
        const update = updates[at];
        if (update === undefined || update.version.t <= before) break;
        if (update.version.t > t) continue;
        const held = store.versionOf(0, update.key);
        if (held === undefined || compareVersions(held, update.version) < 0) {
          throw new Violation(
            "S1",
            `${where} knows ${writer} up to ${t}, and lacks row ${update.key} at ${text(update.version)}`,
          );
        }
      }
      last.set(writer, t);
    }
  }

  /** X3: who has a later shard version of a generator knows at least as much. */
  #checkShardVersion({ version, knowledge }: Replica, last: { version: string }, where: string): void {
    const name = `${version.counter} of ${version.generator}`;
    if (last.version === name) return;
    last.version = name;
    const counters = this.#behind.get(version.generator) ?? new Map<number, Knowledge>();
    this.#behind.set(version.generator, counters);
    for (const [counter, behind] of counters) {
      if (counter > version.counter) continue;
      for (const [writer, t] of behind) {
        if ((knowledge.get(writer) ?? 0) < t) {
          throw new Violation(
            "X3",
            `${where} has shard version ${name}, and knows less of ${writer} than there was behind ${counter}`,
          );
        }
      }
    }
    if (!counters.has(version.counter)) counters.set(version.counter, new Map(knowledge));
  }
}

function nameOf(key: bigint, { t, writer }: Version): string {
  return `${key} ${t} ${writer}`;
}

function text(version: Version | undefined): string {
  return version === undefined ? "nothing" : `(${version.t}, ${version.writer})`;
}
