import { expect, test } from "vitest";
import { portsOf, steadyPorts } from "./free-ports.ts";

/** What Linux gives out by itself unless it is told otherwise; other systems begin higher. */
const GIVEN_OUT_FROM = 32_768;

test("steadyPorts() are all different also from call to call, of this worker's own, and none that the system gives out by itself", async () => {
  const { from, to } = portsOf(process.env["VITEST_POOL_ID"]);
  const ports = (await Promise.all([steadyPorts(40), steadyPorts(40)])).flat();
  expect(new Set(ports).size).toBe(80);
  for (const port of ports) expect(port >= from && port < to && port < GIVEN_OUT_FROM).toBe(true);
});

test("portsOf(): workers that run at once have nothing in common", () => {
  const ranges = ["1", "2", "3", "4"].map(portsOf).toSorted((a, b) => a.from - b.from);
  for (const [at, { from }] of ranges.entries()) expect(from).toBeGreaterThanOrEqual(ranges[at - 1]?.to ?? 20_000);
  expect(portsOf(undefined)).toEqual({ from: ranges[0]?.from, to: ranges.at(-1)?.to });
});
