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
  /** By node and shard. */
  readonly #newest = new Map<string, Map<number, Map<string, SeenRow>>>();
  readonly #contents = new Map<string, string>();
  readonly #holders = new Map<string, string>();
  /** By node and shard: after how many promotions by force it last went back. */
  readonly #wentBack = new Map<string, number>();
  #forced: { readonly count: number; readonly primary: string } = { count: 0, primary: "" };

  /** How many leases were seen, each under its term. */
  get terms(): number {
    return this.#holders.size;
  }

  /** The node started again: what it holds may be what its disk had. */
  forget(node: string): void {
    this.#newest.delete(node);
  }

  /**
   * A node is about to train by force. Each shard of each other node may go back once, to what the new epoch began with; those of this one may not, whatever
   * the old primary sends.
   */
  forced(primary: string): void {
    this.#forced = { count: this.#forced.count + 1, primary };
  }

  /** Takes a row in that a node has answered. Answers of one node about one row come in the order in which they were given. */
  row(node: string, name: RowName, seen: SeenRow): Wrong | undefined {
    const key = `${name.table} ${name.key}`;
    const rows = this.#rowsOf(node, name.shard);
    const before = rows.get(key);
    if (before?.version !== undefined) {
      this.compared += 1;
      const told = `${key} at ${node}: ${describe(before)}, then ${describe(seen)}`;
      const isGone = seen.version === undefined;
      if (isGone || isOlder(seen.version, before.version)) {
        if (!this.#mayGoBack(node, name.shard)) {
          return { what: isGone ? "row vanished" : "version went back", detail: told };
        }
        rows.clear();
      }
    }
    rows.set(key, seen);
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

  #mayGoBack(node: string, shard: number): boolean {
    const { count, primary } = this.#forced;
    const place = `${node} ${shard}`;
    if (node === primary || (this.#wentBack.get(place) ?? 0) >= count) return false;
    this.#wentBack.set(place, count);
    return true;
  }

  #rowsOf(node: string, shard: number): Map<string, SeenRow> {
    const shards = this.#newest.get(node) ?? new Map<number, Map<string, SeenRow>>();
    this.#newest.set(node, shards);
    const rows = shards.get(shard) ?? new Map<string, SeenRow>();
    shards.set(shard, rows);
    return rows;
  }
}

/** Epochs come first, and a writer's name begins with its own. */
function isOlder(one: NonNullable<SeenRow["version"]>, other: NonNullable<SeenRow["version"]>): boolean {
  const [epoch, otherEpoch] = [Number.parseInt(one.writer, 10), Number.parseInt(other.writer, 10)];
  if (epoch !== otherEpoch && !Number.isNaN(epoch + otherEpoch)) return epoch < otherEpoch;
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
