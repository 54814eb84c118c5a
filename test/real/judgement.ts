/*
 * What must hold of answers that nodes give, whatever happens to them. It knows nothing of how nodes work, and no clock but its own.
 */
import { type RowName, type SeenRow } from "./ask-actor.ts";

/** How many contents and terms are remembered, the oldest forgotten first. */
const REMEMBERED_MAX = 300_000;

/** An answer that cannot be. */
export interface Wrong {
  readonly what: "version went back" | "row vanished" | "two contents of one version" | "two holders of one term";
  readonly detail: string;
}

/** All answers of all nodes, as far as they bind what may be answered later. */
export class Judgement {
  /** Versions that were compared with an earlier one of the same row at the same node, or of the same version elsewhere. */
  compared = 0;
  readonly #newest = new Map<string, Map<string, SeenRow>>();
  readonly #contents = new Map<string, string>();
  readonly #holders = new Map<string, string>();

  /** How many leases were seen, each under its term. */
  get terms(): number {
    return this.#holders.size;
  }

  /** The node started again: what it holds may be what its disk had. */
  forget(node: string): void {
    this.#newest.delete(node);
  }

  /** Takes a row in that a node has answered. Answers of one node about one row come in the order in which they were given. */
  row(node: string, name: RowName, seen: SeenRow): Wrong | undefined {
    const key = `${name.table} ${name.key}`;
    const before = this.#before(node, key);
    if (before?.version !== undefined) {
      this.compared += 1;
      const told = `${key} at ${node}: ${describe(before)}, then ${describe(seen)}`;
      if (seen.version === undefined) return { what: "row vanished", detail: told };
      if (isOlder(seen.version, before.version)) return { what: "version went back", detail: told };
    }
    this.#newest.get(node)?.set(key, seen);
    if (seen.version === undefined || !seen.found) return undefined;
    const dot = `${key} ${seen.version.t} ${seen.version.writer}`;
    const known = this.#contents.get(dot);
    if (known === undefined) {
      remember(this.#contents, dot, seen.content);
      return undefined;
    }
    this.compared += 1;
    if (known === seen.content) return undefined;
    return { what: "two contents of one version", detail: `${dot}: ${known}, and at ${node} ${seen.content}` };
  }

  /** Takes in who a node says holds a lease. */
  holder(
    region: string,
    lease: { readonly shard: string; readonly holder: string; readonly term: number },
  ): Wrong | undefined {
    const term = `${region} ${lease.shard} ${lease.term}`;
    const known = this.#holders.get(term);
    if (known === undefined) remember(this.#holders, term, lease.holder);
    if (known === undefined || known === lease.holder) return undefined;
    return { what: "two holders of one term", detail: `${term}: ${known} and ${lease.holder}` };
  }

  #before(node: string, key: string): SeenRow | undefined {
    const rows = this.#newest.get(node) ?? new Map<string, SeenRow>();
    this.#newest.set(node, rows);
    return rows.get(key);
  }
}

function isOlder(one: NonNullable<SeenRow["version"]>, other: NonNullable<SeenRow["version"]>): boolean {
  return one.t === other.t ? one.writer < other.writer : one.t < other.t;
}

function describe({ found, version }: SeenRow): string {
  return `${found ? "" : "not found, "}${version === undefined ? "no version" : `${version.t} of ${version.writer}`}`;
}

function remember(map: Map<string, string>, key: string, value: string): void {
  map.set(key, value);
  if (map.size <= REMEMBERED_MAX) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
