import { constants, deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { decodeFrame } from "../../protocols/wire/frame-codec.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { threadCpuMs } from "./thread-cpu.ts";
import { trainFrames } from "./trained-frames.ts";

interface Codec {
  readonly name: string;
  readonly pack: (bytes: Uint8Array) => Uint8Array;
  readonly unpack: (bytes: Uint8Array) => Uint8Array;
}

const CODECS: readonly Codec[] = [zstd(1), deflate(1)];
const SAMPLES = 120_000;
/** Each measurement takes at least this long. */
const LEAST_MS = 300;

/**
 * What lossless compression would save on frames of a trained model, and its price: by codec, over the bytes as they are and with the columns
 * of keys and values turned, so that the first bytes of all numbers stand together. A link gains where it is slower than `pays below`.
 */
export async function* compress({ seed, progress }: BenchOptions): AsyncGenerator<BenchFigure> {
  for (const precision of ["f32", "f16"] as const) {
    progress.write(`training ${SAMPLES} samples, ${precision}\n`);
    const { live, whole } = trainFrames({ seed, samples: SAMPLES, precision });
    const values = valuesOf(whole);
    for (const [what, frames] of [
      ["live", live],
      ["whole shard", whole],
      ["embedding values alone", [values.bytes]],
    ] as const) {
      const width = precision === "f32" ? 4 : 2;
      const turned =
        what === "embedding values alone"
          ? [turn(values.bytes, width)]
          : frames.map((frame) => turnColumns(frame, width));
      const name = `${precision} ${what}`;
      yield figure(`${name}: frames`, frames.length, "");
      yield figure(`${name}: bytes`, sum(frames), "B");
      for (const [form, inputs] of [
        ["", frames],
        [", turned", turned],
      ] as const) {
        for (const codec of CODECS) yield* measure(`${name}: ${codec.name}${form}`, codec, inputs);
      }
    }
  }
}

function* measure(name: string, codec: Codec, inputs: readonly Uint8Array[]): Generator<BenchFigure> {
  const packed = inputs.map((bytes) => codec.pack(bytes));
  const bytes = sum(inputs);
  const packMbPerSecond = bytes / microsecondsOf(() => inputs.forEach((each) => codec.pack(each)));
  const unpackMbPerSecond = bytes / microsecondsOf(() => packed.forEach((each) => codec.unpack(each)));
  const saved = 1 - sum(packed) / bytes;
  yield figure(`${name}: saved`, 100 * saved, "%");
  const msPerMb = 1000 / packMbPerSecond + 1000 / unpackMbPerSecond;
  yield figure(`${name}: CPU of both ends`, msPerMb, "ms/MB");
  // A byte saved spares its time on the link; it costs packing and unpacking all bytes.
  if (saved > 0) yield figure(`${name}: pays below`, (1000 * saved) / msPerMb, "MB/s");
}

/** This thread's CPU time for one run, so that whatever else the machine does is not in it. */
function microsecondsOf(work: () => void): number {
  work();
  const beforeMs = threadCpuMs();
  const startedMs = performance.now();
  let runs = 0;
  do {
    work();
    runs += 1;
  } while (performance.now() - startedMs < LEAST_MS);
  return ((threadCpuMs() - beforeMs) * 1000) / runs;
}

function zstd(level: number): Codec {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  return {
    name: `zstd ${level}`,
    pack: (bytes) => zstdCompressSync(bytes, { params }),
    unpack: (bytes) => zstdDecompressSync(bytes),
  };
}

function deflate(level: number): Codec {
  return {
    name: `deflate ${level}`,
    pack: (bytes) => deflateRawSync(bytes, { level }),
    unpack: (bytes) => inflateRawSync(bytes),
  };
}

/** A frame's bytes with the columns of keys and numbers turned; all else as it is. Its own bytes in another order, so as many. */
function turnColumns(bytes: Uint8Array, width: number): Uint8Array {
  const turned = bytes.slice();
  for (const { keys, values, table } of decodeFrame(bytes).sections) {
    const at = values.byteOffset - bytes.byteOffset;
    turned.set(turn(values, table === 0 ? 64 : table <= 2 ? width : 4), at);
    const first = new Uint8Array(keys.buffer, 0, Math.min(16, keys.byteLength));
    const keysAt = find(bytes, first, at);
    if (keysAt >= 0) turned.set(turn(new Uint8Array(keys.buffer), 8), keysAt);
  }
  return turned;
}

/** Where the last of these bytes before `before` stand. */
function find(bytes: Uint8Array, wanted: Uint8Array, before: number): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, before).lastIndexOf(wanted);
}

/** All first bytes of the numbers, then all second ones, and so on. */
function turn(bytes: Uint8Array, width: number): Uint8Array {
  const count = bytes.length / width;
  const turned = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at += 1) turned[(at % width) * count + Math.floor(at / width)] = bytes[at] ?? 0;
  return turned;
}

/** The values of the embedding tables, one after another. */
function valuesOf(frames: readonly Uint8Array[]): { readonly bytes: Uint8Array } {
  const parts = frames.flatMap((frame) =>
    decodeFrame(frame)
      .sections.filter(({ table }) => table === 1 || table === 2)
      .map(({ values }) => values),
  );
  return { bytes: Buffer.concat(parts) };
}

function sum(list: readonly Uint8Array[]): number {
  return list.reduce((total, { length }) => total + length, 0);
}

function figure(name: string, value: number, unit: string): BenchFigure {
  return { bench: "compress", figure: name, value, unit };
}
