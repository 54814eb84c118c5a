/*
 * The least that a node must be to synchronise: the two state machines of protocols/sync, which actors/shard.ts and actors/leader.ts carry in a
 * region node, in one actor. What it is told to write is the work that the peers of this benchmark do; there is no learning in it.
 */
import { POLL_LIMITS } from "../../protocols/limits.ts";
import { addToSketch, createSketch, quantile, type QuantileSketch } from "../../protocols/quantile-sketch.ts";
import { createPoller, type PollEffect, type PollEvent, stepPoller } from "../../protocols/sync/poll.ts";
import { type ReplicaEffect, type ReplicaEvent, stepReplica } from "../../protocols/sync/replica.ts";
import { coversVersion, type ShardVersion } from "../../protocols/sync/shard-version.ts";
import { buildWriterId } from "../../protocols/sync/version.ts";
import { drawPullId } from "../../protocols/wire/pull.ts";
import { peerAddress, peerText } from "../../actors/shard-name.ts";
import { drawNonce } from "../../actors/writer-nonce.ts";
import { type Address, defineActor, type Promised } from "../../runtime/actor.ts";
import { type SyncEndConfig, type SyncEndProtocol } from "./sync-end-protocol.ts";
import { fillReplica, IDLE_VERSION } from "./sync-end-rows.ts";
import { createWriting } from "./sync-end-writing.ts";

const KIND = "sync-end";
const SHARD = "bench-0";

/** The address of a region's end. */
export function syncEndAddress(region: string): Address {
  return { region, kind: KIND, id: "a" };
}

export const syncEnd = defineActor<SyncEndProtocol, SyncEndConfig>({
  kind: KIND,
  messages: [
    ...(["rounds", "draw", "load", "write", "steady", "follow", "until"] as const),
    ...(["pull-once", "counts", "contents", "lag"] as const),
    ...(["poll", "changes", "pull", "more", "release", "refuse", "frame", "due", "step"] as const),
  ],
  fromElsewhere: ["poll", "changes", "pull", "more", "release", "refuse", "frame"],
  setup: (config, context) => {
    const { region, peer } = config;
    const writer = buildWriterId({ epoch: 0, region, node: "a", nonce: drawNonce(context) });
    const replica = fillReplica(config, writer);
    const poller = createPoller(writer, () => drawPullId(() => context.random()), {
      ...POLL_LIMITS,
      waitMs: config.pollWaitMs,
      gapMs: config.gapMs,
    });
    const writing = createWriting(config);
    const counted = {
      payloadInBytes: 0,
      payloadOutBytes: 0,
      frames: 0,
      polls: 0,
      rowsApplied: 0,
      coreMs: 0,
    };
    let lag: QuantileSketch | undefined;
    let waiting: {
      readonly version: ShardVersion;
      readonly sinceMs: number;
      readonly later: Promised<{ ms: number }>;
    }[] = [];
    let pulling: { readonly sinceMs: number; readonly later: Promised<{ ms: number; rows: number }> } | undefined;
    let rounds:
      | { left: number; readonly round: number; readonly sinceMs: number; readonly later: Promised<{ ms: number }> }
      | undefined;
    let steady:
      | { readonly untilMs: number; readonly perStep: number; readonly everyMs: number; updates: number }
      | undefined;
    let steadyLater: Promised<{ updates: number; version: ShardVersion }> | undefined;

    function stepRows(event: ReplicaEvent): void {
      const beganMs = performance.now();
      const effects = stepReplica(replica, event, context.now());
      counted.coreMs += performance.now() - beganMs;
      for (const effect of effects) performRows(effect);
    }

    function stepPoll(event: PollEvent): void {
      const beganMs = performance.now();
      const effects = stepPoller(poller, event, context.upMs());
      counted.coreMs += performance.now() - beganMs;
      for (const effect of effects) performPoll(effect);
    }

    function performRows(effect: ReplicaEffect): void {
      switch (effect.kind) {
        case "send":
          if (effect.message === "frame") counted.frames += 1;
          send(effect);
          return;
        case "timer":
          context.after(effect.delayMs, "due", { machine: "replica", timer: effect.name });
          return;
        case "changed":
          stepPoll({ kind: "changed", shard: SHARD, version: effect.version });
          settleWaiting();
          return;
        case "pulled":
          if (effect.outcome === "complete") {
            pulling?.later.resolve({ ms: performance.now() - pulling.sinceMs, rows: effect.rows });
            pulling = undefined;
          }
          stepPoll({
            kind: "pulled",
            shard: SHARD,
            pullId: effect.pullId,
            outcome: effect.outcome,
            isLevel: effect.outcome === "complete" && effect.isLevel,
          });
          return;
        case "frame":
          stepPoll({ ...effect, shard: SHARD });
          return;
        case "stalled":
          stepPoll({ ...effect, shard: SHARD });
          return;
        case "applied":
          if (effect.origin === "local") return;
          counted.rowsApplied += effect.keys.length;
          if (lag !== undefined) for (const t of effect.t) addToSketch(lag, Math.max(0, context.now() - t / 1000));
          return;
        case "refused":
          if (effect.reason === "stale") return;
          context.log.error("A message was refused", { reason: effect.reason, why: effect.detail });
          break;
        case "dropped":
        case "save":
        case "written":
      }
    }

    function performPoll(effect: PollEffect): void {
      switch (effect.kind) {
        case "send":
          if (effect.message === "poll") counted.polls += 1;
          send(effect);
          return;
        case "timer":
          context.after(effect.delayMs, "due", { machine: "poller", timer: effect.name });
          return;
        case "pull":
          stepRows({
            kind: "pull",
            peer: effect.peer,
            pullId: effect.pullId,
            burst: effect.burst,
            ...(effect.stands !== undefined && { stands: effect.stands }),
          });
          return;
        case "hurry":
        case "grant":
        case "give-up":
          stepRows(effect);
          return;
        case "left":
          throw new TypeError("Cannot leave a shard to its leader: here nobody leads");
        case "refused":
          if (effect.reason === "stale") return;
          context.log.error("A message of the poll was refused", { reason: effect.reason, why: effect.detail });
      }
    }

    function send({ to, message, body }: (ReplicaEffect | PollEffect) & { kind: "send" }): void {
      // Replicas here know of no primary to report to, and nothing is settled.
      if (message === "orphans" || message === "survey" || message === "report") return;
      counted.payloadOutBytes += payloadBytes(body);
      const address = peerAddress(KIND, to);
      // The follower has a link to the writer and the writer none to it: what it is answered with goes back as its question came.
      const ref = context.ref<SyncEndProtocol>(peer === undefined ? { ...address, via: "own" } : address);
      ref.tell(message, body, body instanceof Uint8Array ? { transfer: [body.buffer] } : {});
    }

    function receive(message: "pull" | "more" | "release" | "refuse" | "frame") {
      return (body: unknown, from: Address): void => {
        counted.payloadInBytes += payloadBytes(body);
        stepRows({ kind: "message", from: peerText(from), message, body });
      };
    }

    function settleWaiting(): void {
      waiting = waiting.filter(({ version, sinceMs, later }) => {
        const reached = coversVersion(replica.version, version);
        if (reached) later.resolve({ ms: performance.now() - sinceMs });
        return !reached;
      });
    }

    function write(updates: number): void {
      stepRows({ kind: "write", writes: [writing.next(updates)] });
    }

    function nextRound(): void {
      if (rounds === undefined) return;
      if (rounds.left === 0) {
        rounds.later.resolve({ ms: performance.now() - rounds.sinceMs });
        rounds = undefined;
        return;
      }
      const updates = Math.min(rounds.left, rounds.round);
      rounds.left -= updates;
      write(updates);
    }

    function beginRounds(updates: number, round: number): Promised<{ ms: number }>["reply"] {
      const later = context.later<{ ms: number }>();
      rounds = { left: updates, round, sinceMs: performance.now(), later };
      nextRound();
      return later.reply;
    }

    function stepSteady(): void {
      if (steady === undefined) return;
      if (context.now() >= steady.untilMs) {
        steadyLater?.resolve({ updates: steady.updates, version: replica.version });
        steady = undefined;
        return;
      }
      context.after(steady.everyMs, "step", {});
      steady.updates += steady.perStep;
      write(steady.perStep);
    }

    stepPoll({ kind: "changed", shard: SHARD, version: replica.version });
    for (let shard = 1; shard <= config.idleShards; shard += 1) {
      stepPoll({ kind: "changed", shard: `idle-${shard}`, version: IDLE_VERSION });
    }
    return {
      handlers: {
        rounds: ({ updates, round }) => beginRounds(updates, round),
        draw: ({ updates, round }) => writing.draw(updates, round),
        load: ({ round }) => {
          writing.loadFirst();
          return beginRounds(config.workload.keys, round);
        },
        write: ({ updates }) => {
          write(updates);
          return { version: replica.version };
        },
        steady: ({ forMs, perSecond, everyMs }) => {
          steady = { untilMs: context.now() + forMs, perStep: (perSecond * everyMs) / 1000, everyMs, updates: 0 };
          steadyLater = context.later();
          stepSteady();
          return steadyLater.reply;
        },
        follow: ({ on }) => {
          if (peer !== undefined) stepPoll({ kind: on ? "neighbour" : "neighbour-removed", peer });
          return { on };
        },
        until: ({ version }) => {
          const later = context.later<{ ms: number }>();
          waiting.push({ version, sinceMs: performance.now(), later });
          settleWaiting();
          return later.reply;
        },
        "pull-once": () => {
          pulling = { sinceMs: performance.now(), later: context.later() };
          stepRows({ kind: "pull", peer: peer ?? "", pullId: drawPullId(() => context.random()) });
          return pulling.later.reply;
        },
        counts: () => ({ ...counted, visited: replica.cache.counts.visited, scans: replica.cache.counts.scans }),
        contents: () => ({ rows: replica.store.rows(0), digest: replica.store.digest() }),
        lag: () => {
          const [p50Ms = 0, p99Ms = 0] = lag === undefined ? [] : [quantile(lag, 0.5), quantile(lag, 0.99)];
          lag = createSketch();
          return { p50Ms, p99Ms };
        },
        poll: (body, from) => {
          counted.payloadInBytes += payloadBytes(body);
          stepPoll({ kind: "message", from: peerText(from), message: "poll", body });
        },
        changes: (body, from) => {
          counted.payloadInBytes += payloadBytes(body);
          stepPoll({ kind: "message", from: peerText(from), message: "changes", body });
        },
        pull: receive("pull"),
        more: receive("more"),
        release: (body, from) => {
          receive("release")(body, from);
          nextRound();
        },
        refuse: receive("refuse"),
        frame: receive("frame"),
        due: ({ machine, timer }) => {
          if (machine === "replica") stepRows({ kind: "timer", name: timer });
          else stepPoll({ kind: "timer", name: timer });
        },
        step: stepSteady,
      },
    };
  },
});

/** As the codec of NATS messages sends it: bytes as they are, anything else as JSON. */
function payloadBytes(body: unknown): number {
  return body instanceof Uint8Array ? body.length : JSON.stringify(body).length;
}
