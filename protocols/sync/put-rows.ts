import { areFinite } from "./precision.ts";
import { type RowBatch, type RowStore, type UpdateOutcome, type UpdateRequest } from "./row-store.ts";

const NOTHING = new Float64Array();

/**
 * Writes whole rows, a column of keys and one of values: each is stamped and merged as another replica would merge it. A row whose numbers are not
 * all finite is refused and takes no time; so does one that is older than what is held, which only a row of a newer epoch can be, but it has taken one.
 */
export function putRows(
  store: RowStore,
  request: Omit<UpdateRequest, "mutate"> & { readonly values: Uint8Array },
): UpdateOutcome {
  const { table, writer, firstT } = request;
  const { finite, indexes } = finiteRows(store, request);
  const { keys, values } = finite;
  const rows = keys.length;
  const stateBytes = store.tables[table]?.stateBytes ?? 0;
  const batch: RowBatch = {
    table,
    keys,
    values,
    t: timesFrom(firstT, rows),
    writers: new Uint16Array(rows).fill(writer),
    flags: new Uint8Array(rows),
    state: store.hasState ? new Uint8Array(rows * stateBytes) : undefined,
  };
  const { applied, slots, t, writers, before } = store.merge(batch, NOTHING);
  return {
    slots,
    t,
    writers,
    before,
    keys: applied.length === rows ? keys : BigUint64Array.from(applied, (at) => keys[at] ?? 0n),
    indexes: indexes === undefined ? applied : applied.map((at) => indexes[at] ?? 0),
    refused: request.keys.length - applied.length,
    stamped: rows,
  };
}

function timesFrom(first: number, count: number): Float64Array {
  const times = new Float64Array(count);
  for (let at = 0; at < count; at += 1) times[at] = first + at;
  return times;
}

interface Rows {
  readonly keys: BigUint64Array;
  readonly values: Uint8Array;
}

/** The rows that may be stored and, where these are not all, which they are. */
function finiteRows(
  store: RowStore,
  { table, keys, values }: Rows & { readonly table: number },
): { readonly finite: Rows; readonly indexes: Uint32Array | undefined } {
  const spec = store.tables[table] ?? { precision: "bytes", dim: 0, valueBytes: 0 };
  const { valueBytes } = spec;
  if (areFinite(spec, values)) return { finite: { keys: keys.slice(), values }, indexes: undefined };
  function valuesOf(at: number): Uint8Array {
    return values.subarray(at * valueBytes, (at + 1) * valueBytes);
  }
  const indexes = Uint32Array.from([...keys.keys()].filter((at) => areFinite(spec, valuesOf(at))));
  const finite = new Uint8Array(indexes.length * valueBytes);
  for (const [to, at] of indexes.entries()) finite.set(valuesOf(at), to * valueBytes);
  return { finite: { keys: BigUint64Array.from(indexes, (at) => keys[at] ?? 0n), values: finite }, indexes };
}
