import { type ColumnSource, type ParquetWriter } from "hyparquet-writer";
import { readCatalogueRow } from "../../protocols/learning/catalogue-row.ts";
import { floatsOf } from "../../protocols/sync/precision.ts";
import { type RowBatch, type TableSpec } from "../../protocols/sync/row-store.ts";
import { CATALOGUE_NAME } from "./item-names.ts";

type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]["schema"][number];

/** The columns of a table's file. */
export function schemaOf({ name, precision }: TableSpec): SchemaElement[] {
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

/** The rows of a batch that are `live`, as columns. */
export function columnsOf(
  { keys, t, writers, values }: RowBatch,
  of: {
    readonly spec: TableSpec;
    readonly live: Uint32Array;
    /** Item names by key, for a table that is keyed by items. */
    readonly names: ReadonlyMap<bigint, string> | undefined;
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
    { name: "item", data: column((row) => names?.get(keys[row] ?? 0n)) },
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
