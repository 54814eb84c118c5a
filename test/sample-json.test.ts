import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { decodeSampleBatch, decodeSampleColumns, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { samplesOf } from "../protocols/learning/sample-frame.ts";
import { decodeSampleJson } from "../protocols/learning/sample-json.ts";
import { decodeReason } from "./decode-reason.ts";

/** A message as streams held them before samples were in columns: JSON, of the joiner of that time. */
const BEFORE = new URL("fixtures/samples/message.json", import.meta.url);

const POSITION = { source: "oregon", applied: 12, needed: 9, newestTime: -1.5, delays: { click: [0, 3, 1.5] } };
const SAMPLE = {
  id: "r1:i7:1",
  source: "oregon",
  user: "42",
  item: "i7",
  label: 1,
  weight: 2.5,
  time: 1_760_000_000_000,
  correction: false,
  late: 0.125,
  features: { city: "tōkyō" },
  dense: { age: 31 },
};
const BATCH = {
  keepFrom: 41,
  positions: [POSITION],
  samples: [SAMPLE],
  movedTo: { region: "tokyo", term: 3 },
};

test("a message of the form before is read, and what it says is the same in columns", async () => {
  const bytes = new Uint8Array(await readFile(BEFORE));
  const batch = decodeSampleBatch(bytes);
  expect(batch.keepFrom).toBe(41);
  expect(batch.positions).toHaveLength(2);
  expect(batch.samples.map(({ id, late }) => [id, late])).toEqual([
    ["r1:i7:1", undefined],
    ["r1:i8:0", 0.125],
    ["r0:i8:1", undefined],
  ]);
  const columns = encodeSampleBatch(batch);
  expect(decodeSampleBatch(columns)).toEqual(batch);
  // The first bytes of every message from now on.
  expect([...columns.subarray(0, 4)]).toEqual([0x46, 0x72, 0x4c, 1]);
});

test("decodeSampleJson() gives all that a message says, and nothing else", () => {
  expect(decodeSampleJson(json({ ...BATCH, more: 1 }))).toStrictEqual(BATCH);
  const { movedTo: _, ...unmoved } = BATCH;
  const { newestTime: _newest, delays: _delays, ...bare } = POSITION;
  const { late: _late, ...punctual } = SAMPLE;
  const least = { ...unmoved, positions: [bare], samples: [punctual] };
  expect(decodeSampleJson(json(least))).toStrictEqual(least);
  const unknown = { ...least, positions: [{ ...bare, more: 1 }], samples: [{ ...punctual, more: 1 }] };
  expect(decodeSampleJson(json(unknown))).toStrictEqual(least);
  expect(decodeSampleColumns(json({ ...BATCH, samples: [] }))).toStrictEqual({
    keepFrom: 41,
    positions: [POSITION],
    movedTo: BATCH.movedTo,
    columns: undefined,
  });
  const { columns } = decodeSampleColumns(json(BATCH));
  expect(columns && samplesOf(columns)).toEqual([SAMPLE]);
});

test.each([
  { ...BATCH, keepFrom: 0 },
  { ...BATCH, keepFrom: Number.MAX_SAFE_INTEGER },
  { ...BATCH, movedTo: { region: "", term: 0 } },
  { ...BATCH, positions: [{ ...POSITION, delays: { click: [0] } }] },
  ...[
    { label: 0, weight: 0, late: 0 },
    { label: 1, late: 1 },
    { label: 0.5, time: -1.5, correction: true },
    { features: {}, dense: {} },
  ].map((change) => ({ ...BATCH, samples: [{ ...SAMPLE, ...change }] })),
])("decodeSampleJson() takes what is just within bounds: %j", (batch) => {
  expect(decodeSampleJson(json(batch))).toEqual(batch);
});

const NO_NUMBERS = ["1", null, true, [1], { value: 1 }];
const NO_COUNTS = [...NO_NUMBERS, -1, 1.5, 2 ** 53, undefined];
const NO_TEXTS = [1, null, true, ["a"], {}, undefined];
const NO_OBJECTS = ["a", 1, true, null, []];

/** Where a message is wrong, with which values, and what is said of it. */
const WRONG: readonly (readonly [where: string, values: readonly unknown[], reason: string])[] = [
  ["keepFrom", NO_COUNTS, "keepFrom is no whole number from 0"],
  ["positions", [{}, "a", 1, null, undefined], "positions is no list"],
  ["positions.0", NO_OBJECTS, "a position is no object"],
  ["positions.0.source", NO_TEXTS, "source is no text"],
  ["positions.0.applied", NO_COUNTS, "applied is no whole number from 0"],
  ["positions.0.needed", NO_COUNTS, "needed is no whole number from 0"],
  ["positions.0.newestTime", NO_NUMBERS, "newestTime is no finite number"],
  ["positions.0.delays", NO_OBJECTS, "delays is no object"],
  ["positions.0.delays.click", [{}, 1, "a", null], "delays is no list"],
  ["positions.0.delays.click.1", NO_NUMBERS, "delays is no finite number"],
  ["positions.0.delays.click.1", [-0.5], "a count of delays is below 0"],
  ["samples", [{}, "a", 1, null, undefined], "samples is no list"],
  ["samples.0", NO_OBJECTS, "a sample is no object"],
  ["samples.0.id", NO_TEXTS, "id is no text"],
  ["samples.0.source", NO_TEXTS, "source is no text"],
  ["samples.0.user", NO_TEXTS, "user is no text"],
  ["samples.0.item", NO_TEXTS, "item is no text"],
  ["samples.0.label", [...NO_NUMBERS, undefined], "label is no finite number"],
  ["samples.0.label", [-0.01, 1.01], "label or weight out of range"],
  ["samples.0.weight", [...NO_NUMBERS, undefined], "weight is no finite number"],
  ["samples.0.weight", [-0.01], "label or weight out of range"],
  ["samples.0.time", [...NO_NUMBERS, undefined], "time is no finite number"],
  ["samples.0.correction", [0, "false", null, undefined], "correction is neither true nor false"],
  ["samples.0.late", NO_NUMBERS, "late is no finite number"],
  ["samples.0.late", [-0.01, 1.01], "late out of range"],
  ["samples.0.features", [...NO_OBJECTS, undefined], "features are not all texts"],
  ["samples.0.features.city", NO_TEXTS.slice(0, -1), "features are not all texts"],
  ["samples.0.dense", [...NO_OBJECTS, undefined], "features are not all finite numbers"],
  ["samples.0.dense.age", NO_NUMBERS, "features are not all finite numbers"],
  ["movedTo", NO_OBJECTS, "movedTo is no object"],
  ["movedTo.region", NO_TEXTS, "region is no text"],
  ["movedTo.term", NO_COUNTS, "term is no whole number from 0"],
];

test.each(WRONG)("decodeSampleJson() refuses a wrong %s, and names it", (where, values, reason) => {
  for (const value of values) expect(reasonOf(json(changed(BATCH, where.split("."), value)))).toBe(reason);
});

test("decodeSampleJson() refuses numbers that no double holds", () => {
  const text = new TextDecoder().decode(json(BATCH));
  for (const [field, reason] of [
    ["time", "time is no finite number"],
    ["age", "features are not all finite numbers"],
    ["keepFrom", "keepFrom is no whole number from 0"],
  ]) {
    const huge = text.replace(new RegExp(`"${field}":[0-9]+`), `"${field}":1e999`);
    expect(reasonOf(new TextEncoder().encode(huge))).toBe(reason);
  }
});

test("decodeSampleJson() reads every way to say -0 as 0", () => {
  const zeros = {
    keepFrom: 0,
    positions: [{ ...POSITION, applied: 0, needed: 0, newestTime: 0, delays: { click: [0] } }],
    samples: [{ ...SAMPLE, label: 0, weight: 0, time: 0, late: 0, dense: { age: 0 } }],
    movedTo: { region: "tokyo", term: 0 },
  };
  const text = new TextDecoder().decode(json(zeros));
  for (const zero of ["-0", "-0.0", "-0e9", "-1.5693781442101e-1294"]) {
    const said = text.replaceAll(/(?<=[:[])0(?=[,\]}])/g, zero);
    expect(said.split(zero)).toHaveLength(12);
    // toEqual() tells -0 from 0.
    expect(decodeSampleJson(new TextEncoder().encode(said))).toEqual(zeros);
  }
});

test("decodeSampleJson() refuses what is no JSON, no UTF-8, or no object", () => {
  expect(reasonOf(new TextEncoder().encode("{"))).toBe("it is no JSON");
  expect(reasonOf(new Uint8Array())).toBe("it is no JSON");
  // Any decoder but a strict one makes a text of these bytes.
  expect(reasonOf(Uint8Array.of(0x22, 0xff, 0x22))).toBe("it is no JSON");
  for (const value of NO_OBJECTS) expect(reasonOf(json(value))).toBe("the message is no object");
  expect(() => decodeSampleJson(json(1))).toThrow("Cannot decode a batch of samples: the message is no object");
});

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** The same value with another in one place. What is undefined is left out. */
function changed(value: unknown, [step, ...steps]: readonly string[], to: unknown): unknown {
  if (step === undefined) return to;
  if (Array.isArray(value)) {
    const list: readonly unknown[] = value;
    return list.map((each, at) => (at === Number(step) ? changed(each, steps, to) : each));
  }
  const record = Object.fromEntries(Object.entries(value ?? {}));
  return { ...record, [step]: changed(record[step], steps, to) };
}

function reasonOf(bytes: Uint8Array): string | undefined {
  return decodeReason(() => decodeSampleJson(bytes));
}
