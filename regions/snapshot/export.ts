/*
 * The rows of images as Parquet files, which pandas, DuckDB and others read. An image is put together in a store first, as a row may stand in
 * several of its segments.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type ColumnSource, fileWriter, ParquetWriter } from "hyparquet-writer";
import { readCatalogueRow } from "../../protocols/learning/catalogue-row.ts";
import { floatsOf } from "../../protocols/sync/precision.ts";
import { type RowBatch, type RowStore, type TableSpec, TOMBSTONE } from "../../protocols/sync/row-store.ts";
import { chosenPlaces } from "./image-names.ts";
import { loadStore } from "./read-image.ts";

type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]["schema"][number];

export interface ExportedTable {
  readonly path: string;
  readonly rows: number;
}

export interface ExportOptions {
  readonly shard: string | undefined;
  readonly table: string | undefined;
  readonly progress: (line: string) => void;
}

/** What was asked for is not there, or cannot be read. */
class ExportRefused extends Error {
  override readonly name = "ExportRefused";
}

/** Bytes of rows that become one row group. */
const GROUP_BYTES = 8 * 1024 * 1024;
const CATALOGUE_NAME = "catalogue";

/** Writes one file for each table of each shard. Throws `NoImages`, and an error that says which image is damaged. */
export async function* exportImages(
  state: string,
  folder: string,
  options: ExportOptions,
): AsyncGenerator<ExportedTable> {
  const places = await chosenPlaces(state, options.shard);
  await mkdir(folder, { recursive: true });
  let isFound = false;
  for (const place of places) {
    const store = await loadStore(place, options.progress);
    isFound ||= options.table === undefined || store.tables.some(({ name }) => name === options.table);
    yield* exportStore(store, { folder, shard: place.name, options });
  }
  if (!isFound) throw new ExportRefused(`Cannot export table '${options.table}': no shard has it`);
}

async function* exportStore(
  store: RowStore,
  { folder, shard, options }: { readonly folder: string; readonly shard: string; readonly options: ExportOptions },
): AsyncGenerator<ExportedTable> {
  const names = namesOf(store);
  const files = new Map<number, { readonly path: string; readonly writer: ParquetWriter; rows: number }>();
  for (const batch of groupsOf(store)) {
    const spec = store.tables[batch.table];
    if (spec === undefined || (options.table !== undefined && spec.name !== options.table)) continue;
    let file = files.get(batch.table);
    if (file === undefined) {
      const path = join(folder, `${shard}.${spec.name}.parquet`);
      file = { path, writer: new ParquetWriter({ writer: fileWriter(path), schema: schemaOf(spec) }), rows: 0 };
      files.set(batch.table, file);
    }
    const live = Uint32Array.from(batch.keys.keys()).filter((row) => (batch.flags[row] ?? 0) !== TOMBSTONE);
    if (live.length === 0) continue;
    await file.writer.write({
      columnData: columnsOf(batch, { spec, live, names, writers: store.writers }),
      rowGroupSize: live.length,
    });
    file.rows += live.length;
    options.progress(`${file.path}: ${file.rows} rows`);
  }
  for (const { path, writer, rows: count } of files.values()) {
    await writer.finish();
    yield { path, rows: count };
  }
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

/** Item names by key, as the catalogue has them. */
function namesOf(store: RowStore): Map<bigint, string> {
  const names = new Map<bigint, string>();
  const table = store.tables.findIndex(({ name }) => name === CATALOGUE_NAME);
  for (const batch of groupsOf(store)) {
    if (batch.table !== table) continue;
    const width = batch.values.length / batch.keys.length;
    for (const [row, key] of batch.keys.entries()) {
      const item = readCatalogueRow(batch.values.subarray(row * width, (row + 1) * width))?.item;
      if (item !== undefined) names.set(key, item);
    }
  }
  return names;
}

function schemaOf({ name, precision }: TableSpec): SchemaElement[] {
  const text = { type: "BYTE_ARRAY", converted_type: "UTF8" } as const;
  const fields: SchemaElement[] =
    name === CATALOGUE_NAME
      ? [
          { name: "popularity", type: "DOUBLE", repetition_type: "REQUIRED" },
          { name: "first_seen_ms", type: "DOUBLE", repetition_type: "REQUIRED" },
        ]
      : precision === "bytes"
        ? [{ name: "values", type: "BYTE_ARRAY", repetition_type: "REQUIRED" }]
        : [
            { name: "values", converted_type: "LIST", num_children: 1, repetition_type: "REQUIRED" },
            { name: "list", num_children: 1, repetition_type: "REPEATED" },
            { name: "element", type: "FLOAT", repetition_type: "REQUIRED" },
          ];
  return [
    { name: "rows", num_children: name === CATALOGUE_NAME ? 6 : 5 },
    { name: "key", type: "INT64", converted_type: "UINT_64", repetition_type: "REQUIRED" },
    { name: "item", ...text, repetition_type: "OPTIONAL" },
    { name: "t", type: "INT64", repetition_type: "REQUIRED" },
    { name: "writer", ...text, repetition_type: "REQUIRED" },
    ...fields,
  ];
}

function columnsOf(
  { keys, t, writers, values }: RowBatch,
  of: {
    readonly spec: TableSpec;
    readonly live: Uint32Array;
    readonly names: ReadonlyMap<bigint, string>;
    readonly writers: readonly string[];
  },
): ColumnSource[] {
  const { spec, live, names } = of;
  const width = spec.valueBytes;
  function column<Value>(value: (row: number) => Value): Value[] {
    return Array.from(live, value);
  }
  function bytesAt(row: number): Uint8Array {
    return values.subarray(row * width, (row + 1) * width);
  }
  const common: ColumnSource[] = [
    { name: "key", data: column((row) => keys[row] ?? 0n) },
    { name: "item", data: column((row) => names.get(keys[row] ?? 0n)) },
    { name: "t", data: column((row) => BigInt(t[row] ?? 0)) },
    { name: "writer", data: column((row) => of.writers[writers[row] ?? 0] ?? "") },
  ];
  if (spec.name === CATALOGUE_NAME) {
    const rows = column((row) => readCatalogueRow(bytesAt(row)));
    return [
      ...common,
      { name: "popularity", data: rows.map((row) => row?.popularity ?? Number.NaN) },
      { name: "first_seen_ms", data: rows.map((row) => row?.firstSeenMs ?? Number.NaN) },
    ];
  }
  if (spec.precision === "bytes") return [...common, { name: "values", data: column(bytesAt) }];
  const floats = floatsOf(spec, values);
  return [
    ...common,
    { name: "values", data: column((row) => [...floats.subarray(row * spec.dim, (row + 1) * spec.dim)]) },
  ];
}
