/*
 * What it costs to find out that nothing has changed: the bytes of a poll of many shards and its answer, and the time in both state machines.
 */
import { POLL_LIMITS } from "../../protocols/limits.ts";
import { createPoller, type PollEffect, type Poller, type PollEvent, stepPoller } from "../../protocols/sync/poll.ts";
import { type ShardVersion } from "../../protocols/sync/shard-version.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { pullIds } from "../../properties/world/names.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { figureOf } from "./sync-figure.ts";
import { SyncLink } from "./sync-link.ts";

const SHARDS = 100_000;
const FEW_SHARDS = 10;
/** As many digits as the wait of a region node has. */
const WAIT_MS = 1_000;
const POLLS = 5;
const CORE_POLLS = 20_000;
const BYTES_MAX = 64;
const CORE_US_MAX = 20;

export async function* measureIdlePoll({ progress, signal }: BenchOptions): AsyncGenerator<BenchFigure> {
  progress.write(`sync: idle polls of ${SHARDS} shards\n`);
  await using link = await SyncLink.start({ idleShards: SHARDS, pollWaitMs: WAIT_MS }, signal);
  await link.follower.ask("follow", { on: true });
  const [listed, idle] = await silence(link);
  const polls = idle.polls - listed.polls;
  yield figureOf(
    `idle poll of ${SHARDS} shards: payload both ways`,
    (idle.payloadInBytes + idle.payloadOutBytes - listed.payloadInBytes - listed.payloadOutBytes) / polls,
    "B",
    { atMost: BYTES_MAX },
  );
  for (const shards of [FEW_SHARDS, SHARDS]) {
    yield figureOf(`idle poll of ${shards} shards: CPU in the core, both ends`, coreMicroseconds(shards), "us", {
      atMost: CORE_US_MAX,
    });
  }
}

/** Counts of the follower at the moment of one idle poll and at a later one. */
async function silence({ follower }: SyncLink) {
  let before = await follower.ask("counts", {});
  for (;;) {
    // An answer that lists shards is followed by the next poll at once: when only one more went out in this time, all are listed.
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    const now = await follower.ask("counts", {});
    if (now.polls - before.polls <= 1) break;
    before = now;
  }
  const first = await follower.ask("counts", {});
  let last = first;
  while (last.polls - first.polls < POLLS) {
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS / 4));
    last = await follower.ask("counts", {});
  }
  return [first, last] as const;
}

/** Time of one poll that finds nothing, and of its answer, in the state machines alone. */
function coreMicroseconds(shards: number): number {
  const limits = { ...POLL_LIMITS, waitMs: WAIT_MS };
  const [asked, asker] = [
    createPoller(parseWriterId("0.writer.a.core"), pullIds(), limits),
    createPoller(parseWriterId("0.follower.a.core"), pullIds(), limits),
  ];
  const version: ShardVersion = { counter: 1, generator: asked.writer };
  for (const poller of [asked, asker]) {
    for (let shard = 0; shard < shards; shard += 1) {
      stepPoller(poller, { kind: "changed", shard: `s-${shard}`, version });
    }
  }
  let polls = sent(asker, [{ kind: "neighbour", peer: "writer" }]);
  function exchange(): void {
    const answers = sent(
      asked,
      polls.map((poll) => arrival("follower", poll)),
    );
    polls = sent(
      asker,
      answers.map((answer) => arrival("writer", answer)),
    );
  }
  // The first of these list all shards, and warm up what is measured.
  for (let poll = 0; poll < CORE_POLLS; poll += 1) exchange();
  const beganMs = performance.now();
  for (let poll = 0; poll < CORE_POLLS; poll += 1) exchange();
  return ((performance.now() - beganMs) * 1000) / CORE_POLLS;
}

type Send = PollEffect & { readonly kind: "send" };

/** What a machine sends once these events and its own timers have passed, without the one for a poll that is never answered. */
function sent(poller: Poller, events: readonly PollEvent[]): Send[] {
  const waiting = [...events];
  const sends: Send[] = [];
  for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) {
    for (const effect of stepPoller(poller, event)) {
      if (effect.kind === "send") sends.push(effect);
      else if (effect.kind === "timer" && !effect.name.startsWith("poll ")) {
        waiting.push({ kind: "timer", name: effect.name });
      }
    }
  }
  return sends;
}

function arrival(from: string, { message, body }: Send): PollEvent {
  return { kind: "message", from, message, body };
}
