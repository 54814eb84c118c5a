/*
 * What must hold of samples in columns: messages are what was written and have one encoding, keys are those of the texts, and a batch is planned as
 * if its samples were looked at one by one.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { keptOf, labelsIn, sightingsOf, valuesIn } from "../actors/sample-messages.ts";
import { readExamples } from "../protocols/columns/example-columns.ts";
import { numbersOf, readNumbers } from "../protocols/columns/number-column.ts";
import { lengthAt, readTexts, textsOf, unitBytes, writeTexts } from "../protocols/columns/text-column.ts";
import { keyOf, shardOf, writeKey } from "../protocols/keys.ts";
import { KeySet } from "../protocols/learning/key-set.ts";
import { isKept, lateOf } from "../protocols/learning/label-weights.ts";
import { decodeSampleBatch, decodeSampleColumns, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { columnsOfSamples, sampleBytesMax, samplesOf } from "../protocols/learning/sample-frame.ts";
import { fillDense, keyTexts, planBatch } from "../protocols/learning/training-batch.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { CATALOGUE } from "../protocols/model-layout.ts";
import { ByteReader, ByteWriter } from "../protocols/wire/bytes.ts";
import { crc32c } from "../protocols/wire/checksum.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { compiledPlansAreTheReference } from "./compiled-plans.ts";
import { batches, KEY_EDGES, PLAIN, samples, text } from "./drawn-samples.ts";
import * as oracle from "./key-oracle.ts";

/** Each alone, and what it says. */
export const LAWS: readonly (readonly [says: string, law: () => void])[] = [
  ["another encoding than the one is refused", otherEncodingsAreRefused],
  ["keys are numbered once", setsNumberKeysOnce],
  ["messages are read as written, in columns or as JSON", messagesAreReadAsWritten],
  ["a changed message has one encoding or none", hostileMessagesHaveOneEncoding],
  ["keys are those of the texts", keysAreThoseOfTexts],
  ["a plan is that of the samples one by one", plansAreThoseOfSamples],
  ["compiled code plans as the reference does", () => compiledPlansAreTheReference(MODEL)],
  ["labels, values and sightings are those of the samples", theRestIsThatOfSamples],
];

export function checkLaws(): void {
  for (const [, law] of LAWS) law();
}

function messagesAreReadAsWritten(): void {
  fc.assert(
    fc.property(batches, (batch) => {
      const bytes = encodeSampleBatch(batch);
      assert.deepEqual(decodeSampleBatch(bytes), batch);
      const none = encodeSampleBatch({ ...batch, samples: [] }).length;
      assert(bytes.length <= none + batch.samples.reduce((sum, each) => sum + sampleBytesMax(each), 0));
      // From within a larger buffer, at any place.
      const within = new Uint8Array(bytes.length + 3);
      within.set(bytes, 3);
      assert.deepEqual(decodeSampleBatch(within.subarray(3)), batch);
      // As they were before: JSON knows no minus zero, and no half of a pair.
      const json = new TextEncoder().encode(JSON.stringify(batch));
      const parsed: unknown = JSON.parse(new TextDecoder().decode(json));
      assert.deepEqual(decodeSampleBatch(json), parsed);
      const { columns } = decodeSampleColumns(json);
      const { samples: before } = decodeSampleBatch(json);
      assert.deepEqual(columns === undefined ? [] : samplesOf(columns), before);
    }),
    { numRuns: 60 },
  );
}

/** Each of these says what another encoding says, which is the one. */
function otherEncodingsAreRefused(): void {
  const five = [0, 0, 0, 0, 0, 0, 0x14, 0x40];
  const texts: readonly (readonly [size: number, ...bytes: number[]])[] = [
    [2, 0b10000, 0b11, 1, 1, 97, 98], // runs of one
    [2, 0b01000, 0b11, 1, 1, 97, 98], // gaps nowhere
    [3, 0b10000, 0b1001, 1, 1, 97, 98], // a bit behind the last
    [2, 0, 1, 1, 97, 97], // the same again
    [1, 0b00001, 1, 97, 0], // two bytes for what fits one
    [1, 0b00010, 1, 0, 97], // two bytes for a small length
  ];
  const numbers: typeof texts = [
    [1, 4, ...five], // a double for what is whole
    [2, 0, ...five, 0, 0], // the same again
    [1, 1, ...five, 0, 0], // two bytes for what fits one
    [1, 0, ...five, 1], // more than the smallest
  ];
  for (const [size, ...bytes] of texts) {
    assert.throws(() => readTexts(readerOf(bytes), size), DecodeError, String(bytes));
  }
  for (const [size, ...bytes] of numbers) {
    assert.throws(() => readNumbers(readerOf(bytes), size), DecodeError, String(bytes));
  }
  assert.equal(numbersOf(readNumbers(readerOf([0, ...five, 0]), 1), 0)[0], 5);
  assert.deepEqual(textsOf(readTexts(readerOf([0b10000, 0b1, 1, 97]), 2)), ["a", "a"]);
  const writer = new ByteWriter();
  writeTexts(writer, ["a", undefined]);
  writeTexts(writer, ["b", "c"]);
  for (const none of [0, 0]) writer.varint(none);
  assert.throws(() => readExamples(new ByteReader(writer.finish(), { what: "examples" }), 2), DecodeError);
  const named = Array.from({ length: 64 }, (_, at) => [`${"n".repeat(60)}${at}`, at / 3] as const);
  const one = { ...PLAIN, dense: Object.fromEntries(named) };
  const [without, with1] = [[], [one]].map((list) => encodeSampleBatch({ keepFrom: 1, positions: [], samples: list }));
  assert((with1?.length ?? 0) <= (without?.length ?? 0) + sampleBytesMax(one));
  const damaged = encodeSampleBatch({ keepFrom: 1, positions: [], samples: [PLAIN] });
  damaged[4] = 2;
  assert.throws(() => decodeSampleBatch(damaged), /checksum/);
}

function readerOf(bytes: readonly number[]): ByteReader {
  return new ByteReader(Uint8Array.from(bytes), { what: "a column" });
}

/** Of words that are often the same, many enough for the set to grow. */
function setsNumberKeysOnce(): void {
  const set = new KeySet();
  const numbers = new Map<bigint, number>();
  for (let at = 0; at < 7_000; at += 1) {
    const [low, high] = [(at * 7) % 61, (at * 11) % 53];
    const key = (BigInt(high) << 32n) | BigInt(low);
    const wanted = numbers.get(key) ?? numbers.size;
    numbers.set(key, wanted);
    assert.equal(set.numberOf(low, high), wanted);
  }
  assert.deepEqual([...set.keys()], [...numbers.keys()]);
}

/** What is taken has no other encoding. */
function hostileMessagesHaveOneEncoding(): void {
  let taken = 0;
  fc.assert(
    fc.property(
      batches.filter((batch) => batch.samples.length > 0),
      fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.nat(2)), { minLength: 1, maxLength: 3 }),
      (batch, edits) => {
        let bytes = [...encodeSampleBatch(batch).subarray(0, -4)];
        for (const [at, byte, how] of edits) {
          const place = 4 + (at % (bytes.length - 4));
          if (how === 0) bytes[place] = (bytes[place] ?? 0) ^ (1 << (byte % 8));
          else if (how === 1) bytes[place] = byte;
          else bytes = [...bytes.slice(0, place), byte, ...bytes.slice(place)];
        }
        const sealed = sealedOf(Uint8Array.from(bytes));
        try {
          const decoded = decodeSampleBatch(sealed);
          assert.deepEqual(encodeSampleBatch(decoded), sealed);
          taken += 1;
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      },
    ),
    { numRuns: 400 },
  );
  assert(taken > 20, `only ${taken} hostile messages were taken`);
  for (const problem of [
    { label: 1.5 },
    { weight: -1 },
    { late: 2 },
    { time: Number.NaN },
    { dense: { a: Infinity } },
  ]) {
    const broken = encodeSampleBatch({ keepFrom: 1, positions: [], samples: [{ ...PLAIN, ...problem }] });
    assert.throws(() => decodeSampleBatch(broken), DecodeError);
  }
}

function sealedOf(bytes: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(bytes.length + 4);
  sealed.set(bytes);
  new DataView(sealed.buffer).setUint32(bytes.length, crc32c(bytes), true);
  return sealed;
}

function keysAreThoseOfTexts(): void {
  fc.assert(
    fc.property(fc.oneof(text, fc.constantFrom(...KEY_EDGES)), fc.boolean(), (each, wide) => {
      const writer = new ByteWriter();
      // Beside a text of two bytes a unit, every text has them.
      writeTexts(writer, wide ? [each, "東"] : [each]);
      const column = readTexts(new ByteReader(writer.finish(), { what: "texts" }), wide ? 2 : 1);
      const words = new Uint32Array(2);
      writeKey(column, 0, lengthAt(column, 0), words);
      assert.equal((BigInt(words[1] ?? 0) << 32n) | BigInt(words[0] ?? 0), keyOf(each));
      assert.equal(lengthAt(column, 0) * unitBytes(column) <= column.units.length, true);
    }),
    { numRuns: 200 },
  );
}

const MODEL: ModelDeclaration = {
  name: "clicks",
  shards: 3,
  architecture: { kind: "logistic" },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item" },
    { name: "colours", key: "colour" },
    { name: "nothing", key: "nobody has it" },
    { name: "ages", key: "age-group" },
    { name: "tastes", key: "colour-for-age" },
    { name: "all", key: "all" },
    { name: "recent", key: "recent", sequence: { of: "recent", last: 2, pooling: "mean" } },
    { name: "colour-list", key: "colour", sequence: { of: "colour", last: 1, pooling: "max" } },
  ],
  dense: ["age", "price", "nobody has it"],
  derived: [
    { name: "age-group", kind: "bucketised", of: "age", bounds: [0, 100, 1e5] },
    { name: "colour-for-age", kind: "crossed", of: ["colour", "age-group"] },
    { name: "all", kind: "crossed", of: ["user", "colour-for-age", "item", "城市"] },
  ],
  optimizer: { kind: "ogd", learningRate: 0.1 },
  denseOptimizer: { kind: "ogd", learningRate: 0.1 },
};

function plansAreThoseOfSamples(): void {
  fc.assert(
    fc.property(fc.array(samples, { maxLength: 3 }), (all) => {
      const parts = all.filter((part) => part.length > 0).map(columnsOfSamples);
      const flat = all.flat();
      const plan = planBatch(MODEL, parts);
      assert.equal(plan.size, flat.length);
      for (const [at, table] of MODEL.tables.entries()) {
        const { keys, rowOf, list, shardStarts } = plan.tables[at] ?? assert.fail();
        const read = oracle.keyTexts(MODEL, table);
        const wanted = flat.map((each) => read(each).map(keyOf));
        const given = flat.map((_, sampleAt) =>
          [...rowOf.subarray(list?.starts[sampleAt] ?? sampleAt, list?.starts[sampleAt + 1] ?? sampleAt + 1)].map(
            (row) => keys[row],
          ),
        );
        assert.deepEqual(given, wanted, table.name);
        // Each key once, and none that no sample has; those of a shard side by side.
        assert.equal(new Set(keys).size, keys.length);
        assert.deepEqual(new Set(keys), new Set(wanted.flat()));
        assert.equal(shardStarts.length, MODEL.shards + 1);
        for (let shard = 0; shard < MODEL.shards; shard += 1) {
          for (const key of keys.subarray(shardStarts[shard], shardStarts[shard + 1])) {
            assert.equal(shardOf(at + 1, key, MODEL.shards), shard);
          }
        }
        assert.deepEqual(
          parts.flatMap((part) => keyTexts(MODEL, table, part)),
          flat.map(read),
        );
      }
      const dense = new Float32Array(flat.length * MODEL.dense.length).fill(9);
      fillDense(MODEL, parts, dense);
      const numbers = flat.flatMap((each) =>
        MODEL.dense.map((of) => (Object.hasOwn(each.dense, of) ? each.dense[of] : 0) ?? 0),
      );
      assert.deepEqual(dense, Float32Array.from(numbers));
    }),
    { numRuns: 60 },
  );
}

/** Labels, times, what is left out, values by which quality is told apart, and items that were seen. */
function theRestIsThatOfSamples(): void {
  const half: ModelDeclaration = { ...MODEL, negativesKept: 0.5 };
  fc.assert(
    fc.property(fc.array(samples, { maxLength: 3 }), (all) => {
      const parts = all.filter((part) => part.length > 0).map(columnsOfSamples);
      const flat = all.flat();
      const labels = labelsIn(parts);
      assert.deepEqual(
        [...labels.labels],
        flat.map(({ label }) => label),
      );
      assert.deepEqual(
        [...labels.weights],
        flat.map(({ weight }) => weight),
      );
      assert.deepEqual(
        [...labels.times],
        flat.map(({ time }) => time),
      );
      assert.deepEqual(
        flat.map((_, at) => lateOf(labels, at)),
        flat.map(({ late }) => late),
      );
      assert.deepEqual(keptOf(parts, MODEL), parts);
      assert.deepEqual(
        keptOf(parts, half).flatMap(samplesOf),
        flat.filter((each) => isKept(each, half)),
      );
      assert.deepEqual(
        valuesIn(parts, ["colour", "城市"]),
        flat.map(({ features }) => [features["colour"] ?? "", features["城市"] ?? ""]),
      );
      const sightings = sightingsOf(parts, MODEL.shards);
      const seen = new Map<string, { clicks: number; timeMs: number }>();
      for (const { item, label, time } of flat) {
        const { clicks, timeMs } = seen.get(item) ?? { clicks: 0, timeMs: 0 };
        seen.set(item, { clicks: clicks + label, timeMs: Math.max(timeMs, time) });
      }
      assert.equal(sightings.flat().length, seen.size);
      for (const [shard, list] of sightings.entries()) {
        for (const { item, key, ...rest } of list) {
          assert.equal(key, keyOf(item));
          assert.equal(shardOf(CATALOGUE, key, MODEL.shards), shard);
          assert.deepEqual(rest, seen.get(item));
        }
      }
    }),
    { numRuns: 40 },
  );
}
