/*
 * Frames made by hand and given to a replica that asked for an answer: what it must refuse whole.
 */
import { SYNC_LIMITS, type SyncLimits } from "../../protocols/limits.ts";
import { NO_HORIZON } from "../../protocols/sync/horizon.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, stepReplica } from "../../protocols/sync/replica.ts";
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { type WriterId } from "../../protocols/sync/version.ts";
import { crc32c } from "../../protocols/wire/checksum.ts";
import { DecodeError } from "../../protocols/wire/decode-error.ts";
import { decodeFrame, encodeFrame } from "../../protocols/wire/frame-codec.ts";
import { NOW, OURS, THEIRS } from "./situation.ts";

const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "test" },
];
const PULL = "0".repeat(31).concat("1");
const ONE = [0, 0, 0x80, 0x3f];

interface Made {
  readonly t?: number;
  readonly writer?: WriterId;
  readonly values?: readonly number[];
  readonly state?: readonly number[] | undefined;
  readonly knows?: number;
  /** As a frame of urgent rows. */
  readonly urgent?: boolean;
}

/** I2: a frame is written in one way only: what is taken is what would have been written. */
export function oneEncoding(): string | undefined {
  const bytes = frame({});
  const decoded = decodeFrame(bytes);
  const again = encodeFrame({ ...decoded, tables: TABLES, batches: decoded.sections });
  return again.every((byte, at) => byte === bytes[at]) && again.length === bytes.length
    ? undefined
    : "a frame read and written again is another";
}

/** I3: numbers that are none never get in, as values or as state. */
export function notFinite(): string | undefined {
  if (!isTaken({})) return "a good frame is refused";
  for (const bad of [
    [0, 0, 0xc0, 0x7f],
    [0, 0, 0x80, 0x7f],
    [0, 0, 0x80, 0xff],
    [1, 0, 0x80, 0xff],
  ]) {
    if (isTaken({ values: bad })) return "a value that is no number is taken";
    if (isTaken({ values: bad, urgent: true })) return "an urgent value that is no number is taken";
    if (isTaken({ state: bad })) return "state that is no number is taken";
  }
  return undefined;
}

/** I4: nobody else mints versions in our name: none later than our last is taken, as a row or as knowledge. */
export function mintedInOurName(): string | undefined {
  if (isTaken({ writer: OURS, t: NOW * 1000 })) return "a row in our name that we never wrote is taken";
  const replica = asking();
  receive(replica, frame({ knows: 1 }, OURS));
  return replica.knowledge.has(OURS) ? "knowledge in our name of what we never wrote is taken" : undefined;
}

/** V10: rows or knowledge from the far future are refused: they would drag every later stamp along. */
export function fromTheFuture(): string | undefined {
  const far = (NOW + SYNC_LIMITS.jumpMs) * 1000 + 1;
  if (isTaken({ t: far })) return "a row from the far future is taken";
  const replica = asking();
  receive(replica, frame({ knows: far }));
  return replica.knowledge.size > 0 || replica.stamper.greatestSeen >= far
    ? "knowledge of the far future is taken"
    : undefined;
}

/** I7: a frame of another layout version is refused whole, whatever else it says. */
export function anotherLayout(): string | undefined {
  const bytes = sealed(frame({}).map((byte, at) => (at === 2 ? 77 : byte)));
  const replica = asking();
  const effects = receive(replica, bytes);
  const isRefused = effects.length === 1 && effects[0]?.kind === "refused" && effects[0].reason === "undecodable";
  return isRefused && replica.store.rows(0) === 0 ? undefined : "a frame of an unknown layout version is taken";
}

/** I8: a peer may claim any number of frames of a full copy: nothing waits for the end of one that is too large, and another may come. */
export function endlessCopy(): string | undefined {
  const bytes = copied(0).length;
  const replica = asking({ ...SYNC_LIMITS, copyBytesMax: 3 * bytes });
  for (let index = 0; index < 3; index += 1) receive(replica, copied(index));
  if (replica.pull?.staged.length !== 3) return "a copy that is not too large is refused";
  const effects = receive(replica, copied(3));
  if (!effects.some((effect) => effect.kind === "refused" && effect.reason === "full")) {
    return "a copy that is too large waits for more";
  }
  if (replica.pull !== undefined || replica.unfinished.size > 0) return "a copy that was refused is kept";
  stepReplica(replica, { kind: "pull", peer: "b", pullId: PULL }, NOW);
  receive(replica, frame({}));
  return replica.store.rows(0) > 0 ? undefined : "after a copy that was refused nothing is taken";
}

/** One of many frames of a full copy. */
function copied(index: number): Uint8Array<ArrayBuffer> {
  const one = { ...decodeFrame(frame({})), index, frames: SYNC_LIMITS.framesMax, replaces: true, end: undefined };
  return encodeFrame({ ...one, tables: TABLES, batches: one.sections });
}

/** X9: a full replica asks for optimizer state, a serving one does not give it, and rows without it are not taken. */
export function withoutState(): string | undefined {
  const serving = createReplica({ writer: THEIRS, store: createMapRowStore(TABLES, { state: false }) });
  const [ask] = stepReplica(createFull(), { kind: "pull", peer: "b", pullId: PULL }, NOW);
  if (ask?.kind !== "send" || ask.message !== "pull") return "a pull sends nothing";
  const [answer] = stepReplica(serving, { kind: "message", from: "a", message: "pull", body: ask.body }, NOW);
  if (answer?.kind !== "send" || answer.message !== "refuse") return "a serving replica answers a full one";
  return isTaken({ state: undefined }) ? "rows without their optimizer state are taken" : undefined;
}

/** I1: bytes from anywhere end in a frame or in a DecodeError, and bytes with one bit changed in the latter. */
export function anyBytes(): string | undefined {
  const bytes = frame({});
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = sealed(bytes.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte)));
    for (const hostile of [changed, bytes.subarray(0, bit >> 3), sealed(enlarged(bytes, bit >> 3))]) {
      try {
        decodeFrame(hostile);
      } catch (error) {
        if (!(error instanceof DecodeError)) return `bytes ended in ${String(error)}`;
      }
    }
  }
  return undefined;
}

/** With the checksum that its bytes call for. */
function sealed(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const end = bytes.length - 4;
  new DataView(bytes.buffer).setUint32(end, crc32c(bytes.subarray(0, end)), true);
  return bytes;
}

/** With a huge number in the place of a byte. */
function enlarged(bytes: Uint8Array, at: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(...bytes.subarray(0, at), 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 8, ...bytes.subarray(at + 1));
}

function isTaken(made: Made): boolean {
  const replica = asking();
  receive(replica, frame(made));
  return replica.store.rows(0) > 0;
}

function createFull(limits: SyncLimits = SYNC_LIMITS): Replica {
  return createReplica({ writer: OURS, store: createMapRowStore(TABLES, { state: true }), limits });
}

function asking(limits?: SyncLimits): Replica {
  const replica = createFull(limits);
  stepReplica(replica, { kind: "pull", peer: "b", pullId: PULL }, NOW);
  return replica;
}

function receive(replica: Replica, body: Uint8Array): ReturnType<typeof stepReplica> {
  return stepReplica(replica, { kind: "message", from: "b", message: "frame", body }, NOW);
}

/** The only frame of an answer: one row, and a knowledge that covers it. */
function frame(made: Made, knower: WriterId = THEIRS): Uint8Array<ArrayBuffer> {
  const { t = NOW * 1000, writer = THEIRS, values = ONE, knows, urgent = false } = made;
  const state = "state" in made ? made.state : ONE;
  return encodeFrame({
    declaration: createFull().declaration,
    pullId: PULL,
    answer: { responder: THEIRS, number: 1 },
    index: 0,
    frames: urgent ? 0 : 1,
    urgent: urgent ? 1 : undefined,
    hasState: state !== undefined,
    replaces: false,
    tables: TABLES,
    writers: [writer],
    batches:
      knows === undefined
        ? [
            {
              table: 0,
              keys: BigUint64Array.of(7n),
              t: Float64Array.of(t),
              writers: Uint16Array.of(0),
              flags: Uint8Array.of(0),
              values: Uint8Array.from(values),
              state: state && Uint8Array.from(state),
            },
          ]
        : [],
    end: urgent
      ? undefined
      : {
          knowledge: knows === undefined ? new Map() : new Map([[knower, knows]]),
          horizon: NO_HORIZON,
          version: { counter: 1, generator: THEIRS },
          early: false,
          applied: new Map(),
        },
  });
}
