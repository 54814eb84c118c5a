import { expect, test } from "vitest";
import { drawRanges, type RangeChart } from "./bench/range-chart.ts";

const CHART: RangeChart = {
  title: "A & B <both>",
  axis: "seconds",
  note: "as measured",
  series: [
    { name: "one", shape: "circle", colour: ["#111111", "#eeeeee"] },
    { name: "two", shape: "diamond", colour: ["#222222", "#dddddd"], hollow: true },
  ],
  rows: [
    { label: "first", marks: [{ series: 0, value: 0.1, upTo: 10 }] },
    { label: "second", marks: [{ series: 1, value: 1 }] },
  ],
};

test("drawRanges() gives one document with every element closed and every text escaped", () => {
  const svg = drawRanges(CHART);
  const open: string[] = [];
  for (const [, slash = "", name = "", ends = ""] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (slash !== "") expect(open.pop()).toBe(name);
    else if (ends === "") open.push(name);
  }
  expect(open).toEqual([]);
  expect(svg).toContain("A &amp; B &lt;both&gt;");
  for (const words of ["first", "second", "one", "two", "seconds", "as measured", "0.1", "10"]) {
    expect(svg).toContain(`>${words}<`);
  }
  expect(svg).toContain("prefers-color-scheme:dark");
});

test("drawRanges() places values by their logarithm", () => {
  const svg = drawRanges(CHART);
  const line = /class="s0 range" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"/.exec(svg);
  const middle = /class="s1 hollow" d="M[\d.]+ [\d.]+L([\d.]+)/g;
  const [from, to] = [Number(line?.[1]), Number(line?.[2])];
  // The first hollow mark is the legend's.
  const [, mark] = [...svg.matchAll(middle)];
  expect(from).toBeLessThan(to);
  expect(Number(mark?.[1])).toBeCloseTo((from + to) / 2, 0);
});

test("drawRanges() refuses what a logarithmic axis cannot show", () => {
  for (const value of [0, -1, Number.NaN, Infinity]) {
    const rows = [{ label: "bad", marks: [{ series: 0, value }] }];
    expect(() => drawRanges({ ...CHART, rows })).toThrow(RangeError);
  }
  expect(() => drawRanges({ ...CHART, rows: [] })).toThrow(RangeError);
});
