import fc from "fast-check";
import { expect, test } from "vitest";
import { shortJson } from "../runtime/short-json.ts";

const BYTES_MAX = 8192;

test("shortJson() gives short JSON for any value whatever", () => {
  const large = fc.record({
    text: fc.string({ minLength: 300, maxLength: 5000, unit: "binary" }),
    many: fc.array(fc.dictionary(fc.string({ maxLength: 400 }), fc.string()), { maxLength: 300 }),
    rows: fc.float32Array({ maxLength: 2000 }),
  });
  fc.assert(
    fc.property(fc.oneof(fc.anything({ withTypedArray: true, withBigInt: true, withMap: true }), large), (value) => {
      const text = shortJson(value);
      if (value === undefined) expect(text).toBe("");
      else JSON.parse(text);
      expect(Buffer.byteLength(text)).toBeLessThan(BYTES_MAX);
    }),
  );
});

test("shortJson() keeps small plain data as it is", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 2 }), (value) => {
      const full = JSON.stringify(value);
      fc.pre(full.length < 150);
      const back: unknown = JSON.parse(shortJson(value));
      expect(back).toEqual(JSON.parse(full));
    }),
  );
});

test("shortJson() marks what it left out and survives cycles, getters and deep nesting", () => {
  expect(shortJson({ rows: new Float64Array(9), view: new DataView(new ArrayBuffer(3)), nan: NaN })).toBe(
    '{"rows":{"$float64":[0,0,0,0,0,0,0,0],"length":9},"view":{"$dataview":[],"length":3},"nan":"NaN"}',
  );
  expect(shortJson(new SharedArrayBuffer(1))).toBe('{"$uint8":[0],"length":1}');
  expect(shortJson([new Map([[1, 2]]), new Date(0), () => 1, undefined, -1n])).toBe(
    '["[Map]","[Date]","[function]",null,"-1"]',
  );
  const many = shortJson(Array.from({ length: 100_000 }, () => 1));
  expect(many).toMatch(/,\{"\$more":9\d+\}\]$/);
  expect(many.length).toBeLessThan(BYTES_MAX);
  const circle: unknown[] = [];
  circle.push(circle, circle, circle, circle);
  JSON.parse(shortJson(circle));
  const broken = {
    get field(): number {
      throw new Error("as asked");
    },
  };
  expect(shortJson(broken)).toBe('"[not data]"');
});
