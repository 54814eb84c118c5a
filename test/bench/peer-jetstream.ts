/*
 * JetStream as a key-value store: a stream that keeps the last message of each subject, and a replica that follows it, first from the start and
 * then from where it was. Both ends are processes; what the server itself needs counts for the writer.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { startTestNats } from "../real-nats.ts";
import { startTcpProxy } from "../tcp-proxy.ts";
import { AskedProcess } from "./asked-process.ts";
import { AWAY_UPDATES, LIVE_UPDATES, type PeerCost } from "./peer-work.ts";
import { SYNC_WORKLOAD } from "./sync-workload.ts";

const PROCESS = fileURLToPath(new URL("./jetstream-process.ts", import.meta.url));
/** Of the live updates, each of which is acknowledged by itself: all would take minutes. */
const PART = 0.2;
const TICKS_PER_SECOND = 100;

const countsSchema = z.object({ cpuMs: z.number(), hash: z.number() });
export async function measureJetStream({ signal }: { readonly signal: AbortSignal }): Promise<PeerCost> {
  await using nats = await startTestNats({ name: "peer" });
  // The server counts what messages carry and not the lines before them, which here are half of it.
  await using link = await startTcpProxy(nats.port);
  await using writer = new AskedProcess(PROCESS, JSON.stringify({ url: nats.url, role: "writer" }), signal);
  const linked = JSON.stringify({ url: `nats://127.0.0.1:${link.port}`, role: "replica" });
  await using replica = new AskedProcess(PROCESS, linked, signal);
  await Promise.all([writer.started, replica.started]);
  async function deliver(updates: number, load = false): Promise<void> {
    const last = await writer.ask({ message: "write", updates, load });
    await replica.ask({ message: "until", last });
  }
  async function counts() {
    return {
      bytes: link.bytesBack,
      writer: countsSchema.parse(await writer.ask({ message: "counts" })),
      replica: countsSchema.parse(await replica.ask({ message: "counts" })),
      serverS: cpuOf(nats.server.pid ?? 0),
    };
  }
  await replica.ask({ message: "follow", on: true });
  await deliver(SYNC_WORKLOAD.keys, true);
  const before = await counts();
  await deliver(LIVE_UPDATES * PART);
  const live = await counts();
  await replica.ask({ message: "follow", on: false });
  const last = await writer.ask({ message: "write", updates: AWAY_UPDATES, load: false });
  const away = await counts();
  await replica.ask({ message: "follow", on: true });
  await replica.ask({ message: "until", last });
  const back = await counts();
  return {
    peer: "jetstream key-value",
    liveBytes: (live.bytes - before.bytes) / PART,
    writerS: ((live.writer.cpuMs - before.writer.cpuMs) / 1000 + live.serverS - before.serverS) / PART,
    replicaS: (live.replica.cpuMs - before.replica.cpuMs) / 1000 / PART,
    catchUpBytes: back.bytes - away.bytes,
    part: PART,
    isEqual: back.writer.hash === back.replica.hash,
  };
}

/** Seconds that a process has computed; Linux only, elsewhere the server's part is left out. */
function cpuOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}
