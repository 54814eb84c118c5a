/*
 * The rows of images as Parquet files, which pandas, DuckDB and others read. An image is put together in a store first, as a row may stand in
 * several of its segments.
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileWriter, ParquetWriter } from "hyparquet-writer";
import { type RowBatch, type RowStore, TOMBSTONE } from "../../protocols/sync/row-store.ts";
import { messageOf } from "../../protocols/wire/error-message.ts";
import { errorCode } from "../../runtime/error-code.ts";
import { type ImagePlace } from "../../runtime/image-files.ts";
import { chosenPlaces, imagePlaces, modelOf } from "./image-names.ts";
import { addItemNames, itemTables } from "./item-names.ts";
import { columnsOf, schemaOf } from "./parquet-columns.ts";
import { keysOf, loadStore } from "./read-image.ts";
import { savingPath, sweepSaving, troubleOf } from "./saving.ts";

export interface ExportedTable {
  readonly path: string;
  readonly rows: number;
}

export interface Exported {
  readonly tables: readonly ExportedTable[];
  /** Shards whose items have no names, as their images cannot be read. */
  readonly unnamed: readonly { readonly shard: string; readonly why: string }[];
  /** Parquet files of the folder that are not of this export. */
  readonly others: readonly string[];
}

export interface ExportOptions {
  readonly shard: string | undefined;
  readonly table: string | undefined;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

/** What was asked for is not there, or cannot be read or written. */
class ExportRefused extends Error {
  override readonly name = "ExportRefused";
}

/** Bytes of rows that become one row group. */
const GROUP_BYTES = 8 * 1024 * 1024;

/**
 * Writes one file for each table of each shard. They get their names when all are written: where it rejects, the folder is as it was. Throws `NoImages`, and an
 * error that says which image is damaged.
 */
export async function exportImages(state: string, folder: string, options: ExportOptions): Promise<Exported> {
  const places = await chosenPlaces(state, options.shard);
  const saving: (ExportedTable & { readonly saving: string })[] = [];
  try {
    await mkdir(folder, { recursive: true });
    await sweepSaving(folder);
    const { names, unnamed } = await allNames(await imagePlaces(state), { chosen: places, signal: options.signal });
    let isFound = false;
    for (const place of places) {
      const store = await loadStore(place, options);
      isFound ||= options.table === undefined || store.tables.some(({ name }) => name === options.table);
      const from = { folder, shard: place.name, names: names.get(modelOf(place.name)), saving };
      await exportStore(store, from, options);
    }
    if (!isFound) throw new ExportRefused(`Cannot export table '${options.table}': no shard has it`);
    options.signal.throwIfAborted();
    for (const file of saving) await rename(file.saving, file.path);
    const tables = saving.map(({ path, rows }) => ({ path, rows }));
    return { tables, unnamed, others: await otherFiles(folder, tables) };
  } catch (error) {
    options.signal.throwIfAborted();
    if (errorCode(error) === undefined) throw error;
    throw new ExportRefused(`Cannot export to '${folder}': ${troubleOf(error)}`, { cause: error });
  } finally {
    for (const file of saving) await rm(file.saving, { force: true });
  }
}

interface Names {
  /** Item names by key, by model. */
  readonly names: ReadonlyMap<string, ReadonlyMap<bigint, string>>;
  readonly unnamed: Exported["unnamed"];
}

/** The names of the items of the models that the chosen shards are of, from all their shards. */
async function allNames(
  places: readonly ImagePlace[],
  { chosen, signal }: { readonly chosen: readonly ImagePlace[]; readonly signal: AbortSignal },
): Promise<Names> {
  const names = new Map(chosen.map(({ name }) => [modelOf(name), new Map<bigint, string>()]));
  const unnamed: { shard: string; why: string }[] = [];
  for (const place of places) {
    const ofModel = names.get(modelOf(place.name));
    if (ofModel === undefined) continue;
    try {
      await addItemNames(ofModel, place, signal);
    } catch (error) {
      signal.throwIfAborted();
      // A chosen one is refused when its rows are read, with more to say.
      unnamed.push({ shard: place.name, why: messageOf(error) });
    }
  }
  return { names, unnamed };
}

async function exportStore(
  store: RowStore,
  to: {
    readonly folder: string;
    readonly shard: string;
    readonly names: ReadonlyMap<bigint, string> | undefined;
    /** Files that have no name yet. */
    readonly saving: (ExportedTable & { readonly saving: string })[];
  },
  options: ExportOptions,
): Promise<void> {
  const named = itemTables(store.declared, keysOf(store.declared));
  const files = new Map<
    number,
    { readonly writer: ParquetWriter; readonly file: { path: string; saving: string; rows: number } }
  >();
  for (const batch of groupsOf(store)) {
    // Ctrl-C comes between turns of the loop.
    await setImmediate();
    options.signal.throwIfAborted();
    const spec = store.tables[batch.table];
    if (spec === undefined || (options.table !== undefined && spec.name !== options.table)) continue;
    let open = files.get(batch.table);
    if (open === undefined) {
      const path = join(to.folder, `${to.shard}.${spec.name}.parquet`);
      const file = { path, saving: savingPath(path), rows: 0 };
      to.saving.push(file);
      open = { writer: new ParquetWriter({ writer: fileWriter(file.saving), schema: schemaOf(spec) }), file };
      files.set(batch.table, open);
    }
    const live = Uint32Array.from(batch.keys.keys()).filter((row) => (batch.flags[row] ?? 0) !== TOMBSTONE);
    if (live.length === 0) continue;
    const names = named.has(batch.table) ? to.names : undefined;
    await open.writer.write({
      columnData: columnsOf(batch, { spec, live, names, writers: store.writers }),
      rowGroupSize: live.length,
    });
    open.file.rows += live.length;
    options.progress(`${open.file.path}: ${open.file.rows} rows`);
  }
  for (const { writer } of files.values()) await writer.finish();
}

/** All rows of a store that nobody changes, in groups of one table each. */
function* groupsOf(store: RowStore): Generator<RowBatch> {
  const list = store.collect(new Float64Array());
  for (const { table, from, to } of list.sections) {
    const { valueBytes = 0, stateBytes = 0 } = store.tables[table] ?? {};
    const rows = Math.max(1, Math.floor(GROUP_BYTES / (valueBytes + stateBytes)));
    for (let at = from; at < to; at += rows) yield* store.pack(list, { from: at, to: Math.min(to, at + rows) });
  }
  store.release(list);
}

async function otherFiles(folder: string, tables: readonly ExportedTable[]): Promise<string[]> {
  const mine = new Set(tables.map(({ path }) => basename(path)));
  return (await readdir(folder)).filter((name) => name.endsWith(".parquet") && !mine.has(name)).sort();
}
