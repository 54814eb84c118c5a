import { expect, test } from "vitest";
import { runCrashes } from "./crash-driver.ts";
import { deviationsOf, NO_DEVIATIONS } from "./crash-verdict.ts";

test("each click and each impression takes effect once over ten SIGKILLs and parts that end alone", async () => {
  const lines: string[] = [];
  const report = await runCrashes({ seed: 3, kills: 10, say: (line) => lines.push(line) });
  const { kills, clicks, clicksApplied, missed, refusal, gaveUp } = report;
  expect(deviationsOf(report), lines.join("\n")).toEqual(NO_DEVIATIONS);
  expect(clicksApplied).toBeCloseTo(clicks, 3);
  expect({ missed, refusal, gaveUp }).toEqual({ missed: 0, refusal: undefined, gaveUp: 0 });
  expect(kills).toBeGreaterThanOrEqual(10);
  expect(clicks).toBeGreaterThan(20);
}, 180_000);
