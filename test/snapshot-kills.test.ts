import { expect, test } from "vitest";
import { createRandom } from "../protocols/random.ts";
import { killWriters } from "./snapshot-kills.ts";

test("a shard that is killed ten times while it learns and writes images comes back whole each time, with all that was durable", async () => {
  const report = await killWriters({
    kills: 10,
    random: createRandom(Date.now()),
    signal: AbortSignal.timeout(100_000),
    progress: () => undefined,
  });
  expect(report).toMatchObject({ kills: 10, verified: 10, wrong: [] });
  expect(report.batches).toBeGreaterThan(0);
}, 120_000);
