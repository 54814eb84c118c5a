/*
 * Hostile bytes for every decoder: whole messages with bytes changed, inserted, removed and repeated, their checksum put right
 * most times, and bytes from nowhere. A decoder gives a value or a DecodeError, whatever it is given, and takes no more time and memory
 * than its input is worth (decode-cost.ts).
 */
import { decodeEvents } from "../protocols/learning/event-message.ts";
import { decodeSampleBatch, decodeSampleColumns, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { decodeEntry, encodeEntry } from "../protocols/model-state/region-log.ts";
import { createRandom, nextBelow, nextFloat, type Random } from "../protocols/random.ts";
import { decodeBlocks } from "../protocols/sync/image-block.ts";
import { decodeHead } from "../protocols/sync/image-head.ts";
import { encodeImage, loadImage } from "../protocols/sync/image.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, type Replica, stepReplica } from "../protocols/sync/replica.ts";
import { type TableSpec } from "../protocols/sync/row-store.ts";
import { takeImage } from "../protocols/sync/take-image.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { ByteWriter } from "../protocols/wire/bytes.ts";
import { crc32c } from "../protocols/wire/checksum.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { describeFrame } from "../protocols/wire/describe-frame.ts";
import { decodeFrame, encodeFrame } from "../protocols/wire/frame-codec.ts";
import { decodeManifest, encodeManifest } from "../protocols/wire/manifest.ts";
import { buildOrphans, parseOrphans } from "../protocols/wire/orphans.ts";
import { encodePoll, parseChanges, parsePoll } from "../protocols/wire/poll.ts";
import { buildPull, parseMore, parsePull, parseRefuse, parseRelease } from "../protocols/wire/pull.ts";
import { decodeSegmentEnd, encodeSegmentEnd, SEGMENT_TAIL_BYTES } from "../protocols/wire/segment.ts";
import { buildReport, parseReport, parseSurvey } from "../protocols/wire/survey.ts";
import { type DecodeCost, type Decoding } from "./decode-cost.ts";

const NOW = 1_760_000_000_000;
const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "test" },
  { name: "bytes", dim: 3, valueBytes: 3, stateBytes: 0, precision: "bytes", optimizer: "" },
  { name: "halves", dim: 1, valueBytes: 2, stateBytes: 4, precision: "f16", optimizer: "" },
  { name: "scaled", dim: 1, valueBytes: 5, stateBytes: 4, precision: "i8", optimizer: "" },
];
const OURS = parseWriterId("0.sim.a.l1");
const THEIRS = parseWriterId("0.sim.b.l1");
const PULL = "0123456789abcdef".repeat(2);
const ANSWER = { responder: THEIRS, number: 3 };
const URGENT = { writer: THEIRS, number: 4 };
const SURVEY = { asker: THEIRS, round: 2 };
const CURSOR = { writer: THEIRS, change: 4 };
/** Rows a table in the few large inputs: what costs their square shows. */
const LARGE_ROWS = 8_000;
/** One round in so many gives one of the first three targets a large input. */
const LARGE_EVERY = 77;
/** Inputs whose time and objects are judged together. */
const TOGETHER = 100;

/** A decoder of bytes, and a message that it takes. */
interface Target {
  readonly name: string;
  readonly sample: Uint8Array;
  readonly large?: Uint8Array;
  /** Whether it ends in a checksum, else it is JSON. */
  readonly isBinary: boolean;
  readonly decode: (bytes: Uint8Array) => unknown;
}

/** Gives `inputs` hostile inputs, drawn from a seed, to all decoders in turn; returns what went wrong first. Counts what they cost where asked. */
export function fuzz(options: {
  readonly seed: number;
  readonly inputs: number;
  readonly cost?: DecodeCost;
}): string | undefined {
  const { seed, inputs, cost } = options;
  const random = createRandom(seed);
  const targets = buildTargets();
  let problem: string | undefined;
  let together: Decoding[] = [];
  for (let input = 0; input < inputs && problem === undefined; input += 1) {
    const target = targets[input % targets.length];
    if (target === undefined) throw new RangeError("Cannot fuzz: there is nothing to decode");
    const sample =
      input % (LARGE_EVERY * targets.length) === seed % 3 ? (target.large ?? target.sample) : target.sample;
    const bytes = hostile(sample, { random, isBinary: target.isBinary });
    function run(): void {
      try {
        target?.decode(bytes);
      } catch (error) {
        if (!(error instanceof DecodeError)) {
          problem ??= `input ${input} of seed ${seed}, given to ${target?.name}, ended in ${String(error)}`;
        }
      }
    }
    if (cost === undefined) run();
    else together.push({ bytes: bytes.length, run });
    if (cost === undefined || together.length < TOGETHER) continue;
    const costly = cost.judge(together);
    if (costly !== undefined) problem ??= `of the inputs up to ${input} of seed ${seed}: ${costly}`;
    together = [];
  }
  return problem;
}

function buildTargets(): Target[] {
  const [small, large] = [filled(3), filled(LARGE_ROWS)];
  const frames = { sample: frameOf(small), large: frameOf(large) };
  const images = { sample: encodeImage(small), large: encodeImage(large) };
  const [smallImage, largeImage] = [imageOf(small), imageOf(large)];
  const manifest = encodeManifest([{ id: PULL.slice(16), bytes: 300, checksum: 7 }]);
  const knowledge = new Map([[OURS, 7]]);
  const pull = buildPull({
    pullId: PULL,
    declaration: small.declaration,
    wantsState: true,
    epoch: 0,
    settled: 6,
    knowledge,
  });
  const horizon = { epoch: 3, settled: 6, before: 2, graveyard: new Map([[THEIRS, 5]]), expired: new Map([[1, 4]]) };
  const cursor = CURSOR;
  const shards = [{ shard: "s/0", counter: 1, generator: OURS }];
  const event = {
    type: "impression",
    request: "r",
    item: "i",
    user: "u",
    time: 1,
    features: { a: "b" },
    dense: { c: 1 },
  };
  const example = { user: "u", item: "i", features: { a: "b" }, dense: { c: 0.5 }, label: 1, weight: 2 };
  const published = { id: "r i", source: "oregon", time: 5, correction: false, ...example };
  const positions = [{ source: "oregon", applied: 1, needed: 1, newestTime: 5 }];
  const samples = { sample: samplesOf(3), large: samplesOf(LARGE_ROWS / 10) };
  const entry = { kind: "membership", atMs: 1, regions: ["oregon", "tokyo"], training: "oregon" } as const;
  const verdict = { kind: "verdict", atMs: 1, model: "m", from: "healthy", to: "uncertain", cause: "loss" } as const;
  return [
    { name: "decodeFrame()", ...frames, isBinary: true, decode: decodeFrame },
    { name: "decodeFrame() of urgent rows", sample: urgentFrameOf(small), isBinary: true, decode: decodeFrame },
    { name: "loadImage()", ...images, isBinary: true, decode: (bytes) => loadImage(bytes, newStore()) },
    unsealed("decodeHead()", { sample: smallImage.head, decode: decodeHead }),
    unsealed("decodeBlocks()", {
      sample: smallImage.block,
      large: largeImage.block,
      decode: (bytes) => [...decodeBlocks(bytes, { tables: TABLES, hasState: true, writers: 1 })],
    }),
    unsealed("decodeSegmentEnd()", { sample: segmentOf(smallImage), decode: decodeSegment }),
    { name: "decodeManifest()", sample: manifest, isBinary: true, decode: decodeManifest },
    { name: "describeFrame()", ...frames, isBinary: true, decode: (bytes) => describeFrame(bytes) },
    control("parsePull()", pull, parsePull),
    control("parsePull() of one that may stand", { ...pull, stands: { counter: 5, generator: THEIRS } }, parsePull),
    control("parseMore()", { pullId: PULL, answer: ANSWER, frames: [1, 2] }, parseMore),
    control("parseMore() of urgent rows", { pullId: PULL, answer: ANSWER, frames: [], urgent: URGENT }, parseMore),
    control(
      "parseOrphans()",
      buildOrphans(small.declaration, [{ table: 1, key: 2n ** 63n, t: 7, writer: OURS }]),
      parseOrphans,
    ),
    control("parseSurvey()", SURVEY, parseSurvey),
    control(
      "parseReport()",
      buildReport(SURVEY, { writer: OURS, horizon, knowledge, upTo: 8, strays: 1 }),
      parseReport,
    ),
    control("parseRelease()", { pullId: PULL, answer: ANSWER }, parseRelease),
    control("parseRefuse()", { pullId: PULL, reason: "gone" }, parseRefuse),
    control("parsePoll()", encodePoll({ pollId: 1, waitMs: 5, cursor }), parsePoll),
    control("parseChanges()", { pollId: 1, cursor, more: false, shards }, parseChanges),
    json(
      "decodeEvents()",
      textOf([event, { type: "feedback", kind: "click", request: "r", item: "i", time: 2 }]),
      decodeEvents,
    ),
    json("decodeSampleBatch() of JSON", textOf({ keepFrom: 1, positions, samples: [published] }), decodeSampleBatch),
    { name: "decodeSampleBatch()", ...samples, isBinary: true, decode: decodeSampleBatch },
    { name: "decodeSampleColumns()", ...samples, isBinary: true, decode: decodeSampleColumns },
    json("decodeEntry()", encodeEntry(entry), decodeEntry),
    json("decodeEntry() of a verdict", encodeEntry(verdict), decodeEntry),
  ];
}

/** A message of so many samples, with something of everything: gaps and runs, wide texts, numbers of every form. */
function samplesOf(count: number): Uint8Array {
  const positions = [
    { source: "oregon", applied: 9, needed: 3, newestTime: NOW, delays: { click: [0, 1.5, 2] } },
    { source: "tōkyō", applied: 0, needed: 0 },
  ];
  const samples = Array.from({ length: count }, (_, at) => ({
    id: `r${at >> 1}:i${at}:0`,
    source: "oregon",
    user: `u${at >> 1}`,
    item: `i${at}`,
    label: at % 2,
    weight: 1,
    time: NOW + 300 * at,
    correction: at === 1,
    features: { city: at % 2 === 0 ? "tōkyō" : "lima", ...(at % 3 > 0 && { recent: `a\nb${at}` }) },
    dense: { half: at / 2, third: at / 3, wide: at * 70_000, ...(at % 3 > 0 && { some: 1 }) },
    ...(at % 2 === 0 && { late: 0.25 }),
  }));
  return encodeSampleBatch({ keepFrom: 1, positions, samples, movedTo: { region: "lima", term: 1 } });
}

function json(name: string, sample: Uint8Array, decode: (bytes: Uint8Array) => unknown): Target {
  return { name, sample, isBinary: false, decode };
}

/** A message that is parsed after its JSON was: what is no JSON never comes to it. */
function control(name: string, message: unknown, parse: (value: unknown) => unknown): Target {
  return json(name, textOf(message), (bytes) => {
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      return undefined;
    }
    return parse(value);
  });
}

function textOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function newStore(): ReturnType<typeof createMapRowStore> {
  return createMapRowStore(TABLES, { state: true });
}

/** A replica with so many rows in each table. */
function filled(rows: number): Replica {
  const peer = createReplica({ writer: THEIRS, store: newStore() });
  for (const table of TABLES.keys()) {
    const keys = BigUint64Array.from({ length: rows }, (_, row) => 2n ** 63n - BigInt(row));
    stepReplica(peer, { kind: "write", writes: [{ table, keys, mutate: ({ bytes }) => void bytes.fill(1) }] }, NOW);
  }
  return peer;
}

/** A decoder of bytes that another layer has checked. */
function unsealed(name: string, target: Pick<Target, "sample" | "large" | "decode">): Target {
  const { sample, large, decode } = target;
  return {
    name,
    isBinary: true,
    sample: withoutSeal(sample),
    ...(large !== undefined && { large: withoutSeal(large) }),
    decode: (bytes) => decode(bytes.subarray(0, Math.max(0, bytes.length - 4))),
  };
}

function withoutSeal(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from([...bytes, 0, 0, 0, 0]);
}

/** The head and the first block of a replica's image. */
function imageOf(replica: Replica): { readonly head: Uint8Array; readonly block: Uint8Array } {
  const image = takeImage(replica, { what: "all" });
  const block = image.next();
  image.close("lost");
  if (block === undefined) throw new RangeError("Cannot fuzz blocks: there is none");
  return { head: image.head, block };
}

/** Of the blocks that `segmentOf` names. */
const SEGMENT_BYTES = 300;

/** What a segment says of itself, without its tail. */
function segmentOf({ head }: { readonly head: Uint8Array }): Uint8Array {
  const stored = { storedBytes: SEGMENT_BYTES - 9, bytes: SEGMENT_BYTES - 9, method: "stored", checksum: 5 } as const;
  const { bytes } = encodeSegmentEnd({ head, blocks: [stored, { ...stored, storedBytes: 9, method: "zstd" }] });
  return bytes.subarray(0, bytes.length - SEGMENT_TAIL_BYTES);
}

/** With a tail that fits, whatever came before it. */
function decodeSegment(bytes: Uint8Array): unknown {
  const writer = new ByteWriter(bytes.length + SEGMENT_TAIL_BYTES);
  writer.bytes(bytes);
  writer.u32(crc32c(bytes));
  writer.u32(bytes.length + 4);
  for (const byte of [0x46, 0x72, 0x53, 0x01]) writer.u8(byte);
  return decodeSegmentEnd(writer.finish(), writer.length + SEGMENT_BYTES);
}

/** The same rows as a frame of urgent ones. */
function urgentFrameOf(peer: Replica): Uint8Array {
  const frame = decodeFrame(frameOf(peer));
  const place = { index: 0, frames: 0, urgent: 300, end: undefined };
  return encodeFrame({ ...frame, ...place, tables: TABLES, batches: frame.sections });
}

/** The first frame of a replica's answer to a new one. */
function frameOf(peer: Replica): Uint8Array {
  const puller = createReplica({ writer: OURS, store: newStore() });
  const asked = stepReplica(puller, { kind: "pull", peer: "b", pullId: PULL }, NOW).find(({ kind }) => kind === "send");
  const body: unknown = asked?.kind === "send" ? asked.body : undefined;
  const answered = stepReplica(peer, { kind: "message", from: "a", message: "pull", body }, NOW);
  const frame = answered.find((effect) => effect.kind === "send" && effect.message === "frame");
  if (frame?.kind !== "send" || frame.message !== "frame") throw new RangeError("Cannot fuzz frames: none was sent");
  return frame.body;
}

function hostile(sample: Uint8Array, options: { readonly random: Random; readonly isBinary: boolean }): Uint8Array {
  const { random, isBinary } = options;
  const size = sample.length;
  if (nextFloat(random) < 0.1) return Uint8Array.from({ length: nextBelow(random, 200) }, () => nextBelow(random, 256));
  if (!isBinary && nextFloat(random) < 0.7) return changedJson(sample, random);
  const sealed = isBinary ? 4 : 0;
  let bytes: number[] = [...sample.subarray(0, size - sealed)];
  const edits = 1 + nextBelow(random, 4);
  for (let edit = 0; edit < edits; edit += 1) {
    const at = nextBelow(random, bytes.length + 1);
    const byte = [0, 1, 0x7f, 0x80, 0xff, nextBelow(random, 256)][nextBelow(random, 6)] ?? 0;
    const kind = nextBelow(random, 6);
    if (kind === 0) bytes.splice(at, 1);
    else if (kind === 1) bytes.splice(at, 0, byte);
    else if (kind === 2) bytes.splice(at, 0, ...bytes.slice(at, at + nextBelow(random, 40)));
    else if (kind === 3 && at > 0) bytes[at - 1] = byte;
    else if (kind === 4) bytes.splice(at, 1, ...hugeNumber(random));
    else if (nextFloat(random) < 0.2) bytes = bytes.slice(0, at);
  }
  const whole = Uint8Array.from(isBinary ? [...bytes, 0, 0, 0, 0] : bytes);
  if (isBinary && nextFloat(random) < 0.8) {
    new DataView(whole.buffer).setUint32(bytes.length, crc32c(whole.subarray(0, bytes.length)), true);
  }
  return whole;
}

/** A varint of two to seven bytes, in the place of a small one: what a length that is trusted would be. */
function hugeNumber(random: Random): number[] {
  return [
    ...Array.from({ length: 1 + nextBelow(random, 6) }, () => 0x80 | nextBelow(random, 128)),
    1 + nextBelow(random, 127),
  ];
}

/** A message with a value in another's place. */
function changedJson(sample: Uint8Array, random: Random): Uint8Array {
  const text = new TextDecoder().decode(sample);
  const values = ["null", "-1", "1e400", "9007199254740993", '""', "[]", "{}", '"__proto__"', "[[]]", "0.5", "true"];
  const value = values[nextBelow(random, values.length)] ?? "";
  const tokens = [...text.matchAll(/"[^"]*"|\d+|true|false/g)];
  const token = tokens[nextBelow(random, tokens.length)];
  const at = token?.index ?? 0;
  return new TextEncoder().encode(`${text.slice(0, at)}${value}${text.slice(at + (token?.[0].length ?? 0))}`);
}
