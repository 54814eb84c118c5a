// Messages of samples, drawn: texts of one byte a unit and of two, numbers of every form, gaps, and neighbours that are the same.
import fc from "fast-check";
import { type PublishedSample, type SampleBatch } from "../protocols/learning/sample-batch.ts";

/** A sample that any law may change. */
export const PLAIN: PublishedSample = {
  id: "r:i:0",
  source: "oregon",
  user: "u",
  item: "i",
  label: 0,
  weight: 1,
  time: 5,
  correction: false,
  features: {},
  dense: {},
};

/** Texts at the edges of what is an integer of its own. */
export const KEY_EDGES = [
  "9223372036854775807",
  "9223372036854775808",
  "18446744073709551616",
  "4294967296",
  "007",
  "1a",
  "１",
];

export const text = fc.oneof(
  fc.constantFrom("", "0", "7", "42", "a", "é", "東京", "\ud800", "x".repeat(300)),
  fc.string({ unit: fc.constantFrom("1", "é", "東", "\n", ":"), maxLength: 5 }),
  fc.bigInt({ min: 0n, max: 2n ** 64n }).map(String),
);
const number = fc.oneof(
  fc.constantFrom(0, 1, -0, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 53, 0.5, 1 / 3, -1e300, 300, 70_000, 2 ** 32, 2 ** 33),
  fc.integer({ min: 0, max: 400 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const share = fc.constantFrom(0, 0.25, 1, 1 / 3);
const name = fc.constantFrom("age", "colour", "recent", "price", "__proto__", "城市");
const sample: fc.Arbitrary<PublishedSample> = fc.record(
  {
    id: text,
    source: fc.constantFrom("oregon", "tōkyō"),
    user: text,
    item: text,
    label: share,
    weight: fc.constantFrom(0, 1, 2.5),
    time: fc.integer({ min: 1_760_000_000_000, max: 1_760_000_100_000 }),
    correction: fc.boolean(),
    late: share,
    features: fc.dictionary(name, text, { noNullPrototype: true }),
    dense: fc.dictionary(name, number, { noNullPrototype: true }),
  },
  {
    noNullPrototype: true,
    requiredKeys: ["id", "source", "user", "item", "label", "weight", "time", "correction", "features", "dense"],
  },
);
/** Neighbours that often have the same, as the impressions of one request do. */
export const samples: fc.Arbitrary<PublishedSample[]> = fc
  .array(fc.tuple(sample, fc.nat(3)), { maxLength: 6, size: "max" })
  .map((all) => all.flatMap(([each, times]) => Array.from({ length: times }, () => each)));
const whole = fc.maxSafeNat();
export const batches: fc.Arbitrary<SampleBatch> = fc.record(
  {
    keepFrom: whole,
    positions: fc.array(
      fc.record(
        {
          source: text,
          applied: whole,
          needed: whole,
          newestTime: number,
          delays: fc.dictionary(text, fc.array(fc.double({ min: 0, max: 9, noNaN: true }).map((each) => each + 0)), {
            noNullPrototype: true,
          }),
        },
        { noNullPrototype: true, requiredKeys: ["source", "applied", "needed"] },
      ),
      { maxLength: 3 },
    ),
    samples,
    movedTo: fc.record({ region: text, term: whole }, { noNullPrototype: true }),
  },
  { noNullPrototype: true, requiredKeys: ["keepFrom", "positions", "samples"] },
);
