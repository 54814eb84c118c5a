/*
 * Training as a region node does it, from the stream of samples to versioned rows and images on disk, beside what its kernels take for the same
 * samples by themselves; and two trainers beside one. Everything in one run, over a real nats-server.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import * as z from "zod";
import { createLearner, placeRows, planExamples } from "../../protocols/learning/learner.ts";
import { type PublishedSample } from "../../protocols/learning/sample-batch.ts";
import { initialValues, modelLayout } from "../../protocols/model-layout.ts";
import { type RegionConfigInput } from "../../regions/config.ts";
import { declareStreams } from "../../runtime/jetstream-declare.ts";
import { kernelsBackend } from "../../runtime/compute/kernels-backend.ts";
import { startTestNats } from "../real-nats.ts";
import { AskedProcess } from "./asked-process.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { STREAM_MODEL, streamMessage, streamSamples } from "./stream-samples.ts";

const PROCESS = fileURLToPath(new URL("./stream-process.ts", import.meta.url));
const REGION = "here";
const BATCH = 512;
/** Samples before those that are measured: code is compiled meanwhile, and most rows are made. */
const WARM_SHARE = 0.4;
/** Between looks at how much was learned. Each is work for all threads of the node, so they are few while there is much left, of which no node learns more in a ms than this. */
const POLL_MS = 20;
const POLL_MS_MAX = 500;
const SAMPLES_A_MS_MAX = 50;
const KERNEL_MS = 1_500;
const PUBLISHED_AT_ONCE = 32;

/** What a stretch of samples took. */
interface Cost {
  readonly samples: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly byThread: Readonly<Record<string, number>>;
}

const helpersSchema = z.record(z.string(), z.number());
const countsSchema = z.object({ samples: z.number(), allMs: z.number(), cpuMs: z.record(z.string(), z.number()) });

export async function* stream(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const { progress, signal, seed, quick, profile } = options;
  const count = quick ? 80_000 : 300_000;
  function figure(name: string, value: number, unit: string): BenchFigure {
    return { bench: "stream", figure: name, value, unit };
  }

  const kernels: number[] = [];
  function measureKernels(): void {
    progress.write("stream: the kernels by themselves\n");
    kernels.push(kernelUs(seed));
  }
  measureKernels();
  const costs: Cost[] = [];
  try {
    for (const trainers of [1, 2]) {
      progress.write(`stream: ${count} samples, ${trainers === 1 ? "one trainer" : "two trainers"}\n`);
      costs.push(await learned({ trainers, count, seed, signal, profile: trainers === 1 ? profile : undefined }));
      measureKernels();
    }
  } catch (error) {
    // Ended by whoever started it: its node is gone.
    if (!signal.aborted) throw error;
  }
  const [one, two] = costs;
  if (one === undefined || two === undefined) return;
  const alone = kernels.toSorted((a, b) => a - b)[1] ?? Number.NaN;
  const [oneUs, twoUs] = [cpuUs(one), cpuUs(two)];
  const threads = Object.entries(one.byThread).filter(([, ms]) => ms > 0.005 * one.cpuMs);
  yield figure("kernels alone: CPU of a sample", alone, "us");
  yield figure("one trainer: CPU of a sample, the whole node", oneUs, "us");
  for (const [name, ms] of threads.toSorted(([, a], [, b]) => b - a)) {
    yield figure(`of that, thread ${name}`, (1_000 * ms) / one.samples, "us");
  }
  const trainerMs = one.byThread[`trainer-${STREAM_MODEL.name}`] ?? Number.NaN;
  const share = alone / oneUs;
  yield { ...figure("kernels' share of the whole", share, ""), target: ">= 0.6", met: share >= 0.6 };
  yield figure("kernels' share of the trainer's own thread", (alone * one.samples) / (1_000 * trainerMs), "");
  yield figure("one trainer: samples a second, by the clock", (1_000 * one.samples) / one.wallMs, "1/s");
  yield figure("two trainers: CPU of a sample, the whole node", twoUs, "us");
  yield figure("two trainers: samples a second, by the clock", (1_000 * two.samples) / two.wallMs, "1/s");
  const scaling = oneUs / twoUs;
  yield {
    ...figure("two trainers: samples a CPU second against one", scaling, ""),
    target: ">= 0.85",
    met: scaling >= 0.85,
  };
}

function cpuUs({ cpuMs, samples }: Cost): number {
  return (1_000 * cpuMs) / samples;
}

/** Predicting and computing gradients alone, rows in place: CPU microseconds of a sample, in batches as the trainer makes them. */
function kernelUs(seed: number): number {
  const layout = modelLayout(STREAM_MODEL);
  const learner = createLearner(layout, { backend: kernelsBackend(), batchMax: BATCH });
  const { compiled } = learner;
  const [first = [], second = []] = streamSamples(BATCH, seed);
  const samples: readonly PublishedSample[] = [...first, ...second];
  const planned = planExamples(layout, samples);
  const rows = planned.lists.map((lists) =>
    lists.map(({ table, keys }) => {
      const { dim = 0 } = layout.tables[table] ?? {};
      const values = new Float32Array(keys.length * dim);
      for (const [at, key] of keys.entries()) values.set(initialValues(layout, table, key), at * dim);
      return values;
    }),
  );
  placeRows(learner, planned, rows);
  for (const [at, { label }] of samples.entries()) compiled.inputs.labels[at] = label;
  compiled.inputs.weights.fill(1);
  function step(): void {
    compiled.forward(BATCH);
    compiled.backward();
  }
  for (let warm = 0; warm < 50; warm += 1) step();
  const before = process.cpuUsage();
  const beganMs = performance.now();
  let steps = 0;
  for (; performance.now() - beganMs < KERNEL_MS; steps += 1) step();
  const { user, system } = process.cpuUsage(before);
  compiled[Symbol.dispose]();
  return (user + system) / (steps * BATCH);
}

/** Has a node learn a stream that is all there when it starts, and gives what the later part of it took. */
async function learned(of: {
  readonly trainers: number;
  readonly count: number;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly profile: string | undefined;
}): Promise<Cost> {
  const { trainers, count, seed, signal, profile } = of;
  await using undo = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "freshet-stream-"));
  undo.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  const nats = undo.use(await startTestNats({ name: REGION }));
  await publish(nats.url, { count, seed });
  const path = join(folder, "here.jsonc");
  const { architecture, tables, dense, ...model } = STREAM_MODEL;
  const config: RegionConfigInput = {
    region: REGION,
    training: REGION,
    state: "state",
    // Together less than the server's store may hold.
    nats: { url: nats.url, limits: { streamBytes: "400MB" } },
    http: false,
    models: [{ ...model, architecture, tables: [...tables], dense: [...dense] }],
    trainer: { count: trainers, batch: BATCH },
    log: { level: "warn" },
  };
  await writeFile(path, JSON.stringify(config));
  if (profile !== undefined) await mkdir(profile, { recursive: true });
  const given = { config: path, ...(profile !== undefined && { profile }) };
  const node = undo.use(new AskedProcess(PROCESS, JSON.stringify(given), signal));
  await node.started;
  const warm = await countsFrom(node, Math.floor(count * WARM_SHARE));
  const end = await countsFrom(node, count);
  if (profile !== undefined) await node.ask({ message: "profile" });
  const byThread = Object.fromEntries(
    Object.entries(end.cpuMs).map(([name, ms]) => [name, ms - (warm.cpuMs[name] ?? 0)]),
  );
  return {
    samples: end.samples - warm.samples,
    wallMs: end.atMs - warm.atMs,
    cpuMs: end.allMs - warm.allMs,
    byThread,
  };
}

/** Waits until so many samples are learned. */
async function countsFrom(
  node: AskedProcess,
  samples: number,
): Promise<z.infer<typeof countsSchema> & { readonly atMs: number }> {
  for (;;) {
    const counts = countsSchema.parse(await node.ask({ message: "counts" }));
    if (counts.samples >= samples) {
      const atMs = performance.now();
      // Not with each look: to read it takes longer than all else.
      const helpersMs = helpersSchema.parse(await node.ask({ message: "helpers" }));
      return { ...counts, cpuMs: { ...counts.cpuMs, ...helpersMs }, atMs };
    }
    await delay(Math.min(POLL_MS_MAX, Math.max(POLL_MS, (samples - counts.samples) / SAMPLES_A_MS_MAX)));
  }
}

async function publish(url: string, { count, seed }: { readonly count: number; readonly seed: number }): Promise<void> {
  const nc = await connect({ servers: url });
  try {
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    const subject = `freshet.${REGION}.samples.*.*.${REGION}`;
    await declareStreams(jsm, [{ name: "SAMPLES", subjects: [subject] }], []);
    const js = jetstream(nc);
    let seq = 0;
    let onTheirWay: Promise<unknown>[] = [];
    for (const samples of streamSamples(count, seed)) {
      seq += 1;
      onTheirWay.push(js.publish(subject.replaceAll("*", "all"), streamMessage(seq, samples)));
      if (onTheirWay.length < PUBLISHED_AT_ONCE) continue;
      await Promise.all(onTheirWay);
      onTheirWay = [];
    }
    await Promise.all(onTheirWay);
  } finally {
    await nc.close();
  }
}
