import { expect, test } from "vitest";
import { systemClock, virtualClock } from "../runtime/clock.ts";
import { createLogger, jsonLine, type LogLine, readableLine } from "../runtime/log.ts";
import { createMetrics, mergeSeries, prometheusText } from "../runtime/metrics.ts";

test("createLogger() lets its level through, bounds a text's rate and says how many it left out", () => {
  const lines: LogLine[] = [];
  const clock = virtualClock(1_000_000);
  const log = createLogger((line) => lines.push(line), { source: "here", nowMs: () => clock.nowMs(), level: "info" });
  log.debug("never");
  for (let index = 0; index < 50; index++) log.warn("often", { index });
  expect(lines).toHaveLength(20);
  clock.advance(1000);
  log.warn("often", { index: 51 });
  expect(lines.at(-1)?.fields).toEqual({ index: 51, notLogged: 30 });
});

test("a log line carries errors with their causes and never anything that is no data", () => {
  const lines: LogLine[] = [];
  const log = createLogger((line) => lines.push(line), { source: "here", nowMs: () => 0 });
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  log.error("broken", {
    error: new Error("outer", { cause: new TypeError("inner") }),
    circle,
    big: 5n,
    call: () => 1,
    long: "x".repeat(5000),
  });
  const fields = structuredClone(lines[0]?.fields);
  expect(fields).toMatchObject({ error: "Error: outer; caused by TypeError: inner", circle: "[not data]", big: "5" });
  const [line] = lines;
  if (line === undefined) expect.unreachable();
  const parsed: unknown = JSON.parse(jsonLine(line));
  expect(parsed).toMatchObject({ time: "1970-01-01T00:00:00.000Z", level: "error", source: "here", text: "broken" });
  expect(readableLine(line)).toContain("00:00:00.000 error here  broken error=Error: outer");
  expect(jsonLine(line).length).toBeLessThan(3000);
});

test("a field never replaces what a JSON line says of itself", () => {
  const line: LogLine = { atMs: 0, level: "warn", source: "here", text: "odd", fields: {} };
  const fields = { other: 1, text: "fine", source: "elsewhere", level: "debug", time: "never" };
  expect(jsonLine({ ...line, fields })).toBe(jsonLine({ ...line, fields: { other: 1 } }));
});

test("metrics are bounded, merged over threads and written as Prometheus reads them", () => {
  const one = createMetrics();
  const two = createMetrics();
  for (const metrics of [one, two]) {
    metrics.count("freshet_a_total", 2, { peer: 'a"b\\c\nd' });
    metrics.gauge("freshet_same", 1);
    metrics.observe("freshet_seconds", 0.5);
    metrics.observe("freshet_seconds", 1e12);
  }
  one.gauge("freshet_only_here", 7);
  one.gauge("freshet_a_total", 1, { peer: 'a"b\\c\nd' });
  one.count("Not a name");
  const text = prometheusText(
    mergeSeries([
      { worker: "one", series: one.snapshot() },
      { worker: "two", series: two.snapshot() },
    ]),
  );
  expect(text).toContain('# TYPE freshet_a_total counter\nfreshet_a_total{peer="a\\"b\\\\c\\nd"} 4\n');
  expect(text).toContain('# TYPE freshet_same gauge\nfreshet_same{worker="one"} 1\nfreshet_same{worker="two"} 1\n');
  expect(text).toContain("freshet_only_here 7\n");
  expect(text).toContain("freshet_metrics_refused_total 2\n");
  expect(text).toContain('freshet_seconds_bucket{le="1"} 2\n');
  expect(text).toContain(
    'freshet_seconds_bucket{le="+Inf"} 4\nfreshet_seconds_sum 2000000000001\nfreshet_seconds_count 4\n',
  );
  const many = createMetrics();
  for (let index = 0; index < 6000; index++) many.count("freshet_many_total", 1, { index: String(index) });
  expect(many.snapshot()).toHaveLength(5001);
});

test("virtualClock() fires in the order of time, and what is cancelled never", () => {
  const clock = virtualClock();
  const fired: string[] = [];
  clock.after(20, () => fired.push("20"));
  clock.after(10, () => {
    fired.push("10");
    clock.after(5, () => fired.push("15"));
  });
  clock.after(10, () => fired.push("10 again"));
  clock.after(12, () => fired.push("never")).cancel();
  expect(clock.nextMs()).toBe(10);
  clock.advance(30);
  expect(fired).toEqual(["10", "10 again", "15", "20"]);
  expect(clock.nowMs()).toBe(30);
});

test("systemClock agrees with the machine's and waits longer than a timer can", async () => {
  const before = Date.now();
  const nowMs = systemClock.nowMs();
  // However long the machine took over it.
  const after = Date.now();
  expect(nowMs).toBeGreaterThan(before - 10);
  expect(nowMs).toBeLessThan(after + 10);
  let early = false;
  const timer = systemClock.after(2 ** 31 + 10, () => (early = true));
  await new Promise<void>((resolve) => void systemClock.after(5, resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(early).toBe(false);
  timer.cancel();
});
