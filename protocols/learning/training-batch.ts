/*
 * From samples to the arrays a model computes on, and from its gradients back to one gradient per row: a key that stands in many
 * samples of a batch is gathered once and stepped once. Samples come in columns, and some columns after others.
 */
import { type ExampleColumns, type Example } from "../columns/example-columns.ts";
import { placesOf } from "../columns/column-head.ts";
import { keyColumn } from "../columns/key-column.ts";
import { fillNumbers } from "../columns/number-column.ts";
import { lengthAt, type TextColumn, textsOf, unitBytes } from "../columns/text-column.ts";
import { type BatchKeys, type PlanKeys, type TableTexts } from "../compute/key-plan.ts";
import { type RowChoice } from "../compute/pooling.ts";
import { keyOf, shardOfWords, writeKey } from "../keys.ts";
import { type ModelDeclaration, type TableDeclaration } from "../model.ts";
import { KeySet } from "./key-set.ts";

/** A labelled example. */
export interface LabelledExample extends Example {
  readonly label: number;
  readonly weight: number;
  /** Of a negative that was given early: the share of positives that come later (label-weights.ts). */
  readonly late?: number;
}

/** A batch before its rows are known. */
export interface BatchPlan {
  readonly size: number;
  readonly tables: readonly BatchKeys[];
}

/**
 * Lays out a batch. A missing categorical feature has the key of the empty text; a missing list is empty, and has no key. Where `planKeys` is given, it finds the
 * keys of all tables but those of lists.
 */
export function planBatch(model: ModelDeclaration, parts: readonly ExampleColumns[], planKeys?: PlanKeys): BatchPlan {
  const { shards } = model;
  const size = sizeOf(parts);
  const set = new KeySet(size);
  const room = createRoom();
  const planned = planKeys?.(tableTexts(model, parts), shards).values();
  return {
    size,
    tables: model.tables.map((table, index) => {
      const found = table.sequence === undefined ? planned?.next().value : undefined;
      if (found !== undefined) return found;
      set.clear();
      const choice = chooseRows(model, table, { parts, set, room });
      return byShard(set.words(), choice, { table: index + 1, shards, room });
    }),
  };
}

/** The columns that the keys of tables are made of, in order, without those of lists. */
function tableTexts({ tables, derived }: ModelDeclaration, parts: readonly ExampleColumns[]): readonly TableTexts[] {
  return tables.flatMap(({ key, sequence }, index) => {
    if (sequence !== undefined) return [];
    return [
      { table: index + 1, parts: parts.map((part) => ({ size: part.size, column: keyColumn(part, key, derived) })) },
    ];
  });
}

/** Memory that all tables of a batch are planned in, one after the other: to make some for each takes longer than to fill it. */
interface Room {
  /** Room for so many numbers, until it is asked for again. There are two of them. */
  take(which: 0 | 1, numbers: number): Uint32Array;
}

function createRoom(): Room {
  const held = [new Uint32Array(), new Uint32Array()];
  return {
    take(which, numbers) {
      let room = held[which];
      if (room === undefined || room.length < numbers) held[which] = room = new Uint32Array(2 * numbers);
      return room;
    },
  };
}

/** Samples of all parts. */
export function sizeOf(parts: readonly ExampleColumns[]): number {
  return parts.reduce((sum, part) => sum + part.size, 0);
}

/** Writes the numeric features, size x dense features. A missing number is 0. */
export function fillDense(model: ModelDeclaration, parts: readonly ExampleColumns[], out: Float32Array): void {
  const every = model.dense.length;
  let first = 0;
  for (const part of parts) {
    for (const [place, name] of model.dense.entries()) {
      const at = first * every + place;
      const column = part.dense.get(name);
      if (column !== undefined) fillNumbers(column, 0, { into: out, at, every });
      else for (let sample = 0; sample < part.size; sample += 1) out[at + sample * every] = 0;
    }
    first += part.size;
  }
}

/** Which of a table's keys each sample has, by the numbers that a set gives them. */
export function chooseRows(
  model: Pick<ModelDeclaration, "derived">,
  { key, sequence }: Pick<TableDeclaration, "key" | "sequence">,
  {
    parts,
    set,
    room = createRoom(),
  }: { readonly parts: readonly ExampleColumns[]; readonly set: KeySet; readonly room?: Room },
): RowChoice {
  if (sequence !== undefined) {
    const lists = parts.map(({ size, features }) => ({ size, column: features.get(key) }));
    const { rowOf, starts } = chooseLists(lists, sequence.last, set);
    return { rowOf, list: { starts, pooling: sequence.pooling } };
  }
  const rowOf = new Uint32Array(sizeOf(parts));
  let first = 0;
  for (const part of parts) {
    const rows = rowOf.subarray(first, (first += part.size));
    const column = keyColumn(part, key, model.derived);
    if (column === undefined) rows.fill(set.numberOf(EMPTY_LOW, EMPTY_HIGH));
    else placeNumbers(column, numbersOf(column, set, room), rows);
  }
  return { rowOf };
}

/** By sample: the texts that a table's keys are made of, one, or the last entries of a list. */
export function keyTexts(
  { derived }: Pick<ModelDeclaration, "derived">,
  { key, sequence }: Pick<TableDeclaration, "key" | "sequence">,
  part: ExampleColumns,
): readonly (readonly string[])[] {
  const column = sequence === undefined ? keyColumn(part, key, derived) : part.features.get(key);
  const texts = column === undefined ? [] : textsOf(column);
  return Array.from({ length: part.size }, (_, sample) => {
    const text = texts[sample] ?? "";
    if (sequence === undefined) return [text];
    return text === "" ? [] : text.split("\n").slice(-sequence.last);
  });
}

const EMPTY_LOW = Number(keyOf("") & 0xffff_ffffn);
const EMPTY_HIGH = Number(keyOf("") >> 32n);

/** The number of the key of each text that a column holds, and behind them that of the empty text where some sample has none. */
function numbersOf(column: TextColumn, set: KeySet, room: Room): Uint32Array {
  const { values, gaps, lengths, lengthBytes } = column;
  const every = unitBytes(column);
  const numbers = room.take(0, values + 1);
  const words = room.take(1, 2);
  let at = 0;
  for (let value = 0; value < values; value += 1) {
    const length = lengthBytes === 1 ? (lengths[value] ?? 0) : lengthAt(column, value);
    writeKey(column, at, length, words);
    numbers[value] = set.numberOf(words[0] ?? 0, words[1] ?? 0);
    at += length * every;
  }
  if (gaps !== undefined) numbers[values] = set.numberOf(EMPTY_LOW, EMPTY_HIGH);
  return numbers;
}

function placeNumbers(column: TextColumn, numbers: Uint32Array, rows: Uint32Array): void {
  if (column.gaps === undefined && column.runs === undefined) {
    rows.set(numbers.subarray(0, rows.length));
    return;
  }
  const places = placesOf(column);
  for (let sample = 0; sample < rows.length; sample += 1) rows[sample] = numbers[places[sample] ?? 0] ?? 0;
}

/** The last entries of each sample's list. */
function chooseLists(
  parts: readonly { readonly size: number; readonly column: TextColumn | undefined }[],
  last: number,
  set: KeySet,
): { readonly rowOf: Uint32Array; readonly starts: Uint32Array } {
  const starts = [0];
  const rowOf: number[] = [];
  for (const { size, column } of parts) {
    const lists = column === undefined ? [] : entriesOf(column, last, set);
    const places = column === undefined ? undefined : placesOf(column);
    for (let sample = 0; sample < size; sample += 1) {
      for (const entry of lists[places?.[sample] ?? 0] ?? []) rowOf.push(entry);
      starts.push(rowOf.length);
    }
  }
  return { rowOf: Uint32Array.from(rowOf), starts: Uint32Array.from(starts) };
}

const LINE_END = 0x0a;

/** The numbers of the keys of the last entries of each list that a column holds: a text with a line for each (protocols/feedback.ts). */
function entriesOf(column: TextColumn, last: number, set: KeySet): readonly (readonly number[])[] {
  const { units, isWide, values } = column;
  const every = unitBytes(column);
  const words = new Uint32Array(2);
  const lists: number[][] = [];
  let at = 0;
  for (let value = 0; value < values; value += 1) {
    const length = lengthAt(column, value);
    const begins = length === 0 ? [] : [0];
    for (let unit = 0; unit < length; unit += 1) {
      const byte = at + unit * every;
      if (units[byte] === LINE_END && (!isWide || units[byte + 1] === 0)) begins.push(unit + 1);
    }
    const numbers: number[] = [];
    for (let entry = Math.max(0, begins.length - last); entry < begins.length; entry += 1) {
      const from = begins[entry] ?? 0;
      // Up to the line's end, or the text's.
      const to = (begins[entry + 1] ?? length + 1) - 1;
      writeKey(column, at + from * every, to - from, words);
      numbers.push(set.numberOf(words[0] ?? 0, words[1] ?? 0));
    }
    lists.push(numbers);
    at += length * every;
  }
  return lists;
}

/** Puts keys side by side by shard, from the order in which they were met. */
function byShard(
  words: Uint32Array,
  { rowOf, ...choice }: RowChoice,
  { table, shards, room }: { readonly table: number; readonly shards: number; readonly room: Room },
): BatchKeys {
  const met = words.length / 2;
  const shardStarts = Array.from({ length: shards + 1 }, () => 0);
  const shardOfRow = room.take(0, met);
  for (let row = 0; row < met; row += 1) {
    const shard = shardOfWords(table, words[2 * row] ?? 0, words[2 * row + 1] ?? 0) % shards;
    shardOfRow[row] = shard;
    shardStarts[shard + 1] = (shardStarts[shard + 1] ?? 0) + 1;
  }
  for (let shard = 0; shard < shards; shard += 1) {
    shardStarts[shard + 1] = (shardStarts[shard + 1] ?? 0) + (shardStarts[shard] ?? 0);
  }
  const next = shardStarts.slice();
  const keys = new BigUint64Array(met);
  const to = new Uint32Array(keys.buffer);
  const placeOf = room.take(1, met);
  for (let row = 0; row < met; row += 1) {
    const shard = shardOfRow[row] ?? 0;
    const place = next[shard] ?? 0;
    next[shard] = place + 1;
    to[2 * place] = words[2 * row] ?? 0;
    to[2 * place + 1] = words[2 * row + 1] ?? 0;
    placeOf[row] = place;
  }
  for (let at = 0; at < rowOf.length; at += 1) rowOf[at] = placeOf[rowOf[at] ?? 0] ?? 0;
  return { keys, shardStarts, rowOf, ...choice };
}
