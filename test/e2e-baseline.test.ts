import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import { type RegionConfigInput } from "../regions/config.ts";
import { startNode } from "../regions/node.ts";
import { readConfig } from "../regions/read-config.ts";
import { LEAST, parse, problemsOf } from "./config-parsing.ts";
import { eventually } from "./e2e-support.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { startTestNats } from "./real-nats.ts";

const REGION = "here";
const SUBJECT = `freshet.${REGION}.samples.all.all.${REGION}`;

test("a node retrains the baseline of its model on the samples that are kept, and says how it did on those that came since", async () => {
  await using folder = await temporaryFolder();
  await using nats = await startTestNats({ name: REGION });
  const config: RegionConfigInput = {
    region: REGION,
    training: REGION,
    state: "state",
    nats: { url: nats.url, limits: { streamBytes: "100MB" } },
    http: false,
    models: [{ name: "m", shards: 1, architecture: { kind: "logistic" } }],
    baseline: { every: "1s", keep: "1MB" },
    trainer: { batch: 64, maxWait: "0ms" },
    snapshot: { every: "200ms" },
  };
  const path = join(folder.path, "here.jsonc");
  await writeFile(path, JSON.stringify(config));
  await using node = await startNode(await readConfig(path), { log: () => undefined });
  const nc = await connect({ servers: nats.url });
  await using _ = { [Symbol.asyncDispose]: () => nc.close() };
  const js = jetstream(nc);
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  let published = 0;
  const baseline = await eventually("a baseline was judged", async () => {
    published += 1;
    await js.publish(SUBJECT, message(published));
    const { models } = await node.status();
    const found = models[0]?.baseline;
    // The first may have been trained on a message or two.
    return found !== undefined && found.samples > 0 && (found.online.auc ?? 0) > 0.8 && (found.auc ?? 0) > 0.8
      ? found
      : undefined;
  });
  expect(baseline.samples).toBeLessThan(published * 40);
  expect(baseline.online.samples).toBeGreaterThan(0);
  const text = await node.system.metricsText();
  expect(text).toMatch(/^freshet_baseline_auc\{model="m"\} [01]/m);
  expect(text).toMatch(/^freshet_baseline_log_loss\{model="m"\} 0\./m);
  // All of them are durable, and kept for it.
  const { state } = await jsm.streams.info("SAMPLES");
  expect(state.first_seq).toBe(1);
}, 60_000);

/** Forty samples: items below ten are liked. */
function message(seq: number): Uint8Array {
  const samples = Array.from({ length: 40 }, (_, at) => {
    const [item, label] = [String(at % 20), at % 20 < 10 ? 1 : 0];
    const named = { id: `r${seq}-${at}:${item}:${label}`, source: REGION, user: `u${at % 3}`, item, features: {} };
    return { ...named, dense: {}, label, weight: 1, time: 1_000 * seq, correction: false };
  });
  return encodeSampleBatch({ keepFrom: seq, positions: [], samples });
}

test("a baseline is retrained on a schedule, or not at all", () => {
  expect(parse(LEAST).baseline).toBe(false);
  expect(parse({ ...LEAST, baseline: { every: "10m" } }).baseline).toEqual({
    everyMs: 600_000,
    keepBytes: 64 * 2 ** 20,
  });
  for (const baseline of [true, { every: "1ms" }, { keep: "1B" }]) {
    expect(problemsOf({ ...LEAST, baseline })[0]).toContain(": baseline");
  }
});
