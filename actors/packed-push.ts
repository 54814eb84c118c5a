/*
 * A push on its way from a trainer's thread to a shard's: columns over all tables. A batch has rows of many tables and few rows of most, and to clone an object
 * with its views for each of them, and one for each item seen, takes longer than to compute what is in them.
 */
import { type GradientPart, type Push, type Sighting } from "./shard-protocol.ts";

/** Gradients of several tables one after the other: the table, keys and floats of each part, then all keys and all floats. */
interface PackedParts {
  readonly tables: Uint32Array;
  readonly rows: Uint32Array;
  readonly floats: Uint32Array;
  readonly keys: BigUint64Array;
  readonly gradients: Float32Array;
  /** As long as the gradients; absent where some part has none. */
  readonly read?: Float32Array;
}

interface PackedSightings {
  readonly items: readonly string[];
  readonly keys: BigUint64Array;
  readonly clicks: Float64Array;
  readonly times: Float64Array;
}

export interface PackedPush extends Omit<Push, "parts" | "sightings"> {
  readonly parts: PackedParts;
  readonly sightings: PackedSightings;
}

/** Copies no keys and no gradients that lie one after the other already, as a learner's do (protocols/learning/learner.ts). */
export function packPush({ parts, sightings, ...named }: Push): PackedPush {
  const read = parts.flatMap((part) => (part.read?.length === part.gradients.length ? [part.read] : []));
  return {
    ...named,
    parts: {
      tables: columnOf(parts, ({ table }) => table),
      rows: columnOf(parts, ({ keys }) => keys.length),
      floats: columnOf(parts, ({ gradients }) => gradients.length),
      keys: joined(
        parts.map(({ keys }) => keys),
        BigUint64Array,
      ),
      gradients: joined(
        parts.map(({ gradients }) => gradients),
        Float32Array,
      ),
      ...(parts.length > 0 && read.length === parts.length && { read: joined(read, Float32Array) }),
    },
    sightings: packSightings(sightings),
  };
}

function packSightings(sightings: readonly Sighting[]): PackedSightings {
  const count = sightings.length;
  const [keys, clicks, times] = [new BigUint64Array(count), new Float64Array(count), new Float64Array(count)];
  const items: string[] = [];
  // A loop: `from` with a function takes many times as long.
  for (const sighting of sightings) {
    const at = items.push(sighting.item) - 1;
    keys[at] = sighting.key;
    clicks[at] = sighting.clicks;
    times[at] = sighting.timeMs;
  }
  return { items, keys, clicks, times };
}

function columnOf(parts: readonly GradientPart[], of: (part: GradientPart) => number): Uint32Array {
  const column = new Uint32Array(parts.length);
  for (let at = 0; at < column.length; at += 1) {
    const part = parts[at];
    if (part !== undefined) column[at] = of(part);
  }
  return column;
}

/** The push, whose parts are views of the columns; undefined where these do not fit each other. */
export function unpackPush({ parts, sightings, ...named }: PackedPush): Push | undefined {
  const { tables, rows, floats, keys, gradients, read } = parts;
  const fits =
    rows.length === tables.length &&
    floats.length === tables.length &&
    sumOf(rows) === keys.length &&
    sumOf(floats) === gradients.length &&
    (read === undefined || read.length === gradients.length);
  const { items, clicks, times } = sightings;
  if (!fits || ![sightings.keys, clicks, times].every(({ length }) => length === items.length)) return undefined;
  let [row, float] = [0, 0];
  const unpacked: GradientPart[] = [];
  for (const [at, table] of tables.entries()) {
    const [fromRow, from] = [row, float];
    row += rows[at] ?? 0;
    float += floats[at] ?? 0;
    const part = { table, keys: keys.subarray(fromRow, row), gradients: gradients.subarray(from, float) };
    unpacked.push(read === undefined ? part : { ...part, read: read.subarray(from, float) });
  }
  const seen = items.map((item, at): Sighting => {
    return { item, key: sightings.keys[at] ?? 0n, clicks: clicks[at] ?? 0, timeMs: times[at] ?? 0 };
  });
  return { ...named, parts: unpacked, sightings: seen };
}

function sumOf(counts: Uint32Array): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

interface Column<View> {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly length: number;
  set(values: View, at: number): void;
}

/** These views as one: of the memory that they are in where they are in order there, else of a copy. */
function joined<View extends Column<View>>(
  views: readonly View[],
  kind: { new (buffer: ArrayBufferLike, offset: number, length: number): View; new (length: number): View },
): View {
  const [first] = views;
  const length = views.reduce((sum, view) => sum + view.length, 0);
  let end = first?.byteOffset ?? 0;
  const isInOrder = views.every((view) => {
    const follows = view.buffer === first?.buffer && view.byteOffset === end;
    end += view.byteLength;
    return follows;
  });
  if (first !== undefined && isInOrder) return new kind(first.buffer, first.byteOffset, length);
  const copy = new kind(length);
  let at = 0;
  for (const view of views) {
    copy.set(view, at);
    at += view.length;
  }
  return copy;
}
