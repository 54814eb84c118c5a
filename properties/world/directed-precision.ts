/*
 * A table of 16-bit floats, by hand: what is rounded, when, and what is kept of the exact numbers.
 */
import { createRandom, nextFloat } from "../../protocols/random.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, stepReplica } from "../../protocols/sync/replica.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { crc32c } from "../../protocols/wire/checksum.ts";

const NOW = 1_760_000_000_000;
const DIM = 4;
const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: DIM, valueBytes: 2 * DIM, stateBytes: 4 * DIM, precision: "f16", optimizer: "test" },
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
  const store = createMapRowStore(TABLES, { state: true });
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

function start(node: string): Replica {
  const writer = parseWriterId(`0.sim.${node}.l1`);
  return createReplica({ writer, store: createMapRowStore(TABLES, { state: true }) });
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
