// What several memories gave for their parts of a request, as one answer. `places` are those of the parts in the request.
import {
  type MergeOutcome,
  type RowBatch,
  type StoredVersions,
  type UpdateOutcome,
} from "../../../protocols/sync/row-store.ts";

interface Done<Outcome> {
  readonly places: Uint32Array;
  readonly outcome: Outcome;
}

/** A typed array of one kind of numbers. */
interface Column<Value> {
  readonly length: number;
  set(from: ArrayLike<Value>, at: number): void;
}

export function joinOutcomes(parts: readonly Done<UpdateOutcome>[]): UpdateOutcome {
  const outcomes = parts.map(({ outcome }) => outcome);
  const keys = outcomes.map((outcome) => outcome.keys);
  return {
    keys: filled(new BigUint64Array(lengthOf(keys)), keys),
    indexes: indexesOf(parts.map(({ places, outcome }) => ({ places, indexes: outcome.indexes }))),
    ...joinVersions(outcomes),
    refused: sumOf(outcomes, ({ refused }) => refused),
    stamped: sumOf(outcomes, ({ stamped }) => stamped),
  };
}

export function joinMerged(parts: readonly Done<MergeOutcome>[]): MergeOutcome {
  const outcomes = parts.map(({ outcome }) => outcome);
  return {
    applied: indexesOf(parts.map(({ places, outcome }) => ({ places, indexes: outcome.applied }))),
    ...joinVersions(outcomes),
    ignored: sumOf(outcomes, ({ ignored }) => ignored),
  };
}

/** Those of one table become one. */
export function joinBatches(batches: readonly RowBatch[]): RowBatch[] {
  return [...Map.groupBy(batches, ({ table }) => table)].map(([table, all]) => joinRows(table, all));
}

function joinRows(table: number, all: readonly RowBatch[]): RowBatch {
  const [first] = all;
  if (first !== undefined && all.length === 1) return first;
  const keys = all.map((batch) => batch.keys);
  const rows = lengthOf(keys);
  const values = all.map((batch) => batch.values);
  const states = all.flatMap(({ state }) => state ?? []);
  return {
    table,
    keys: filled(new BigUint64Array(rows), keys),
    ...joinTimes(all, rows),
    flags: filled(
      new Uint8Array(rows),
      all.map(({ flags }) => flags),
    ),
    values: filled(new Uint8Array(lengthOf(values)), values),
    state: first?.state && filled(new Uint8Array(lengthOf(states)), states),
  };
}

function joinVersions(all: readonly StoredVersions[]): StoredVersions {
  const slots = all.map((part) => part.slots);
  const rows = lengthOf(slots);
  return {
    slots: filled(new Float64Array(rows), slots),
    ...joinTimes(all, rows),
    before: joinTimes(
      all.map(({ before }) => before),
      rows,
    ),
  };
}

function joinTimes(all: readonly StoredVersions["before"][], rows: number): StoredVersions["before"] {
  return {
    t: filled(
      new Float64Array(rows),
      all.map(({ t }) => t),
    ),
    writers: filled(
      new Uint16Array(rows),
      all.map(({ writers }) => writers),
    ),
  };
}

function indexesOf(
  parts: readonly { readonly places: Uint32Array; readonly indexes: Uint32Array }[],
): Uint32Array<ArrayBuffer> {
  const all = parts.map(({ places, indexes }) => indexes.map((at) => places[at] ?? 0));
  return filled(new Uint32Array(lengthOf(all)), all);
}

function filled<Value, Whole extends Column<Value>>(whole: Whole, parts: readonly ArrayLike<Value>[]): Whole {
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function lengthOf(parts: readonly { readonly length: number }[]): number {
  return sumOf(parts, ({ length }) => length);
}

function sumOf<Part>(parts: readonly Part[], of: (part: Part) => number): number {
  return parts.reduce((sum, part) => sum + of(part), 0);
}
