/* Plans the keys of a batch with compiled code: columns go into a memory of its own one after the other, keys and rows come out for all tables at once. */
import { type BatchKeys, type KeyTexts, type PlanKeys, type TableTexts } from "../../protocols/compute/key-plan.ts";
import { createMemory, loadSubject } from "./load.ts";

/** What assembly/keys.ts exports; assembly/keys/plan.ts says what each does. */
interface KeyCode {
  readonly clearSet: (...values: [slots: number, shift: number]) => void;
  readonly chooseTexts: (
    ...values: [
      ...[units: number, lengths: number, lengthBytes: number, wide: number, values: number],
      ...[gaps: number, runs: number, size: number],
      ...[slots: number, shift: number, keys: number, count: number, numbers: number, rowOf: number],
    ]
  ) => number;
  readonly splitKeys: (
    ...values: [
      ...[table: number, shards: number, keys: number, count: number],
      ...[starts: number, shardOf: number, placeOf: number, sorted: number, rowOf: number, entries: number],
    ]
  ) => void;
}

/** What a batch needs room for. */
interface Needs {
  readonly tables: number;
  readonly samples: number;
  /** Of a table, at most. */
  readonly keys: number;
  /** Of a column. */
  readonly bytes: number;
  readonly shards: number;
}

/** Addresses in a memory, and views of what goes in and comes out. */
interface Room extends Needs {
  readonly code: KeyCode;
  readonly shift: number;
  readonly slots: number;
  readonly found: number;
  readonly numbers: number;
  readonly shardOf: number;
  readonly placeOf: number;
  readonly column: { readonly at: number; readonly view: Uint8Array };
  readonly rowOf: { readonly at: number; readonly view: Uint32Array };
  readonly sorted: { readonly at: number; readonly view: BigUint64Array };
  readonly starts: { readonly at: number; readonly view: Uint32Array };
}

/** There is so much more room than was needed, so that it is seldom made anew. */
const SPARE = 1.5;
/** Nothing stands at address 0. */
const FIRST = 64;

/** A planner with a memory of its own: the same keys in the same order as the reference. */
export function kernelKeys(): PlanKeys {
  let room: Room | undefined;
  return (tables, shards) => {
    const needs = needsOf(tables, shards);
    if (room === undefined || !hasRoomFor(room, needs)) room = makeRoom(needs);
    return planInto(room, tables, shards);
  };
}

function planInto(room: Room, tables: readonly TableTexts[], shards: number): readonly BatchKeys[] {
  const { code, sorted, rowOf, starts } = room;
  let [keys, entries] = [0, 0];
  for (const [index, { table, parts }] of tables.entries()) {
    const from = entries;
    code.clearSet(room.slots, room.shift);
    let count = 0;
    for (const { size, column } of parts) {
      count = choose(room, { column, size, count, rowOf: rowOf.at + 4 * entries });
      entries += size;
    }
    code.splitKeys(
      ...([
        table,
        shards,
        room.found,
        count,
        starts.at + 4 * index * (shards + 1),
        room.shardOf,
        room.placeOf,
      ] as const),
      ...([sorted.at + 8 * keys, rowOf.at + 4 * from, entries - from] as const),
    );
    keys += count;
  }
  const allKeys = sorted.view.slice(0, keys);
  const allRows = rowOf.view.slice(0, entries);
  const allStarts = Array.from(starts.view.subarray(0, tables.length * (shards + 1)));
  let [key, entry] = [0, 0];
  return tables.map(({ parts }, index) => {
    const shardStarts = allStarts.slice(index * (shards + 1), (index + 1) * (shards + 1));
    const [fromKey, from] = [key, entry];
    key += shardStarts[shards] ?? 0;
    entry += sizeOf(parts);
    return { keys: allKeys.subarray(fromKey, key), rowOf: allRows.subarray(from, entry), shardStarts };
  });
}

/** Numbers the keys of one column after those that were met; gives how many there are then. */
function choose(
  room: Room,
  of: {
    readonly column: KeyTexts | undefined;
    readonly size: number;
    readonly count: number;
    readonly rowOf: number;
  },
): number {
  const { column = EMPTY, size, count, rowOf } = of;
  const { values, lengths, lengthBytes, units, isWide, gaps, runs } = column;
  let next = room.column.at;
  function place(bytes: Uint8Array): number {
    // Aligned as it is there: otherwise it is copied byte by byte.
    const at = ((next + 7) & ~7) + (bytes.byteOffset & 7);
    room.column.view.set(bytes, at - room.column.at);
    next = at + bytes.length;
    return at;
  }
  // Of no column all samples have gaps.
  const gapsAt = column === EMPTY ? place(new Uint8Array(Math.ceil(size / 8))) : gaps === undefined ? 0 : place(gaps);
  const runsAt = runs === undefined ? 0 : place(runs);
  const lengthsAt = place(lengths);
  const unitsAt = place(units);
  return room.code.chooseTexts(
    unitsAt,
    lengthsAt,
    lengthBytes,
    isWide ? 1 : 0,
    values,
    gapsAt,
    runsAt,
    size,
    room.slots,
    room.shift,
    room.found,
    count,
    room.numbers,
    rowOf,
  );
}

const NONE = new Uint8Array();
const EMPTY: KeyTexts = {
  values: 0,
  lengths: NONE,
  lengthBytes: 1,
  units: NONE,
  isWide: false,
  gaps: undefined,
  runs: undefined,
};

function needsOf(tables: readonly TableTexts[], shards: number): Needs {
  let [samples, keys, bytes] = [0, 0, 0];
  for (const { parts } of tables) {
    const size = sizeOf(parts);
    samples = Math.max(samples, size);
    // The empty text may be a key of each part.
    keys = Math.max(keys, size + parts.length);
    for (const { size: ofPart, column = EMPTY } of parts) {
      bytes = Math.max(bytes, column.units.length + column.lengths.length + ofPart / 4);
    }
  }
  // Four pieces of a column, each aligned, and behind each bits a byte that is begun.
  return { tables: tables.length, samples, keys, bytes: Math.ceil(bytes) + 4 * 16 + 2, shards };
}

function sizeOf(parts: TableTexts["parts"]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}

function hasRoomFor(room: Room, { tables, samples, keys, bytes, shards }: Needs): boolean {
  return (
    tables <= room.tables &&
    samples <= room.samples &&
    keys <= room.keys &&
    bytes <= room.bytes &&
    shards <= room.shards
  );
}

function makeRoom(needed: Needs): Room {
  const [samples, keys, bytes] = [needed.samples, needed.keys, needed.bytes].map((each) => Math.ceil(SPARE * each));
  const needs = { ...needed, samples: samples ?? 0, keys: keys ?? 0, bytes: bytes ?? 0 };
  // At least half of a set's places stay free.
  const bits = Math.max(4, 33 - Math.clz32(needs.keys));
  let end = FIRST;
  function take(size: number): number {
    const at = end;
    end += (size + 63) & ~63;
    return at;
  }
  const [slots, found, numbers] = [take(4 << bits), take(8 * needs.keys), take(4 * (needs.keys + 1))];
  const [shardOf, placeOf, column] = [take(4 * needs.keys), take(4 * needs.keys), take(needs.bytes)];
  const [rows, allKeys] = [needs.tables * needs.samples, needs.tables * needs.keys];
  const [rowOf, sorted] = [take(4 * rows), take(8 * allKeys)];
  const starts = take(4 * needs.tables * (needs.shards + 1));
  const memory = createMemory({ bytes: end, bytesMax: end });
  const code = loadSubject<KeyCode>("keys", {
    memory,
    arities: { clearSet: 2, chooseTexts: 14, splitKeys: 10 },
    build: "plain",
  });
  const { buffer } = memory;
  return {
    ...needs,
    code,
    shift: 32 - bits,
    slots,
    found,
    numbers,
    shardOf,
    placeOf,
    column: { at: column, view: new Uint8Array(buffer, column, needs.bytes) },
    rowOf: { at: rowOf, view: new Uint32Array(buffer, rowOf, rows) },
    sorted: { at: sorted, view: new BigUint64Array(buffer, sorted, allKeys) },
    starts: { at: starts, view: new Uint32Array(buffer, starts, needs.tables * (needs.shards + 1)) },
  };
}
