/*
 * Tables of 16-bit floats, and of bytes with a scale a row, by hand: what is rounded, when, and what is kept of the exact numbers.
 */
import { createRandom, nextFloat } from "../../protocols/random.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { floatsOf } from "../../protocols/sync/precision.ts";
import { createReplica, type Replica, stepReplica } from "../../protocols/sync/replica.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { crc32c } from "../../protocols/wire/checksum.ts";
import { NOW } from "./situation.ts";

const DIM = 4;
const HALVES: readonly TableSpec[] = [
  { name: "rows", dim: DIM, valueBytes: 2 * DIM, stateBytes: 4 * DIM, precision: "f16", optimizer: "test" },
];
const BYTES: readonly TableSpec[] = [
  { name: "rows", dim: DIM, valueBytes: 4 + DIM, stateBytes: 4 * DIM, precision: "i8", optimizer: "test" },
];
const ALL = BigUint64Array.from({ length: 64 }, (_, key) => BigInt(key));

/** X8: what the writer rounded is the row, to the bit, at a replica of a replica of it. */
export function roundedOnce(): string | undefined {
  const writer = start("a");
  const random = createRandom(16);
  const exact = Float32Array.from(
    { length: ALL.length * DIM },
    () => (nextFloat(random) - 0.5) * 2 ** (nextFloat(random) * 40 - 26),
  );
  write(writer, ALL, (floats, row) => floats.set(exact.subarray(row * DIM, (row + 1) * DIM)));
  const relay = start("b");
  const last = start("c");
  pullWhole(relay, writer);
  pullWhole(last, relay);
  const wanted = exact.map((number) => Math.f16round(number));
  for (const { store } of [writer, relay, last]) {
    const held = new Float16Array(store.read(0, ALL).values.buffer);
    const at = wanted.findIndex((value, index) => value !== held[index]);
    if (at >= 0) return `${exact[at]} is held as ${held[at]}, not as ${wanted[at]}`;
  }
  return last.store.digest() === writer.store.digest() ? undefined : "equal rows have different digests";
}

/** X9: steps too small for 16 bits add up at who stamps, and at whoever takes its state over; state of another row does not count. */
export function smallStepsAddUp(): string | undefined {
  const writer = start("a");
  const row = ALL.subarray(0, 1);
  write(writer, row, (floats) => floats.fill(1));
  stepOften(writer, row);
  const heir = start("b");
  pullWhole(heir, writer);
  stepOften(heir, row);
  const sum = new Float16Array(heir.store.read(0, row).values.buffer)[0];
  if (sum !== 1.125) return `1 and 1024 steps of 2^-13 are ${sum}`;
  // A row whose state was lost goes on from its values.
  const list = heir.store.collect(new Float64Array());
  const [batch] = heir.store.pack(list, { from: 0, to: 1 });
  if (batch === undefined) return "a row cannot be packed";
  const store = createMapRowStore(HALVES, { state: true });
  const writers = Uint16Array.of(store.writerIndex(heir.writer));
  store.merge({ ...batch, writers, state: new Uint8Array(4 * DIM) }, new Float64Array());
  const bare = createReplica({ writer: parseWriterId("0.sim.c.l1"), store });
  write(bare, row, (floats) => floats.forEach((number, at) => (floats[at] = number + 1)));
  const next = new Float16Array(store.read(0, row).values.buffer)[0];
  return next === 2.125 ? undefined : `1.125 whose state was lost, and 1, are ${next}`;
}

/** 512 steps of an eighth of the distance between halves near 1. */
function stepOften(replica: Replica, keys: BigUint64Array): void {
  for (let step = 0; step < 512; step += 1) {
    write(replica, keys, (floats) => floats.forEach((number, at) => (floats[at] = number + 2 ** -13)));
  }
}

/** I3: what 16 bits cannot hold is not stored, and a frame that holds infinity or NaN is refused. */
export function notHalf(): string | undefined {
  const writer = start("a");
  write(writer, ALL.subarray(0, 1), (floats) => floats.fill(65_519.99));
  for (const number of [65_520, -1e30, Number.NaN]) write(writer, ALL.subarray(0, 1), (floats) => floats.fill(number));
  const [held] = new Float16Array(writer.store.read(0, ALL).values.buffer);
  if (held !== 65_504) return `a number beyond 65504 is held as ${held}`;
  for (const [low, high] of [
    [0, 0x7c],
    [0, 0xfc],
    [1, 0x7e],
  ] as const) {
    const puller = start("b");
    const frame = answerTo(puller, writer)[0];
    const at = frame?.findIndex((byte, index) => byte === 0xff && frame[index + 1] === 0x7b) ?? -1;
    if (frame === undefined || at < 0) return "a frame does not hold the number that was written";
    frame.set([low, high], at);
    new DataView(frame.buffer).setUint32(frame.length - 4, crc32c(frame.subarray(0, frame.length - 4)), true);
    stepReplica(puller, { kind: "message", from: "peer", message: "frame", body: frame }, NOW);
    if (puller.store.rows(0) > 0) return "a half that is no number is taken";
  }
  return undefined;
}

/** X8: each number of a row of bytes is the nearest of those that its largest one leaves, at a replica of a replica of it, whichever other rows there are. */
export function scaledOnce(): string | undefined {
  const writer = start("a", BYTES);
  const random = createRandom(8);
  const exact = Float32Array.from({ length: ALL.length * DIM }, (_, at) => {
    return (nextFloat(random) - 0.5) * 2 ** (40 * mixed(Math.floor(at / DIM)) - 26);
  });
  write(writer, ALL, (floats, row) => floats.set(exact.subarray(row * DIM, (row + 1) * DIM)));
  const relay = start("b", BYTES);
  const last = start("c", BYTES);
  pullWhole(relay, writer);
  pullWhole(last, relay);
  for (const { store } of [writer, relay, last]) {
    const held = floatsOf({ precision: "i8", dim: DIM }, store.read(0, ALL).values);
    for (let at = 0; at < exact.length; at += 1) {
      const row = exact.subarray(at - (at % DIM), at - (at % DIM) + DIM);
      const scale = Math.fround(Math.max(...row.map(Math.abs)) / 127);
      const [number, value] = [exact[at] ?? 0, held[at] ?? Number.NaN];
      const off = Math.abs(number - value);
      const isNearest = [-1, 1].every((step) => off <= Math.abs(number - (value + step * scale)) * (1 + 2 ** -16));
      if (!(off <= scale * 0.51) || !isNearest) return `${number} is held as ${value}, in steps of ${scale}`;
    }
  }
  return last.store.digest() === writer.store.digest() ? undefined : "equal rows have different digests";
}

/** X9: steps far too small for a byte add up, at whoever takes the state over too; where state was lost a row goes on from its values. */
export function smallStepsAddUpInBytes(): string | undefined {
  const writer = start("a", BYTES);
  const row = ALL.subarray(0, 1);
  write(writer, row, (floats) => floats.set([1, 0.5, 0, -1]));
  stepSecond(writer, row);
  const heir = start("b", BYTES);
  pullWhole(heir, writer);
  stepSecond(heir, row);
  const [, sum = 0] = numbersOf(heir, row);
  // 0.5 and 1024 steps of 2^-13 are 0.625, and a step of a byte is 1/127.
  if (Math.abs(sum - 0.625) > 0.004) return `0.5 and 1024 steps of 2^-13 are ${sum}`;
  const list = heir.store.collect(new Float64Array());
  const [batch] = heir.store.pack(list, { from: 0, to: 1 });
  if (batch === undefined) return "a row cannot be packed";
  const store = createMapRowStore(BYTES, { state: true });
  const writers = Uint16Array.of(store.writerIndex(heir.writer));
  store.merge({ ...batch, writers, state: new Uint8Array(4 * DIM) }, new Float64Array());
  const bare = createReplica({ writer: parseWriterId("0.sim.c.l1"), store });
  write(bare, row, (floats) => floats.set([0], 0));
  const [, after = 0] = numbersOf(bare, row);
  return Math.abs(after - sum) <= 0.004 ? undefined : `${sum} whose state was lost is ${after}`;
}

/** I3: a scale that is no number, or makes none of 127, is refused, from a writer as in a frame; so is a byte that no number rounds to. */
export function notBytes(): string | undefined {
  const writer = start("a", BYTES);
  const row = ALL.subarray(0, 1);
  write(writer, row, (floats) => floats.fill(127));
  for (const number of [Infinity, -Infinity, Number.NaN]) write(writer, row, (floats) => floats.fill(number));
  if (numbersOf(writer, row)[0] !== 127) return "what is no number is held";
  for (const wrong of [-1, -0.001, Infinity, -Infinity, Number.NaN, 2.7e36]) {
    if (!isRefused(writer, (frame, at) => new DataView(frame.buffer).setFloat32(at, wrong, true))) {
      return `a scale of ${wrong} is taken`;
    }
  }
  if (!isRefused(writer, (frame, at) => frame.set([0x80], at + 4))) return "-128 is taken";
  return isRefused(writer, () => undefined) ? "a good frame is refused" : undefined;
}

/** Whether a frame of the only row is refused with its values changed, which begin with a scale of 1. */
function isRefused(writer: Replica, change: (frame: Uint8Array, at: number) => void): boolean {
  const puller = start("b", BYTES);
  const frame = answerTo(puller, writer)[0];
  const values = [0, 0, 0x80, 0x3f, 127, 127, 127, 127];
  const at = frame?.findIndex((_, from) => values.every((byte, index) => frame[from + index] === byte)) ?? -1;
  if (frame === undefined || at < 0) throw new RangeError("Cannot change a frame: it does not hold the row written");
  change(frame, at);
  new DataView(frame.buffer).setUint32(frame.length - 4, crc32c(frame.subarray(0, frame.length - 4)), true);
  stepReplica(puller, { kind: "message", from: "peer", message: "frame", body: frame }, NOW);
  return puller.store.rows(0) === 0;
}

/** A number in [0, 1) that follows from a row's. */
function mixed(row: number): number {
  return nextFloat(createRandom(row));
}

function stepSecond(replica: Replica, keys: BigUint64Array): void {
  for (let step = 0; step < 512; step += 1) {
    write(replica, keys, (floats) => (floats[1] = (floats[1] ?? 0) + 2 ** -13));
  }
}

function numbersOf({ store }: Replica, keys: BigUint64Array): Float32Array {
  return floatsOf({ precision: "i8", dim: DIM }, store.read(0, keys).values);
}

function start(node: string, tables = HALVES): Replica {
  const writer = parseWriterId(`0.sim.${node}.l1`);
  return createReplica({ writer, store: createMapRowStore(tables, { state: true }) });
}

function write(replica: Replica, keys: BigUint64Array, change: (floats: Float32Array, row: number) => void): void {
  const writes = [
    { table: 0, keys, mutate: ({ floats, index }: { floats: Float32Array; index: number }) => change(floats, index) },
  ];
  stepReplica(replica, { kind: "write", writes }, NOW);
}

function pullWhole(puller: Replica, peer: Replica): void {
  for (const body of answerTo(puller, peer)) {
    stepReplica(puller, { kind: "message", from: "peer", message: "frame", body }, NOW);
  }
}

/** The frames of a peer's answer to a new pull. */
function answerTo(puller: Replica, peer: Replica): Uint8Array<ArrayBuffer>[] {
  const pullId = puller.writer.length.toString(16).padStart(32, "0");
  return stepReplica(puller, { kind: "pull", peer: "peer", pullId }, NOW).flatMap((asked) => {
    if (asked.kind !== "send" || asked.message !== "pull") return [];
    const answer = stepReplica(peer, { kind: "message", from: "us", message: "pull", body: asked.body }, NOW);
    return answer.flatMap((effect) => (effect.kind === "send" && effect.message === "frame" ? [effect.body] : []));
  });
}
