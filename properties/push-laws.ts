/* What must hold of a push between a trainer's thread and a shard's: it comes out as it went in, what does not fit is refused, and what was not answered is not written again. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type PackedPush, packPush, unpackPush } from "../actors/packed-push.ts";
import { createPushRoom } from "../actors/push-room.ts";
import { type GradientPart, type Push } from "../actors/shard-protocol.ts";

const drawnParts = fc.array(
  fc.record({
    table: fc.nat(40),
    keys: fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { maxLength: 5 }),
    dim: fc.integer({ min: 0, max: 4 }),
  }),
  { maxLength: 6 },
);
const drawnSightings = fc.array(
  fc.record({
    item: fc.string(),
    key: fc.bigInt(0n, 2n ** 64n - 1n),
    clicks: fc.nat(9),
    timeMs: fc.double({ min: 0, max: 1e13, noNaN: true }),
  }),
  { maxLength: 5 },
);
/** Apart: each part in memory of its own. Together: as a learner has them, behind something that is not of the push. */
const drawnPush = fc.record({
  parts: drawnParts,
  sightings: drawnSightings,
  isTogether: fc.boolean(),
  reads: fc.constantFrom("all", "none", "all but one"),
});

type DrawnPush = typeof drawnPush extends fc.Arbitrary<infer Drawn> ? Drawn : never;

export async function checkLaws(): Promise<void> {
  fc.assert(fc.property(drawnPush, (drawn) => comesOutAsItWentIn(pushOf(drawn), drawn.reads)));
  fc.assert(
    fc.property(drawnPush, fc.nat(), fc.boolean(), (drawn, at, isLonger) => refuses(pushOf(drawn), { at, isLonger })),
  );
  liesWhereItLay();
  await isNotWrittenAgain();
}

function comesOutAsItWentIn(push: Push, reads: string): void {
  const parts =
    reads === "all but one" && push.parts.some((part) => part.read === undefined)
      ? push.parts.map(({ table, keys, gradients }) => ({ table, keys, gradients }))
      : push.parts;
  assert.deepEqual(unpackPush(packPush(push)), { ...push, parts });
}

/** A column that is a little longer or shorter than it was. */
function refuses(push: Push, { at, isLonger }: { readonly at: number; readonly isLonger: boolean }): void {
  const { parts, sightings, ...named } = packPush(push);
  const partNames = ["tables", "rows", "floats", "keys", "gradients", ...(parts.read === undefined ? [] : ["read"])];
  const names = [...partNames, "items", "clicks", "times", "seen"];
  const name = names[at % names.length];
  function resized<Column extends ArrayLike<unknown>>(
    column: Column,
    kind: new (length: number) => Column & { set(from: Column): void },
    of: string,
  ): Column {
    if (of !== name) return column;
    const other = new kind(isLonger ? column.length + 1 : Math.max(0, column.length - 1));
    if (isLonger) other.set(column);
    return other;
  }
  const broken: PackedPush = {
    ...named,
    parts: {
      tables: resized<Uint32Array>(parts.tables, Uint32Array, "tables"),
      rows: resized<Uint32Array>(parts.rows, Uint32Array, "rows"),
      floats: resized<Uint32Array>(parts.floats, Uint32Array, "floats"),
      keys: resized<BigUint64Array>(parts.keys, BigUint64Array, "keys"),
      gradients: resized<Float32Array>(parts.gradients, Float32Array, "gradients"),
      ...(parts.read && { read: resized<Float32Array>(parts.read, Float32Array, "read") }),
    },
    sightings: {
      items: name === "items" ? (isLonger ? [...sightings.items, ""] : sightings.items.slice(1)) : sightings.items,
      keys: resized<BigUint64Array>(sightings.keys, BigUint64Array, "seen"),
      clicks: resized<Float64Array>(sightings.clicks, Float64Array, "clicks"),
      times: resized<Float64Array>(sightings.times, Float64Array, "times"),
    },
  };
  const unpacked = unpackPush(broken);
  // Of nothing nothing can be taken away.
  if (unpacked !== undefined) assert.deepEqual(broken, packPush(push), `${String(name)} was longer: ${isLonger}`);
}

/** What a learner puts in one piece is not copied: the shards would not read the room, and buffers could not be handed over. */
function liesWhereItLay(): void {
  const gradients = createPushRoom().take(0, 6).fill(1);
  const keys = BigUint64Array.of(1n, 2n, 3n);
  const parts: GradientPart[] = [
    { table: 1, keys: keys.subarray(0, 1), gradients: gradients.subarray(0, 2) },
    { table: 2, keys: keys.subarray(1), gradients: gradients.subarray(2) },
  ];
  const packed = packPush({ trainer: "t", batch: 1, previous: 0, parts, sightings: [] });
  assert.equal(packed.parts.keys.buffer, keys.buffer);
  assert.equal(packed.parts.gradients.buffer, gradients.buffer);
}

async function isNotWrittenAgain(): Promise<void> {
  const room = createPushRoom();
  const first = room.take(0, 4).fill(1);
  assert.notEqual(room.take(1, 4).buffer, first.buffer);
  await room.answered(Promise.resolve());
  const second = room.take(0, 4);
  assert.equal(second.buffer, first.buffer);
  second.fill(2);
  await assert.rejects(room.answered(Promise.reject(new Error("its deadline passed"))), /deadline/);
  room.take(0, 4).fill(3);
  assert.deepEqual([...second], [2, 2, 2, 2]);
}

function pushOf({ parts, sightings, isTogether, reads }: DrawnPush): Push {
  let next = 0;
  const rows = parts.reduce((sum, { keys }) => sum + keys.length, 1);
  const floats = parts.reduce((sum, { keys, dim }) => sum + keys.length * dim, 1);
  const [allKeys, allFloats] = [new BigUint64Array(rows), new Float32Array(floats)];
  let [row, float] = [1, 1];
  return {
    trainer: "t",
    batch: 7,
    previous: 3,
    readAt: 2,
    sightings: sightings.map((seen) => ({ ...seen })),
    parts: parts.map(({ table, keys, dim }, at): GradientPart => {
      const count = keys.length * dim;
      const ownKeys = isTogether ? allKeys.subarray(row, (row += keys.length)) : new BigUint64Array(keys.length);
      const gradients = isTogether ? allFloats.subarray(float, (float += count)) : new Float32Array(count);
      ownKeys.set(keys);
      for (let i = 0; i < count; i += 1) gradients[i] = next += 1;
      const hasRead = reads === "all" || (reads === "all but one" && at > 0);
      return { table, keys: ownKeys, gradients, ...(hasRead && { read: new Float32Array(count).fill(at) }) };
    }),
  };
}
