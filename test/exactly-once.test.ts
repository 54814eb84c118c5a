import { expect, test } from "vitest";
import { runCrashes } from "./crash-driver.ts";

test("each click and each impression takes effect once over ten SIGKILLs and parts that end alone", async () => {
  const lines: string[] = [];
  const report = await runCrashes({ seed: 3, kills: 10, say: (line) => lines.push(line) });
  const { kills, clicks, clicksApplied, missed, refusal, gaveUp } = report;
  const { lostClicks, doubledClicks, lostSamples, doubledSamples, lostSteps, doubledSteps } = report;
  expect({ lostClicks, doubledClicks, lostSamples, doubledSamples, lostSteps, doubledSteps }, lines.join("\n")).toEqual(
    {
      lostClicks: [],
      doubledClicks: [],
      lostSamples: [],
      doubledSamples: [],
      lostSteps: [],
      doubledSteps: [],
    },
  );
  expect(clicksApplied).toBeCloseTo(clicks, 3);
  expect({ missed, refusal, gaveUp }).toEqual({ missed: 0, refusal: undefined, gaveUp: 0 });
  expect(kills).toBeGreaterThanOrEqual(10);
  expect(clicks).toBeGreaterThan(20);
}, 180_000);
