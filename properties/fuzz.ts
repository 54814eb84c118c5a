/*
 * Hostile bytes for every decoder: whole messages with bytes changed, inserted, removed and repeated, their checksum put right
 * every other time, and bytes from nowhere. A decoder gives a value or a DecodeError, whatever it is given.
 */
import { createRandom, nextBelow, nextFloat, type Random } from "../protocols/random.ts";
import { encodeImage, loadImage } from "../protocols/sync/image.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createReplica, stepReplica } from "../protocols/sync/replica.ts";
import { type TableSpec } from "../protocols/sync/row-store.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { crc32c } from "../protocols/wire/checksum.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { describeFrame } from "../protocols/wire/describe-frame.ts";
import { decodeFrame } from "../protocols/wire/frame-codec.ts";
import { parseChanges, parsePoll } from "../protocols/wire/poll.ts";
import { buildPull, parseMore, parsePull, parseRefuse, parseRelease } from "../protocols/wire/pull.ts";

const NOW = 1_760_000_000_000;
const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "test" },
  { name: "bytes", dim: 3, valueBytes: 3, stateBytes: 0, precision: "bytes", optimizer: "" },
];
const OURS = parseWriterId("0.sim.a.l1");
const THEIRS = parseWriterId("0.sim.b.l1");
const PULL = "0123456789abcdef".repeat(2);
const ANSWER = { responder: THEIRS, number: 3 };
const CURSOR = { writer: THEIRS, change: 4 };

const CONTROLS: readonly (readonly [parse: (value: unknown) => unknown, text: string])[] = [
  [parseMore, JSON.stringify({ pullId: PULL, answer: ANSWER, frames: [1, 2] })],
  [parseRelease, JSON.stringify({ pullId: PULL, answer: ANSWER })],
  [parseRefuse, JSON.stringify({ pullId: PULL, reason: "gone" })],
  [parsePoll, JSON.stringify({ pollId: 1, waitMs: 5, cursor: CURSOR })],
  [
    parseChanges,
    JSON.stringify({ pollId: 1, cursor: CURSOR, more: false, shards: [{ shard: "s/0", counter: 1, generator: OURS }] }),
  ],
];

/** Gives `inputs` hostile inputs, drawn from a seed, to all decoders in turn; returns what went wrong first. */
export function fuzz(options: { readonly seed: number; readonly inputs: number }): string | undefined {
  const random = createRandom(options.seed);
  const samples = buildSamples();
  const pull = buildPull({
    pullId: PULL,
    declaration: samples.declaration,
    wantsState: true,
    knowledge: new Map([[OURS, 7]]),
  });
  const controls = [...CONTROLS, [parsePull, JSON.stringify(pull)] as const];
  for (let input = 0; input < options.inputs; input += 1) {
    const kind = input % 4;
    try {
      if (kind === 0) decodeFrame(hostile(samples.frame, random));
      else if (kind === 1) loadImage(hostile(samples.image, random), createMapRowStore(TABLES, { state: true }));
      else if (kind === 2) describeFrame(hostile(samples.frame, random));
      else {
        const [parse, text] = controls[nextBelow(random, controls.length)] ?? [parsePull, "{}"];
        const given = hostileJson(text, random);
        if (given !== undefined) parse(given.value);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) return `input ${input} of seed ${options.seed} ended in ${String(error)}`;
    }
  }
  return undefined;
}

function buildSamples(): {
  readonly frame: Uint8Array<ArrayBuffer>;
  readonly image: Uint8Array<ArrayBuffer>;
  readonly declaration: string;
} {
  const peer = createReplica({ writer: THEIRS, store: createMapRowStore(TABLES, { state: true }) });
  for (const table of [0, 1]) {
    const keys = BigUint64Array.of(1n, 2n, 2n ** 63n);
    stepReplica(peer, { kind: "write", writes: [{ table, keys, mutate: ({ bytes }) => void bytes.fill(1) }] }, NOW);
  }
  const puller = createReplica({ writer: OURS, store: createMapRowStore(TABLES, { state: true }) });
  const asked = stepReplica(puller, { kind: "pull", peer: "b", pullId: PULL }, NOW).find(({ kind }) => kind === "send");
  const body: unknown = asked?.kind === "send" ? asked.body : undefined;
  const answered = stepReplica(peer, { kind: "message", from: "a", message: "pull", body }, NOW);
  const frame = answered.find((effect) => effect.kind === "send" && effect.message === "frame");
  if (frame?.kind !== "send" || frame.message !== "frame") throw new RangeError("Cannot fuzz frames: none was sent");
  return { frame: frame.body, image: encodeImage(peer), declaration: peer.declaration };
}

function hostile(sample: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const size = sample.length;
  if (nextFloat(random) < 0.1) return Uint8Array.from({ length: nextBelow(random, 200) }, () => nextBelow(random, 256));
  let bytes: number[] = [...sample.subarray(0, size - 4)];
  const edits = 1 + nextBelow(random, 4);
  for (let edit = 0; edit < edits; edit += 1) {
    const at = nextBelow(random, bytes.length + 1);
    const byte = [0, 1, 0x7f, 0x80, 0xff, nextBelow(random, 256)][nextBelow(random, 6)] ?? 0;
    const kind = nextBelow(random, 5);
    if (kind === 0) bytes.splice(at, 1);
    else if (kind === 1) bytes.splice(at, 0, byte);
    else if (kind === 2) bytes.splice(at, 0, ...bytes.slice(at, at + nextBelow(random, 40)));
    else if (kind === 3 && at > 0) bytes[at - 1] = byte;
    else if (nextFloat(random) < 0.2) bytes = bytes.slice(0, at);
  }
  const whole = Uint8Array.from([...bytes, 0, 0, 0, 0]);
  if (nextFloat(random) < 0.8) {
    new DataView(whole.buffer).setUint32(bytes.length, crc32c(whole.subarray(0, bytes.length)), true);
  }
  return whole;
}

/** A message with parts of its text changed, where that is JSON still; or with a value in another's place. */
function hostileJson(text: string, random: Random): { readonly value: unknown } | undefined {
  const values = ["null", "-1", "1e400", "9007199254740993", '""', "[]", "{}", '"__proto__"', "[[]]", "0.5", "true"];
  const value = values[nextBelow(random, values.length)] ?? "";
  const tokens = [...text.matchAll(/"[^"]*"|\d+|true|false/g)];
  const token = tokens[nextBelow(random, tokens.length)];
  const at = token?.index ?? 0;
  const changed = `${text.slice(0, at)}${value}${text.slice(at + (token?.[0].length ?? 0))}`;
  try {
    return { value: JSON.parse(changed) };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
