import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Deviation } from "../crash-verdict.ts";
import { runCrashes } from "../crash-driver.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";

const KILLS = 200;
/** Of what went wrong, so many are told one by one. */
const TOLD_MAX = 20;

/** Feedback through processes that are killed at random moments: what was lost, and what took effect twice. */
export async function* crash(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { seed, progress, signal, kills = KILLS } = options;
  const keep = await mkdtemp(join(tmpdir(), "freshet-crash-"));
  const report = await runCrashes({ seed, kills, signal, keep, say: (line) => progress.write(`${line}\n`) }).catch(
    (error: unknown) => {
      throw new Error(`The run did not come to its end; what its nodes wrote is left in ${keep}`, { cause: error });
    },
  );
  await rm(keep, { recursive: true, force: true, maxRetries: 3 });
  function figure(name: string, value: number, unit: string): BenchFigure {
    return { bench: "crash", figure: name, value, unit };
  }
  function never(name: string, deviations: readonly Deviation[]): BenchFigure {
    for (const { what, expected, found } of deviations.slice(0, TOLD_MAX)) {
      progress.write(`${name}: ${what}: expected ${expected}, found ${found}\n`);
    }
    return zero(name, deviations.length);
  }
  function zero(name: string, value: number): BenchFigure {
    return { ...figure(name, value, ""), target: "0", met: value === 0 };
  }

  yield figure("processes killed", report.kills, "");
  yield figure("threads and actors ended alone", report.parts, "");
  yield figure("processes started", report.starts, "");
  yield zero("processes that gave up", report.gaveUp);
  yield figure("events acknowledged", report.events, "events");
  yield figure("sent again", report.resent, "requests");
  yield figure("impressions", report.impressions, "");
  yield figure("samples", report.samples, "");
  yield never("samples lost", report.lostSamples);
  yield never("samples doubled", report.doubledSamples);
  yield zero("samples not seen before they were purged", report.missed);
  yield figure("clicks", report.clicks, "");
  yield figure("clicks in the catalogue", report.clicksApplied, "");
  yield never("items with clicks lost", report.lostClicks);
  yield never("items with clicks doubled", report.doubledClicks);
  yield figure("steps of users' rows", report.steps, "");
  yield never("users with steps lost", report.lostSteps);
  yield never("users with steps doubled", report.doubledSteps);
}
