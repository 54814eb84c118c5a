import { setTimeout as delay } from "node:timers/promises";
import { DENSE_KEY, densePlacement, modelLayout } from "../../protocols/model-layout.ts";
import { keyOf, shardOf } from "../../protocols/keys.ts";
import { askLeaders, askRow, type RowName } from "./ask-actor.ts";
import { Judgement, type Wrong } from "./judgement.ts";
import { type RealNode } from "./real-node.ts";
import { MODEL, type RealWorld } from "./world.ts";

const EVERY_MS = 400;
const layout = modelLayout(MODEL);

/** Rows that are written all the time: those of the dense layers. */
const DENSE: readonly RowName[] = densePlacement(layout).map(({ table, shard }) => ({
  table: layout.tables[table]?.name ?? "",
  key: String(DENSE_KEY),
  shard,
}));

/** A row of a table that is keyed by text. */
export function rowName(table: string, key: string): RowName {
  const index = layout.tables.findIndex(({ name }) => name === table);
  return { table, key, shard: shardOf(index, keyOf(key), MODEL.shards) };
}

/** Looks at nodes until disposed, each on its own, so that one that is silent delays no other. */
export class Watch implements AsyncDisposable {
  readonly judgement = new Judgement();
  /** Rows that nodes answered with. */
  looks = 0;
  readonly #world: RealWorld;
  readonly #rows: () => readonly RowName[];
  readonly #onWrong: (wrong: Wrong) => void;
  readonly #over = new AbortController();
  readonly #watching: readonly Promise<void>[];

  constructor(
    world: RealWorld,
    options: { readonly rows: () => readonly RowName[]; readonly onWrong: (wrong: Wrong) => void },
  ) {
    this.#world = world;
    this.#rows = options.rows;
    this.#onWrong = options.onWrong;
    this.#watching = world.nodes.map((node) => this.#watch(node));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#watching);
  }

  async #watch(node: RealNode): Promise<void> {
    const { signal } = this.#over;
    const life: Life = { start: 0, restarts: 0 };
    while (!signal.aborted) {
      if (node.isUp) await this.#look(node, life);
      await delay(EVERY_MS, undefined, { signal }).catch(() => undefined); // woken by the end
    }
  }

  async #look(node: RealNode, life: Life): Promise<void> {
    const nc = this.#world.operators.get(node.region);
    if (nc === undefined) return;
    for (const lease of await askLeaders(nc, node)) this.#tell(this.judgement.holder(node.region, lease));
    for (const name of [...DENSE, ...this.#rows()]) {
      const start = node.starts;
      const seen = await askRow(nc, node, name);
      // An answer of a life that has ended meanwhile, or none: the next look will do.
      if (seen === undefined || node.starts !== start || !node.isUp) return;
      if (life.start !== start) {
        this.judgement.forget(node.name);
        Object.assign(life, { start, restarts: 0 });
      }
      this.looks += 1;
      const wrong = this.judgement.row(node.name, name, seen);
      if (wrong === undefined) continue;
      if (await this.#hasNewShards(node, life)) return;
      this.#tell(wrong);
    }
  }

  /** A thread that was replaced begins with what the disk had, as a process does. */
  async #hasNewShards(node: RealNode, life: Life): Promise<boolean> {
    const workers = (await node.status())?.workers ?? [];
    const restarts = workers.find(({ name }) => name === "shards")?.restarts ?? life.restarts;
    if (restarts === life.restarts) return false;
    life.restarts = restarts;
    this.judgement.forget(node.name);
    return true;
  }

  #tell(wrong: Wrong | undefined): void {
    if (wrong !== undefined) this.#onWrong(wrong);
  }
}

/** What may have made a node hold less than before: starts of its process, and of the thread of its shards. */
interface Life {
  start: number;
  restarts: number;
}
