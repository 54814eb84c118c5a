import { fileURLToPath } from "node:url";
import * as z from "zod";
import { AskedProcess } from "./asked-process.ts";
import { type PeerName, PEER_PACKAGES } from "./peer-engines.ts";
import { AWAY_UPDATES, LIVE_UPDATES, type PeerAbsent, type PeerAsk, type PeerCost, ROUND } from "./peer-work.ts";
import { SYNC_WORKLOAD } from "./sync-workload.ts";

const PROCESS = fileURLToPath(new URL("./peer-process.ts", import.meta.url));
/** What a library is too slow for in a benchmark that people wait for. */
const PART: Partial<Record<PeerName, number>> = { automerge: 0.05 };

const countsSchema = z.object({ cpuMs: z.number(), sentBytes: z.number() });

/** The work done by a library, writer and replica each in a process, over a socket on loopback. */
export async function measureLibrary(
  name: PeerName,
  { folder, signal }: { readonly folder: string | undefined; readonly signal: AbortSignal },
): Promise<PeerCost | PeerAbsent> {
  const absent = { peer: name, why: `npm install ${PEER_PACKAGES[name]} in a folder, and name it with --peers` };
  if (folder === undefined) return absent;
  await using writer = new AskedProcess(PROCESS, JSON.stringify({ name, folder }), signal);
  await using replica = new AskedProcess(PROCESS, JSON.stringify({ name, folder }), signal);
  if ((await writer.started) !== true || (await replica.started) !== true) return absent;
  function ask(end: AskedProcess, message: PeerAsk): Promise<unknown> {
    return end.ask(message);
  }
  const port = z.number().parse(await ask(writer, { message: "listen" }));
  await ask(replica, { message: "connect", port });
  const part = PART[name] ?? 1;
  await ask(writer, { message: "rounds", updates: SYNC_WORKLOAD.keys, round: ROUND, load: true, send: true });
  async function counts() {
    const [ours, theirs] = [await ask(writer, { message: "counts" }), await ask(replica, { message: "counts" })];
    return { writer: countsSchema.parse(ours), replica: countsSchema.parse(theirs) };
  }
  const before = await counts();
  await ask(writer, { message: "rounds", updates: LIVE_UPDATES * part, round: ROUND, load: false, send: true });
  const live = await counts();
  await ask(writer, { message: "rounds", updates: AWAY_UPDATES, round: ROUND, load: false, send: false });
  const away = await counts();
  await ask(writer, { message: "catch-up" });
  const back = await counts();
  const [ours, theirs] = [await ask(writer, { message: "hash" }), await ask(replica, { message: "hash" })];
  return {
    peer: name,
    liveBytes: (live.writer.sentBytes - before.writer.sentBytes) / part,
    writerS: (live.writer.cpuMs - before.writer.cpuMs) / 1000 / part,
    replicaS: (live.replica.cpuMs - before.replica.cpuMs) / 1000 / part,
    catchUpBytes: back.writer.sentBytes - away.writer.sentBytes,
    isEqual: ours === theirs,
    ...(part === 1 ? {} : { part }),
  };
}
