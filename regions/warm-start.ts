/*
 * A new model that begins with what another has learned: rows of tables that are the same are taken from that one's images on disk, once, before the
 * shards of the new one have any. They are written anew, under a writer and times of their own, so that to peers they are rows like any others.
 */
import { randomInt } from "node:crypto";
import { drawNonce } from "../actors/writer-nonce.ts";
import { shardName } from "../actors/shard-name.ts";
import { shardOf } from "../protocols/keys.ts";
import { modelLayout, type ModelLayout } from "../protocols/model-layout.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { encodeImage } from "../protocols/sync/image.ts";
import { exactBytesOf, floatsOf } from "../protocols/sync/precision.ts";
import { createReplica, type Replica, stepReplica } from "../protocols/sync/replica.ts";
import { type RowBatch, type RowStore, type TableSpec, TOMBSTONE } from "../protocols/sync/row-store.ts";
import { buildWriterId } from "../protocols/sync/version.ts";
import { memoriesOf } from "../protocols/table-memories.ts";
import { createSpreadRowStore } from "../runtime/compute/table/spread-row-store.ts";
import { nodeDisk } from "../runtime/disk.ts";
import { type ImagePlace, prepareImageFolder, readImageFile, writePiece } from "../runtime/image-files.ts";
import { imagePlaces, modelOf } from "./snapshot/image-names.ts";
import { keysOf, loadStore } from "./snapshot/read-image.ts";

export interface WarmStart {
  readonly model: ModelDeclaration;
  /** The state folder that has the images, and the model's name there. */
  readonly from: string;
  readonly as: string;
  /** Where the new model's images go. */
  readonly folder: string;
  readonly region: string;
  readonly node: string;
  readonly nowMs: number;
}

/** What came of one table of the new model. */
export interface WarmTable {
  readonly table: string;
  readonly rows: number;
  /** Whether the optimizers' state came too. */
  readonly hasState: boolean;
  /** Why none came. */
  readonly why?: string;
}

/** There is nothing to start from. */
class ColdStart extends Error {
  override readonly name = "ColdStart";

  constructor({ model, from, as }: WarmStart) {
    super(
      `Cannot start model '${model.name}' from model '${as}' of ${JSON.stringify(from)}: there is no image of a shard of that name; see \`freshet snapshot ls\``,
    );
  }
}

/** Bytes of rows at a time. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** Rows' times are this much before now, a microsecond for each: later ones must come after them. */
const ROWS_MAX = 1e9;

/** Writes first images of a model that has none; undefined where it has some. What is not the same in both begins as ever. */
export async function warmStart(start: WarmStart): Promise<readonly WarmTable[] | undefined> {
  const { model, folder, region, node, nowMs } = start;
  const layout = modelLayout(model);
  const places = Array.from({ length: model.shards }, (_, shard): ImagePlace => {
    return { disk: nodeDisk, folder, name: shardName(model.name, shard) };
  });
  for (const place of places) if ((await readImageFile(place, "current")) !== undefined) return undefined;
  const replicas = places.map(() =>
    createReplica({
      writer: buildWriterId({
        epoch: 0,
        region,
        node,
        nonce: drawNonce({ random: () => randomInt(2 ** 32) / 2 ** 32 }),
      }),
      store: createSpreadRowStore(layout.tables, { state: true, memories: memoriesOf(layout) }),
    }),
  );
  const found = new Map<string, { rows: number; hasState: boolean; why?: string }>();
  let isFound = false;
  for (const place of await imagePlaces(start.from)) {
    if (modelOf(place.name) !== start.as) continue;
    isFound = true;
    const store = await loadStore(place);
    const matches = matchTables(layout, store);
    for (const { table, why, hasState } of matches.values()) {
      const known = found.get(table.name) ?? { rows: 0, hasState };
      found.set(table.name, why === undefined ? known : { ...known, why });
    }
    const rows = store.freeze("all");
    for (let batch = rows.next(PIECE_BYTES); batch !== undefined; batch = rows.next(PIECE_BYTES)) {
      const match = matches.get(batch.table);
      if (match === undefined || match.why !== undefined) continue;
      const spec = store.tables[batch.table] ?? match.table;
      const taken = takeRows(replicas, { layout, to: match.index, spec, batch, hasState: match.hasState, nowMs });
      const known = found.get(match.table.name);
      if (known !== undefined) known.rows += taken;
    }
  }
  if (!isFound) throw new ColdStart(start);
  await prepareImageFolder(nodeDisk, folder);
  for (const [shard, replica] of replicas.entries()) {
    const place = places[shard];
    if (place !== undefined) await writePiece(place, encodeImage(replica));
  }
  return layout.tables.map(({ name }) => {
    return {
      table: name,
      ...(found.get(name) ?? { rows: 0, hasState: false, why: "there is none of that name there" }),
    };
  });
}

/** Which table of the new model an old one's rows go to. */
interface TableMatch {
  readonly index: number;
  readonly table: TableSpec;
  readonly hasState: boolean;
  readonly why?: string;
}

/** By index of the old table. */
function matchTables(layout: ModelLayout, old: RowStore): ReadonlyMap<number, TableMatch> {
  const keys = keysOf(old.declared);
  const matches = new Map<number, TableMatch>();
  for (const [index, table] of layout.tables.entries()) {
    const at = old.declared.findIndex(({ name }) => name === table.name);
    const other = old.declared[at];
    if (other === undefined) continue;
    const [key, otherKey] = [layout.model.tables[index - 1]?.key, keys[at - 1]];
    const isCatalogue = table.precision === "bytes";
    const why =
      other.dim !== table.dim || (other.precision === "bytes") !== isCatalogue
        ? `its rows have ${other.dim} numbers there, ${table.dim} here`
        : key !== otherKey
          ? `its key is ${otherKey} there, ${key} here`
          : undefined;
    const hasState = why === undefined && old.hasState && !isCatalogue && other.optimizer === table.optimizer;
    matches.set(at, { index, table, hasState, ...(why !== undefined && { why }) });
  }
  return matches;
}

/** Writes the live rows of a batch into the shards where they live now; gives how many. */
function takeRows(
  replicas: readonly Replica[],
  of: {
    readonly layout: ModelLayout;
    readonly to: number;
    readonly spec: TableSpec;
    readonly batch: RowBatch;
    readonly hasState: boolean;
    readonly nowMs: number;
  },
): number {
  const { layout, to, spec, batch, hasState, nowMs } = of;
  const { shards } = layout.model;
  const { precision, dim, valueBytes } = spec;
  const stateBytes = batch.state === undefined ? 0 : batch.state.length / Math.max(1, batch.keys.length);
  const exact = exactBytesOf(precision, dim);
  const rowsOf = replicas.map((): number[] => []);
  for (const [row, key] of batch.keys.entries()) {
    if ((batch.flags[row] ?? 0) !== TOMBSTONE) rowsOf[shardOf(to, key, shards)]?.push(row);
  }

  /** A row's numbers, exact where it has them so, and what its optimizer keeps. */
  function floatsIn(row: number): { readonly values: Float32Array; readonly state: Float32Array } {
    const state = batch.state?.slice(row * stateBytes, (row + 1) * stateBytes);
    const values = batch.values.slice(row * valueBytes, (row + 1) * valueBytes);
    return {
      values:
        exact > 0 && state !== undefined ? new Float32Array(state.slice(0, exact).buffer) : floatsOf(spec, values),
      state: state === undefined ? new Float32Array() : new Float32Array(state.slice(exact).buffer),
    };
  }

  let taken = 0;
  for (const [shard, rows] of rowsOf.entries()) {
    const replica = replicas[shard];
    if (replica === undefined || rows.length === 0) continue;
    const write = {
      table: to,
      keys: BigUint64Array.from(rows, (row) => batch.keys[row] ?? 0n),
      mutate({ index, bytes, floats, state }: Parameters<Parameters<RowStore["update"]>[0]["mutate"]>[0]): void {
        const row = rows[index] ?? 0;
        if (precision === "bytes") return bytes.set(batch.values.subarray(row * valueBytes, (row + 1) * valueBytes));
        const held = floatsIn(row);
        floats.set(held.values);
        if (hasState) state.set(held.state);
      },
    };
    const effects = stepReplica(replica, { kind: "write", writes: [write] }, nowMs - ROWS_MAX / 1_000);
    const refused = effects.find((effect) => effect.kind === "refused");
    if (refused !== undefined) throw new RangeError(`Cannot take rows of table ${spec.name}: ${refused.detail}`);
    taken += rows.length;
  }
  return taken;
}
