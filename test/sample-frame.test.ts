import { expect, test } from "vitest";
import { type PublishedSample, type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import {
  columnsOfSamples,
  decodeSampleFrame,
  isSampleFrame,
  sampleBytesMax,
  samplesOf,
} from "../protocols/learning/sample-frame.ts";
import { decodeReason, sealed } from "./decode-reason.ts";

const SAMPLE: PublishedSample = {
  id: "r1:i7:1",
  source: "oregon",
  user: "42",
  item: "i7",
  label: 0.5,
  weight: 2.5,
  time: 1_760_000_000_000,
  correction: true,
  features: { city: "tōkyō" },
  dense: { age: 31 },
};

function batchOf(samples: readonly PublishedSample[]): SampleBatch {
  return { keepFrom: 1, positions: [], samples };
}

test("samplesOf() gives back each field of each sample under its own name", () => {
  const other = {
    ...SAMPLE,
    id: "b",
    source: "c",
    user: "d",
    item: "e",
    label: 1,
    weight: 0,
    time: -1.5,
    correction: false,
  };
  const samples = [{ ...SAMPLE, late: 0.25 }, other, { ...other, late: 0 }];
  expect(samplesOf(columnsOfSamples(samples))).toStrictEqual(samples);
  expect(samplesOf(columnsOfSamples([other]))).toStrictEqual([other]);
});

test("sampleBytesMax() holds for a sample that is long in one place alone, and counts each of them once", () => {
  const none = encodeSampleBatch(batchOf([])).length;
  const wide = "東".repeat(1000);
  for (const change of [
    { id: wide },
    { source: wide },
    { user: wide },
    { item: wide },
    { features: { a: wide } },
    { features: { [wide]: "a" } },
    { dense: { [wide]: 1 / 3 } },
  ]) {
    const sample = { ...SAMPLE, ...change };
    expect(encodeSampleBatch(batchOf([sample])).length - none).toBeLessThanOrEqual(sampleBytesMax(sample));
    expect(sampleBytesMax(sample)).toBeLessThan(sampleBytesMax(SAMPLE) + 2000 + 100);
  }
});

test("isSampleFrame() knows a message of any version, and no other bytes", () => {
  const bytes = encodeSampleBatch(batchOf([]));
  expect(isSampleFrame(bytes)).toBe(true);
  expect(isSampleFrame(bytes.with(3, 2))).toBe(true);
  for (const at of [0, 1, 2]) expect(isSampleFrame(bytes.with(at, 0))).toBe(false);
  expect(isSampleFrame(new Uint8Array())).toBe(false);
  expect(reasonOf(bytes.with(3, 2))).toBe("it does not begin as one of this version");
  expect(() => decodeSampleFrame(new Uint8Array())).toThrow("Cannot decode a batch of samples: it ends too early");
});

const MAGIC = [0x46, 0x72, 0x4c, 1];
const NO_NUMBER = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
const MINUS_ONE = [0, 0, 0, 0, 0, 0, 0xf0, 0xbf];
const ZERO = [0, 0, 0, 0, 0, 0, 0, 0];
/** A position of a source without a name: how much was applied, and is needed. */
const POSITION = [0, 3, 2];

test("a message is read that says all that a position may say", () => {
  const bytes = sealed([...MAGIC, 5, 1, ...POSITION, 3, ...MINUS_ONE, 1, 2, 97, 1, ...ZERO, 1, 2, 98, 4, 0]);
  expect(decodeSampleFrame(bytes)).toEqual({
    keepFrom: 5,
    positions: [{ source: "", applied: 3, needed: 2, newestTime: -1, delays: { a: [0] } }],
    movedTo: { region: "b", term: 4 },
    columns: undefined,
  });
});

test.each([
  ["a position of an unknown form", [5, 1, ...POSITION, 4, 0, 0], "a position says what it has in an unknown way"],
  ["a time that is no number", [5, 1, ...POSITION, 1, ...NO_NUMBER, 0, 0], "a number is not finite"],
  [
    "a count of delays that is no number",
    [5, 1, ...POSITION, 2, 1, 2, 97, 1, ...NO_NUMBER, 0, 0],
    "a number is not finite",
  ],
  [
    "a count of delays below 0",
    [5, 1, ...POSITION, 2, 1, 2, 97, 1, ...MINUS_ONE, 0, 0],
    "a count of delays is below 0",
  ],
  ["kinds that fall", [5, 1, ...POSITION, 2, 2, 2, 98, 0, 2, 97, 0, 0, 0], "kinds do not rise"],
  ["a kind twice", [5, 1, ...POSITION, 2, 2, 2, 97, 0, 2, 97, 0, 0, 0], "kinds do not rise"],
  ["more counts than bytes", [5, 1, ...POSITION, 2, 1, 2, 97, 2, ...ZERO, 0, 0], "a number is greater than 1"],
  ["a stream that moved in an unknown way", [5, 0, 2, 0], "it says neither that the stream moved nor that it did not"],
  ["a byte behind the last", [5, 0, 0, 0, 9], "1 bytes are left over"],
  ["more positions than bytes", [5, 9, 0, 0], "a number is greater than 3"],
])("decodeSampleFrame() refuses %s", (_, body, reason) => {
  expect(reasonOf(sealed([...MAGIC, ...body]))).toBe(reason);
});

test("decodeSampleFrame() refuses labels, weights, corrections and shares out of their range, and takes their bounds", () => {
  const within = { label: 1, weight: 0, late: 1 };
  expect(samplesOf(columnsOfSamples([{ ...SAMPLE, ...within }]))).toStrictEqual([{ ...SAMPLE, ...within }]);
  for (const [change, bounds] of [
    [{ label: 1.5 }, "from 0 to 1"],
    [{ label: -0.5 }, "from 0 to 1"],
    [{ weight: -0.5 }, "from 0 to Infinity"],
    [{ late: 1.5 }, "from 0 to 1"],
    [{ late: -0.5 }, "from 0 to 1"],
  ] as const) {
    expect(() => columnsOfSamples([{ ...SAMPLE, ...change }])).toThrow(`a number is not ${bounds}`);
  }
});

test("a message takes 65,536 samples at most", () => {
  const samples = Array.from({ length: 65_537 }, () => SAMPLE);
  expect(() => encodeSampleBatch(batchOf(samples))).toThrow(
    new RangeError("Cannot write 65537 samples in one message: at most 65536"),
  );
  expect(decodeSampleFrame(encodeSampleBatch(batchOf(samples.slice(1)))).columns?.size).toBe(65_536);
});

function reasonOf(bytes: Uint8Array): string | undefined {
  return decodeReason(() => decodeSampleFrame(bytes));
}
