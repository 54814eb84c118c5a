import * as z from "zod";
import { duration, integer, size } from "./config-values.ts";

const retrained = z
  .strictObject({
    every: duration({ min: "1s", max: "30d" }).prefault("1h").meta({ description: "How often" }),
    keep: size({ min: "10KB", max: "1GB" })
      .prefault("64MB")
      .meta({ description: "The newest samples that the stream keeps for it, as they lie there" }),
  })
  .transform(({ every, keep }) => ({ everyMs: every, keepBytes: keep }));

const CALIBRATION_RULE = "two numbers, the first above 0 and at most 1, the second from 1 to 100";
/** How quality is shown over time. */
export const quality = z
  .strictObject({
    window: duration({ min: "1s", max: "1d" })
      .prefault("1m")
      .meta({ description: "How much time one point of the charts of quality is" }),
    windows: integer({ min: 1, max: 10_000 }).default(360).meta({ description: "Points that are kept, the newest" }),
    calibration: z
      .tuple([z.number().gt(0).max(1), z.number().min(1).max(100)], { error: CALIBRATION_RULE })
      .default([0.67, 1.5])
      .meta({ description: "A window whose predicted over clicked leaves these bounds is an alert in the log" }),
  })
  .transform(({ window, windows, calibration: [low, high] }) => ({
    windowMs: window,
    windows,
    calibration: { low, high },
  }));

/** When the model is retrained that online ones are compared with. */
export const baseline = z
  .union([z.literal(false), retrained], { error: 'false, or { "every": "1h", "keep": "64MB" }' })
  .default(false)
  .meta({
    description:
      "Each model is trained anew on a schedule, on the samples that the stream keeps, and judged on those that came since: what the online model is compared with. false: not",
  });
