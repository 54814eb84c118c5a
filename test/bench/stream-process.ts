/*
 * A region node that learns, in a process of its own: `bench -- stream` asks it how much it has learned and what CPU time that took.
 * `stream-process.ts {"config": FILE, "profile": FOLDER}`; with a folder, each thread's CPU profile is left there.
 */
import { subscribe } from "node:diagnostics_channel";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { type TrainerProtocol } from "../../actors/trainer.ts";
import { startNode } from "../../regions/node.ts";
import { nodeAddresses } from "../../regions/node-plan.ts";
import { readConfig } from "../../regions/read-config.ts";
import { stderrSink } from "../../runtime/log.ts";
import { STREAM_MODEL } from "./stream-samples.ts";

/** What a node is asked, by the channel. */
export interface StreamAsk {
  readonly id: number;
  readonly message: "counts" | "helpers" | "profile" | "stop";
}

const ASK_MS = 10_000;
/** What Linux counts a thread's CPU in. */
const TICK_MS = 10;
/** Threads of the process that run no actor, by the names that Node gives them. */
const HELPERS: Readonly<Record<string, string>> = {
  "node-MainThread": "main",
  "node-V8Worker": "V8 (compiles and collects for all)",
  "libuv-worker": "libuv (compresses and writes)",
};

// Only the driver starts this module.
// oxlint-disable-next-line typescript/no-unsafe-assignment
const given: { readonly config: string; readonly profile?: string } = JSON.parse(process.argv[2] ?? "");
const threads = new Map<string, Worker>();
subscribe("worker_threads", (message) => {
  if (typeof message !== "object" || message === null || !("worker" in message)) return;
  if (message.worker instanceof Worker) threads.set(message.worker.threadName ?? "", message.worker);
});

const config = await readConfig(given.config);
const node = await startNode(config, { log: stderrSink("readable") });
const trainers = nodeAddresses(config).trainers(STREAM_MODEL.name);
const profiles = new Map<string, Awaited<ReturnType<Worker["startCpuProfile"]>>>();
if (given.profile !== undefined) {
  for (const [name, thread] of threads) profiles.set(name, await thread.startCpuProfile());
}
process.once("disconnect", () => void node[Symbol.asyncDispose]().then(() => process.exit(0)));
process.on("SIGINT", () => undefined);
process.on("message", (ask: StreamAsk) => void answer(ask));
process.send?.({ id: 0, reply: "up" });

async function answer({ id, message }: StreamAsk): Promise<void> {
  try {
    if (message === "profile") await leaveProfiles();
    const reply = message === "counts" ? await counts() : message === "helpers" ? await helpersMs() : null;
    process.send?.({ id, reply });
  } catch (error) {
    process.send?.({ id, error: String(error) });
  }
}

async function counts(): Promise<unknown> {
  const signal = AbortSignal.timeout(ASK_MS);
  const told = await Promise.all(
    trainers.map((trainer) => node.system.ref<TrainerProtocol>(trainer).ask("status", {}, { signal })),
  );
  const cpuMs: Record<string, number> = {};
  for (const [name, thread] of threads) {
    const { user, system } = await thread.cpuUsage();
    cpuMs[name] = (user + system) / 1000;
  }
  const { user, system } = process.cpuUsage();
  return { samples: told.reduce((sum, { samples }) => sum + samples, 0), allMs: (user + system) / 1000, cpuMs };
}

/** CPU of threads that are no actor's, as Linux tells it; nothing elsewhere. */
async function helpersMs(): Promise<Record<string, number>> {
  const cpuMs: Record<string, number> = {};
  for (const id of await readdir("/proc/self/task").catch(() => [])) {
    // One may have ended meanwhile.
    const text = await readFile(`/proc/self/task/${id}/stat`, "latin1").catch(() => "");
    const [name = "", times = ""] = text.slice(text.indexOf("(") + 1).split(") ");
    const helper = HELPERS[name];
    if (helper === undefined) continue;
    const [user = 0, system = 0] = times.split(" ").slice(11, 13).map(Number);
    cpuMs[helper] = (cpuMs[helper] ?? 0) + (user + system) * TICK_MS;
  }
  return cpuMs;
}

async function leaveProfiles(): Promise<void> {
  for (const [name, profile] of profiles) {
    await writeFile(join(given.profile ?? "", `${name}.cpuprofile`), await profile.stop());
  }
}
