import { type Arities, loadSubject, type SharedMemory } from "../load.ts";

/** The compiled code of assembly/table.ts, whose comments say what each does. Addresses and counts are numbers, keys bigints. */
export interface TableCode {
  readonly allocate: (bytes: number) => number;
  readonly createTable: (
    ...sizes: [valueBytes: number, stateBytes: number, frames: number, regions: number, regionLog: number]
  ) => number;
  readonly bringRow: (row: number, from: number) => number;
  readonly copyRecord: (row: number, from: number, values: number, state: number) => number;
  readonly moveRecords: (
    ...records: [from: number, first: number, count: number, to: number, record: number]
  ) => number;
  readonly placesOf: (rows: number, count: number, frames: number, records: number) => void;
  readonly spillFrames: (
    ...frames: [frames: number, count: number, record: number, to: number, room: number]
  ) => number;
  readonly addRow: (key: bigint) => number;
  readonly addRows: (keys: number, count: number, rows: number) => number;
  readonly unevenRows: (count: number, statuses: number, values: number) => number;
  readonly dropRow: (row: number) => void;
  readonly findRows: (keys: number, count: number, rows: number) => void;
  readonly fetchRows: (keys: number, count: number, rows: number) => void;
  readonly findLiveRows: (keys: number, count: number, rows: number) => void;
  readonly openRow: (row: number, values: number, state: number) => void;
  readonly repairRows: (keys: number, max: number) => number;
  readonly storeRow: (
    ...row: [row: number, t: number, writer: number, flags: number, values: number, state: number]
  ) => void;
  readonly reserveRows: (total: number) => number;
  readonly beginLoading: (total: number) => number;
  readonly loadRows: (
    ...batch: [count: number, keys: number, t: number, writers: number, flags: number, values: number, state: number]
  ) => number;
  readonly fileLoaded: () => void;
  readonly mergeRows: (
    ...batch: [
      ...[count: number, keys: number, t: number, writers: number, flags: number, values: number, state: number],
      ...[known: number, knownWriters: number, places: number, rows: number, added: number],
      ...[beforeTimes: number, beforeWriters: number],
    ]
  ) => number;
  readonly rowsToMerge: (
    ...batch: [
      count: number,
      keys: number,
      t: number,
      writers: number,
      known: number,
      knownWriters: number,
      rows: number,
    ]
  ) => number;
  readonly collectAmong: (rows: number, count: number, known: number, knownWriters: number) => number;
  readonly collectRows: (
    ...scan: [from: number, known: number, knownWriters: number, rows: number, max: number]
  ) => number;
  readonly digestRows: (
    ...rows: [from: number, size: number, table: number, writerHashes: number, cold: number]
  ) => number;
  readonly glanceRows: (
    ...columns: [
      ...[from: number, after: number, upTo: number, deleted: number, max: number],
      ...[rows: number, keys: number, t: number, writers: number, flags: number],
    ]
  ) => number;
  readonly packRows: (
    ...columns: [
      ...[rows: number, count: number, keys: number, t: number, writers: number, flags: number],
      ...[values: number, state: number],
    ]
  ) => number;
  readonly readVersions: (...columns: [rows: number, count: number, t: number, writers: number, flags: number]) => void;
  readonly gatherKeys: (
    ...gather: [
      ...[keys: number, count: number, statuses: number, values: number],
      ...[tries: number, scratch: number, rows: number, writers: number],
    ]
  ) => number;
  readonly gatherRows: (
    ...gather: [
      ...[rows: number, keys: number, count: number, statuses: number, values: number],
      ...[tries: number, scratch: number, writers: number],
    ]
  ) => number;
  readonly readRows: (...columns: [keys: number, count: number, found: number, values: number, rows: number]) => void;
  readonly stepRows: (
    ...steps: [
      ...[kind: number, numbers: number, form: number, count: number, keys: number, rows: number, gradients: number],
      ...[initial: number, read: number, firstT: number, writer: number, scratch: number],
      ...[places: number, times: number, added: number, norms: number, beforeTimes: number, beforeWriters: number],
    ]
  ) => number;
}

const ARITIES: Arities<TableCode> = {
  allocate: 1,
  createTable: 5,
  bringRow: 2,
  copyRecord: 4,
  moveRecords: 5,
  placesOf: 4,
  spillFrames: 5,
  addRow: 1,
  addRows: 3,
  unevenRows: 3,
  dropRow: 1,
  findRows: 3,
  fetchRows: 3,
  findLiveRows: 3,
  openRow: 3,
  repairRows: 2,
  storeRow: 6,
  reserveRows: 1,
  beginLoading: 1,
  loadRows: 7,
  fileLoaded: 0,
  mergeRows: 14,
  rowsToMerge: 7,
  collectAmong: 4,
  collectRows: 5,
  digestRows: 5,
  glanceRows: 10,
  packRows: 8,
  readVersions: 5,
  gatherKeys: 8,
  gatherRows: 8,
  readRows: 5,
  stepRows: 18,
};

/** Words of a table's head, in bytes from the start of its memory (assembly/table/layout.ts). */
export const HEAD = {
  end: 20,
  live: 28,
  held: 32,
  answer: 68,
  answerToo: 72,
  answerT: 88,
  top: 36,
  freeCount: 112,
  owners: 116,
  used: 120,
  regionLive: 128,
  loading: 132,
  ranks: 256,
} as const;

/** The code over a table's memory. It computes the same bits everywhere. */
export function openTableCode(memory: SharedMemory): TableCode {
  return loadSubject<TableCode>("table", { memory, arities: ARITIES, build: "plain" });
}
