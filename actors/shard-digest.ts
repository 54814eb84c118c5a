import { type RowStore } from "../protocols/sync/row-store.ts";
import { digestTurn } from "../runtime/compute/table/beyond-row-store.ts";

/** How many rows a shard has and their digest, without a stop of more than some milliseconds. */
export interface ShardDigest {
  /** Without a digest where it is not known yet: soon after, where the rows stay as they are. */
  now(): { readonly rows: number; readonly digest?: string };
  /** Goes on with it. */
  turn(): void;
}

/** One to two milliseconds. A shard with no more rows has its digest at once. */
const ROWS = 16_384;
const PAUSE_MS = 5;

/** Of a large shard it is made in turns, each asked for by `later`; they end where rows change meanwhile, until somebody asks again. */
export function createShardDigest(store: RowStore, later: (delayMs: number) => void): ShardDigest {
  let isOn = false;

  return {
    now() {
      const turn = digestTurn(store, ROWS);
      const rows = rowsOf(store);
      if (turn.kind === "done") return { rows, digest: turn.digest };
      if (!isOn) later(PAUSE_MS);
      isOn = true;
      return { rows };
    },
    turn() {
      const turn = digestTurn(store, ROWS);
      isOn = turn.kind === "more" && !turn.isNew;
      if (isOn) later(PAUSE_MS);
    },
  };
}

/** Of all tables. */
export function rowsOf(store: RowStore): number {
  return store.tables.reduce((sum, _, table) => sum + store.rows(table), 0);
}
