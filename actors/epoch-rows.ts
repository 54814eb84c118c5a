/*
 * What one request reads, of one epoch: while a new one, begun by a forced promotion, is on its way through the shards of a region, each of them takes it on at a moment of its
 * own. A request is answered as of the epoch that most shards hold; rows that are not of it are read as rows that are not there. Dense groups cannot be done without:
 * those that were last read, when all was of that epoch, stand in for them, and the epoch of which they can be had comes first. Where all shards agree, that is all that is looked at.
 */
import { keySeed } from "../protocols/keys.ts";
import { densePlacement, firstDenseTable, type ModelLayout, writeUnknown } from "../protocols/model-layout.ts";
import { type EpochLook, epochAt, isOf, isRowOf, NO_EPOCH } from "./shard-epochs.ts";
import { type Gathered, type KeyList } from "./shard-protocol.ts";
import { type SharedRows } from "./shared-rows.ts";

/** Gives the values of lists of keys, by shard. */
export type GatherRows = (
  lists: readonly (readonly KeyList[])[],
  signal: AbortSignal,
) => Promise<readonly (readonly Float32Array[])[]>;

/** What was made of rows of one epoch. */
export interface OfOneEpoch<Made> {
  readonly made: Made;
  readonly epoch: number;
  /** Rows that are there, and were read as if they were not: they are not of this epoch, or not surely. */
  readonly withheld: number;
}

/** Where the shards of a model stand that do not agree. */
export interface EpochsApart {
  /** Of which requests are answered now. */
  readonly answers: number;
  /** By shard; below 0 where that is not known. */
  readonly shards: readonly number[];
}

export interface EpochRows {
  /** All that `make` gathers is of one epoch. It is run again where that may be had without rows that were withheld, a bounded number of times. */
  inOneEpoch<Made>(make: (gather: GatherRows) => Promise<Made>, signal: AbortSignal): Promise<OfOneEpoch<Made>>;
  /** Nothing while all shards hold one epoch. */
  apart(): EpochsApart | undefined;
}

/** Tries for an answer while shards move on. */
const TRIES = 3;

/** Dense groups as they were read together, by table. */
interface KeptGroups {
  readonly epoch: number;
  readonly values: ReadonlyMap<number, Float32Array>;
}

/** One try at a request. */
interface Reading {
  readonly epoch: number;
  /** Keys of rows, by table. */
  readonly withheld: Map<number, Set<bigint>>;
  /** Rows were read while a shard moved on. */
  hasMoved: boolean;
}

export function createEpochRows(
  layout: ModelLayout,
  rows: SharedRows,
  options: { readonly onWithheld: (table: string, count: number) => void },
): EpochRows {
  const groups = densePlacement(layout);
  const denseFrom = firstDenseTable(layout);
  let kept: KeptGroups | undefined;

  function currentEpoch(): number {
    return epochOfMost(rows.looks(), { isWhole });
  }

  /** Whether all dense groups of an epoch can be had. */
  function isWhole(epoch: number, looks: readonly (EpochLook | undefined)[]): boolean {
    return kept?.epoch === epoch || groups.every(({ shard }) => looks[shard]?.held === epoch);
  }

  function keep(epoch: number, lists: readonly (readonly KeyList[])[], gathered: readonly Gathered[]): void {
    const values = new Map<number, Float32Array>();
    for (const [shard, ofShard] of lists.entries()) {
      for (const [at, { table }] of ofShard.entries()) {
        const group = table < denseFrom ? undefined : gathered[shard]?.values[at];
        if (group !== undefined) values.set(table, group);
      }
    }
    if (values.size > 0 && values.size === groups.length) kept = { epoch, values };
  }

  async function gatherOf(
    reading: Reading,
    lists: readonly (readonly KeyList[])[],
    signal: AbortSignal,
  ): Promise<readonly (readonly Float32Array[])[]> {
    const { epoch } = reading;
    const gathered = await rows.gatherAll(lists, signal);
    const others = lists.map((ofShard, shard) => (isOf(epoch, gathered[shard]?.look) ? [] : ofShard));
    if (others.every(({ length }) => length === 0)) {
      keep(epoch, lists, gathered);
      return gathered.map(({ values }) => values);
    }
    // Once more, with who wrote each row.
    const told = await rows.gatherAll(others, signal, { epochs: true });
    let lacksGroup = false;
    const values = lists.map((ofShard, shard) => {
      const given = others[shard]?.length === 0 ? gathered[shard] : told[shard];
      if (given?.epochs === undefined) return given?.values ?? [];
      reading.hasMoved ||= given.look.held < 0;
      for (const [at, list] of ofShard.entries()) {
        const column = given.values[at] ?? new Float32Array();
        const epochs = given.epochs[at] ?? new Int32Array();
        if (list.table >= denseFrom) lacksGroup ||= !isGroupOf(epoch, { look: given.look, written: epochs[0] });
        else withhold(reading, list, { column, isOfEpoch: (row) => isRowOf(epoch, given.look, epochs[row]) });
      }
      return given.values;
    });
    return lacksGroup ? withKept(reading, lists, values) : values;
  }

  /** Has the rows of a list that are not of the epoch read as rows that are not there. */
  function withhold(
    { withheld }: Reading,
    { table, keys }: KeyList,
    { column, isOfEpoch }: { readonly column: Float32Array; readonly isOfEpoch: (row: number) => boolean },
  ): void {
    const dim = column.length / Math.max(1, keys.length);
    for (const [row, key] of keys.entries()) {
      if (isOfEpoch(row)) continue;
      writeUnknown(layout, { table, seed: keySeed(key) }, { into: column, at: row * dim });
      const ofTable = withheld.get(table) ?? new Set();
      withheld.set(table, ofTable.add(key));
    }
  }

  /** Whether another try would find what this one found. */
  function isSettled({ epoch, hasMoved }: Reading): boolean {
    return !hasMoved && currentEpoch() === epoch;
  }

  function withKept(
    reading: Reading,
    lists: readonly (readonly KeyList[])[],
    values: readonly (readonly Float32Array[])[],
  ): readonly (readonly Float32Array[])[] {
    if (kept?.epoch !== reading.epoch) throw new GroupsApart(reading.epoch);
    const groupsKept = kept.values;
    return values.map((ofShard, shard) =>
      ofShard.map((each, at) => groupsKept.get(lists[shard]?.[at]?.table ?? 0) ?? each),
    );
  }

  return {
    async inOneEpoch(make, signal) {
      await rows.meet(signal);
      for (let left = TRIES - 1; ; left -= 1) {
        const reading: Reading = { epoch: currentEpoch(), withheld: new Map(), hasMoved: false };
        const { epoch, withheld } = reading;
        try {
          const made = await make((lists, ending) => gatherOf(reading, lists, ending));
          if (left > 0 && withheld.size > 0 && !isSettled(reading)) continue;
          let all = 0;
          for (const [table, { size }] of withheld) {
            options.onWithheld(layout.tables[table]?.name ?? "", size);
            all += size;
          }
          return { made, epoch, withheld: all };
        } catch (error) {
          if (left === 0 || !(error instanceof GroupsApart) || isSettled(reading)) throw error;
        }
      }
    },
    apart() {
      const shards = rows.looks().map((look) => (look === undefined ? -1 : epochAt(look)));
      return shards.every((held) => held === shards[0]) ? undefined : { answers: currentEpoch(), shards };
    },
  };
}

/** The epoch that most shards hold, or still go from, of those whose dense groups can be had, or of any where there is none; of several the latest. 0 where nothing is known. */
function epochOfMost(
  looks: readonly (EpochLook | undefined)[],
  { isWhole }: { readonly isWhole: (epoch: number, looks: readonly (EpochLook | undefined)[]) => boolean },
): number {
  const [first] = looks;
  if (first !== undefined && first.held >= 0 && looks.every((look) => look?.held === first.held)) return first.held;
  const counts = new Map<number, number>();
  for (const look of looks) {
    const epoch = look && epochAt(look);
    if (epoch !== undefined) counts.set(epoch, (counts.get(epoch) ?? 0) + 1);
  }
  const ranked = [...counts]
    .map(([epoch, count]) => ({ epoch, count, whole: isWhole(epoch, looks) ? 1 : 0 }))
    .sort((a, b) => b.whole - a.whole || b.count - a.count || b.epoch - a.epoch);
  return ranked[0]?.epoch ?? 0;
}

/** The same of a dense group, which cannot be done without: where another epoch is held, one that is not there may only be lacking. */
function isGroupOf(
  epoch: number,
  { look, written = NO_EPOCH }: { readonly look: EpochLook; readonly written: number | undefined },
): boolean {
  return written === NO_EPOCH ? look.held === epoch : isRowOf(epoch, look, written);
}

/** The dense groups of a model are not of one epoch at the moment, and none that are were read before. */
export class GroupsApart extends Error {
  override readonly name = "GroupsApart";

  constructor(epoch: number) {
    super(
      `Cannot read the model's dense layers as of epoch ${epoch}: not all of its shards have them. They have when each has taken the new epoch on`,
    );
  }
}
