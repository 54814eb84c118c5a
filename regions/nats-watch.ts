/*
 * A nats-server may run and yet keep nothing, also when there is room again: after a write that found the disk full, 2.9 never answers again at
 * all, and 2.15 answers reads, and every write that it refuses, and no other write to that stream. Whoever supervises a process sees nothing of
 * that. So this asks for a sign of life of the streams, as a client would, and what became of the writes that were made; a write of its own would
 * have to store something.
 */
import { statfs } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { AskFailed, type Logger } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { type ActorSystem } from "../runtime/system.ts";
import { type RegionNats } from "./node-nats.ts";
import { nodeAddresses } from "./node-plan.ts";
import { type RegionConfig } from "./read-config.ts";

export interface NatsWatchOptions {
  readonly config: RegionConfig;
  readonly system: ActorSystem;
  readonly nats: RegionNats;
  readonly log: Logger;
  /** What is wrong now, by what it is about. */
  readonly problems: Map<string, string>;
}

const EVERY_MS = 1_000;
const ASK_MS = 2_000;
const SILENT_MS_MIN = 5_000;
/** Between two restarts for silence: one that helps nothing must not use up the server's budget. */
const RESTART_EVERY_MS = 60_000;
const FULL_BYTES = 1 << 20;

/**
 * Watches until disposed. A disk without room and streams that do not answer are problems of the node, which goes on serving what it can. Own
 * streams that are silent, or store nothing, for as long as a worker may block, though the disk has room, have their server started again.
 */
export function watchNats({ config, system, nats, log, problems }: NatsWatchOptions): AsyncDisposable {
  const over = new AbortController();
  const silentMs = Math.max(SILENT_MS_MIN, config.supervision.blockedAfterMs);
  let answeredAt = performance.now();
  let restartedAt = -Infinity;

  function note(about: string, problem: string | undefined): void {
    if (problem === undefined) {
      if (problems.delete(about)) log.info("It is well again", { about });
      return;
    }
    if (!problems.has(about)) log.error("Something is wrong with where things are kept", { about, problem });
    problems.set(about, problem);
  }

  async function hasRoom(): Promise<boolean> {
    const { bavail, bsize } = await statfs(config.state);
    const freeBytes = bavail * bsize;
    system.ownMetrics.gauge("freshet_state_free_bytes", freeBytes);
    note("disk", freeBytes < FULL_BYTES ? `the disk of ${config.state} is full; make room on it` : undefined);
    return freeBytes >= FULL_BYTES;
  }

  /** What is wrong with the streams now, if anything. */
  async function complaint(): Promise<string | undefined> {
    const { region } = config;
    const stream = system.ref<StreamProtocol>(nodeAddresses(config).stream);
    try {
      const signal = AbortSignal.timeout(ASK_MS);
      const [{ streams }] = await Promise.all([
        stream.ask("unanswered", {}, { signal }),
        stream.ask("last", { region, stream: "EVENTS" }, { signal }),
      ]);
      return streams.length === 0 ? undefined : `nothing can be stored in ${streams.join(" and ")}`;
    } catch (error) {
      if (!(error instanceof AskFailed)) throw error;
      // The link's worker is being started again: that says nothing of the server.
      const isServers = error.code === "refused" || error.code === "deadline";
      return isServers ? "the region's streams do not answer; feedback is refused" : undefined;
    }
  }

  async function look(): Promise<void> {
    const room = await hasRoom();
    const now = performance.now();
    const wrong = await complaint();
    if (wrong === undefined || nats.isUp?.() === false) {
      answeredAt = now;
      note("streams", undefined);
      return;
    }
    const silentForMs = now - answeredAt;
    if (silentForMs < silentMs) return;
    note("streams", wrong);
    if (!room || nats.restart === undefined || now - restartedAt < RESTART_EVERY_MS) return;
    restartedAt = now;
    log.error("The nats-server runs and does not do its work; it is started again", {
      wrong,
      silentForMs: Math.round(silentForMs),
    });
    await nats.restart();
  }

  const watching = (async () => {
    while (!over.signal.aborted) {
      await look().catch((error: unknown) => log.warn("Cannot look after the nats-server", { error }));
      await delay(EVERY_MS, undefined, { signal: over.signal }).catch(() => undefined); // woken by the end
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      over.abort();
      await watching;
    },
  };
}
