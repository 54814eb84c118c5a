/*
 * One end of a benched link as a process of its own, with the worker threads of a region node: one holds the sockets, one the rows. Its parent
 * asks over the channel; it ends with it.
 */
import { createLogger, stderrSink } from "../../runtime/log.ts";
import { linkAddress } from "../../runtime/link.ts";
import { type LinkProtocol } from "../../runtime/link-protocol.ts";
import { ActorSystem } from "../../runtime/system.ts";
import { syncEndAddress } from "./sync-end.ts";
import { type SyncProcessAsk, type SyncProcessConfig } from "./sync-end-protocol.ts";

const ASK_MS_MAX = 600_000;
const CONNECTED_EVERY_MS = 20;

// Only the driver starts this module, with a SyncProcessConfig.
// oxlint-disable-next-line typescript/no-unsafe-assignment
const config: SyncProcessConfig = JSON.parse(process.argv[2] ?? "");
const { region } = config.end;
const sink = stderrSink("readable");
const system = await ActorSystem.start({ region, sink, level: "error", stuckAfterMs: 300_000, startMaxMs: 300_000 });
const log = createLogger(sink, { source: region, nowMs: () => Date.now() });
process.once("disconnect", () => void system.stop({ deadlineMs: 5_000 }).then(() => process.exit(0)));
// The parent is interrupted likewise, and then lets go of the channel.
process.on("SIGINT", () => undefined);
const module = new URL("./sync-end.ts", import.meta.url);
await system.worker({
  name: "link",
  permissions: { net: true },
  actors: [],
  gateway: { module: new URL("../../runtime/link.ts", import.meta.url), export: "openLink", config: config.link },
});
await system.worker({
  name: "shards",
  heapMb: 8192,
  actors: [{ module, export: "syncEnd", id: "a", config: config.end }],
});
process.on("message", (ask: SyncProcessAsk) => void answer(ask));
process.send?.({ id: 0, reply: "up" });

async function answer({ id, message, body }: SyncProcessAsk): Promise<void> {
  try {
    process.send?.({ id, reply: await replyTo(message, body) });
  } catch (error) {
    log.error("An ask of the bench failed", { message, error });
    process.send?.({ id, error: String(error) });
  }
}

async function replyTo(message: SyncProcessAsk["message"], body: unknown): Promise<unknown> {
  const signal = AbortSignal.timeout(ASK_MS_MAX);
  const link = system.ref<LinkProtocol>(linkAddress(region, "a"));
  if (message === "process") {
    const { user, system: kernel } = process.cpuUsage();
    const links = await link.ask("links", undefined, { signal });
    return { cpuMs: (user + kernel) / 1000, rssBytes: process.memoryUsage.rss(), links };
  }
  if (message === "connected") {
    while (!(await link.ask("links", undefined, { signal })).every(({ state }) => state === "connected")) {
      await new Promise((resolve) => setTimeout(resolve, CONNECTED_EVERY_MS));
    }
    return true;
  }
  const end = system.ref<AnyAsks>(syncEndAddress(region));
  return end.ask(message, body, { signal });
}

/** The asks of an end, as seen by who only passes them on. */
interface AnyAsks {
  readonly [message: string]: { readonly request: unknown; readonly reply: unknown };
}
