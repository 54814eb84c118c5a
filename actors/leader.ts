/*
 * Finds out what this node's shards lack and has them pull it: polls the leaders of peer regions and of the other nodes of its own
 * (protocols/sync/poll.ts), and holds the leases that say which node of a region pulls a shard across the wide area
 * (protocols/leadership/lease.ts). Without any lease every node pulls for itself: more traffic, the same result.
 */
import { leaderOf, type LeaseEvent, type LeaseState, newLease, stepLease } from "../protocols/leadership/lease.ts";
import { POLL_LIMITS } from "../protocols/limits.ts";
import { createPoller, pendingCount, type PollEffect, type PollEvent, stepPoller } from "../protocols/sync/poll.ts";
import { type LeaderOf } from "../protocols/sync/poll-leaders.ts";
import { buildWriterId, isWriterId } from "../protocols/sync/version.ts";
import { drawPullId } from "../protocols/wire/pull.ts";
import { type ActorRef, type Address, type Context, defineActor } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { type LeaderProtocol, type LeaseAnswer } from "./leader-protocol.ts";
import { linkLoads, showLoad } from "./link-loads.ts";
import { peerAddress, peerText, rememberWay, replicaAddress } from "./shard-name.ts";
import { type ShardProtocol } from "./shard-protocol.ts";
import { openTrace, type TraceConfig } from "./step-trace.ts";
import { drawNonce } from "./writer-nonce.ts";

export interface LeaderConfig {
  readonly region: string;
  readonly node: string;
  /** Names of the shards that this node holds. */
  readonly shards: readonly string[];
  /**
   * Whether this node's shards may be primaries: then nothing is pulled before the role is told. What others hold and a primary's image
   * lacks after a crash comes again from the samples; pulled, it would take effect twice.
   */
  readonly mayTrain: boolean;
  /** Nodes that hold the same shards: of other regions, and of this one. */
  readonly peers: readonly { readonly region: string; readonly node: string; readonly bytesPerSecond?: number }[];
  readonly stream: Address;
  readonly leaseMs: number;
  /** How long a poll is held that has nothing to report. */
  readonly pollWaitMs: number;
  /** The distance that answers to one neighbour keep. */
  readonly gapMs: number;
  /** For whoever replays what this leader did. */
  readonly trace?: TraceConfig;
}

/** The leader of one region node. */
export const leader = defineActor<LeaderProtocol, LeaderConfig>({
  kind: "leader",
  messages: [
    "shard-changed",
    "shard-pulled",
    "pull-frame",
    "pull-stalled",
    "role",
    "status",
    "poll",
    "changes",
    "due",
    "lease-turn",
    "lease-answer",
  ],
  fromElsewhere: ["poll", "changes", "status"],
  setup: (config, context) => {
    const { region, node } = config;
    const trace = openTrace(config.trace, context);
    const leases = createLeases(config, context, (shard) => step({ kind: "led", shard }));
    const poller = createPoller(
      buildWriterId({ epoch: 0, region, node, nonce: drawNonce(context) }),
      () => trace.heard(drawPullId(() => context.random())),
      { ...POLL_LIMITS, waitMs: config.pollWaitMs, gapMs: config.gapMs },
      (shard) => trace.heard(leases.leaderOf(shard)),
    );
    trace.start(() => ({ writer: poller.writer, limits: poller.limits }));
    /** By which way a peer's poll came: its answer goes back there. */
    const ways = new Map<string, Address>();
    function step(event: PollEvent): void {
      const nowMs = context.upMs();
      const effects = stepPoller(poller, event, nowMs);
      trace.step({ event, nowMs, effects });
      for (const effect of effects) perform(effect);
    }

    function perform(effect: PollEffect): void {
      switch (effect.kind) {
        case "send": {
          const to = peerAddress("leader", effect.to);
          if (effect.message === "poll") context.ref<LeaderProtocol>(to).tell("poll", effect.body);
          else context.ref<LeaderProtocol>(ways.get(effect.to) ?? to).tell("changes", effect.body);
          return;
        }
        case "timer":
          context.after(effect.delayMs, "due", { timer: effect.name });
          return;
        case "pull":
          context.metrics.count("freshet_pulls_asked_total", 1, { role: effect.role });
          shardHere(effect.shard).tell("synchronise", {
            peer: shardAt(effect.peer, effect.shard),
            pullId: effect.pullId,
            burst: effect.burst,
            ...(effect.stands !== undefined && { stands: effect.stands }),
          });
          return;
        case "hurry":
          shardHere(effect.shard).tell("hurry", { pullId: effect.pullId });
          return;
        case "grant":
          shardHere(effect.shard).tell("grant", { pullId: effect.pullId, upTo: effect.upTo });
          return;
        case "give-up":
          context.metrics.count("freshet_pulls_given_up_total");
          shardHere(effect.shard).tell("give-up", { pullId: effect.pullId });
          return;
        case "left":
          context.metrics.count("freshet_pulls_left_to_leader_total");
          return;
        case "refused":
          if (effect.reason === "stale") return;
          context.metrics.count("freshet_sync_refused_total", 1, { what: "poll", reason: effect.reason });
          context.log.warn("A message about changed shards was refused", {
            reason: effect.reason,
            from: effect.from,
            why: effect.detail,
          });
      }
    }

    function shardHere(shard: string): ActorRef<ShardProtocol> {
      return context.ref<ShardProtocol>(replicaAddress({ region, node }, shard));
    }

    function shardAt(peerName: string, shard: string): Address {
      const peer = peerAddress("leader", peerName);
      return replicaAddress({ region: peer.region, node: peer.id }, shard);
    }

    let isPulling = false;

    function setPulls(wanted: boolean): void {
      if (wanted === isPulling) return;
      isPulling = wanted;
      for (const { region: peerRegion, node: peerNode, bytesPerSecond } of config.peers) {
        const peer = peerText({ region: peerRegion, kind: "leader", id: peerNode });
        step(
          isPulling
            ? { kind: "neighbour", peer, isFar: peerRegion !== region, link: peerRegion, bytesPerSecond }
            : { kind: "neighbour-removed", peer },
        );
      }
    }

    for (const shard of config.shards) shardHere(shard).tell("led-anew", {});
    setPulls(!config.mayTrain);
    context.after(0, "lease-turn", {});
    return {
      handlers: {
        "shard-changed": ({ shard, life, counter, generator }) => {
          // Shards tell their version again and again, for a leader that restarted. Told on, an idle link would not be silent.
          const known = poller.changes.byShard.get(shard)?.version;
          const isKnown = known?.counter === counter && known.generator === generator;
          if (isKnown && poller.lives.get(shard) === life) return;
          if (isWriterId(generator)) step({ kind: "changed", shard, life, version: { counter, generator } });
        },
        "shard-pulled": (pulled) => step({ kind: "pulled", ...pulled }),
        "pull-frame": (frame) => step({ kind: "frame", ...frame }),
        "pull-stalled": (stalled) => step({ kind: "stalled", ...stalled }),
        role: ({ duty }) => setPulls(duty === "follows" || duty === "takes-over"),
        status: () => ({ leaders: leases.known(), pending: pendingCount(poller), links: linkLoads(poller) }),
        poll: (body, from) => {
          rememberWay(ways, from);
          step({ kind: "message", from: peerText(from), message: "poll", body });
        },
        changes: (body, from) => step({ kind: "message", from: peerText(from), message: "changes", body }),
        due: ({ timer }) => step({ kind: "timer", name: timer }),
        "lease-turn": () => {
          leases.turn();
          context.metrics.gauge("freshet_sync_pending_shards", pendingCount(poller));
          for (const load of linkLoads(poller)) showLoad(context.metrics, load);
          context.after(config.leaseMs * LEASE_TURN_SHARE, "lease-turn", {});
        },
        "lease-answer": ({ shard, answer }) => leases.answered(shard, answer),
      },
    };
  },
});

/** From one look at the leases to the next, of how long they last: one is renewed when a third of that has passed (lease.ts). */
const LEASE_TURN_SHARE = 1 / 6;
const BUCKET = "LEASES";
/** Also where no answer came and it may have taken effect: the read that follows says who holds the lease. */
const NOT_WRITTEN: LeaseAnswer = { kind: "not-written" };
const UNREAD: LeaseAnswer = { kind: "unread" };

/** One lease a shard, in the region's key-value store. `changed` is told when another leads a shard, or nobody. */
function createLeases(config: LeaderConfig, context: Context<LeaderProtocol>, changed: (shard: string) => void) {
  const stream = context.ref<StreamProtocol>(config.stream);
  const states = new Map<string, LeaseState>(
    config.shards.map((shard) => [shard, newLease({ self: config.node, durationMs: config.leaseMs })] as const),
  );
  /** By shard: who leads it, as was told last. */
  const told = new Map<string, string | undefined>();

  function step(shard: string, event: LeaseEvent): void {
    const state = states.get(shard);
    if (state === undefined) return;
    const next = stepLease(state, event, context.upMs());
    states.set(shard, next.state);
    const after = leaderOf(next.state, context.upMs())?.holder;
    // Compared with what was told last: a lease also ends by itself.
    if (after !== told.get(shard)) {
      told.set(shard, after);
      if (after !== undefined) context.metrics.count("freshet_leader_changes_total");
      changed(shard);
    }
    for (const effect of next.effects) {
      const work = effect.kind === "read" ? readRecord(shard) : writeRecord(shard, effect.revision);
      context.pipe(work, "lease-answer", (outcome) => ({
        shard,
        answer: outcome.kind === "done" ? outcome.value : effect.kind === "read" ? UNREAD : NOT_WRITTEN,
      }));
    }
  }

  async function readRecord(shard: string): Promise<LeaseAnswer> {
    const { record } = await stream.ask(
      "kv-get",
      { bucket: BUCKET, key: shard },
      { signal: context.deadline(config.leaseMs) },
    );
    return record === undefined
      ? { kind: "record" }
      : { kind: "record", record: { holder: record.value, revision: record.revision } };
  }

  async function writeRecord(shard: string, revision: number): Promise<LeaseAnswer> {
    const request = { bucket: BUCKET, key: shard, value: config.node, revision };
    const outcome = await stream.ask("kv-write", request, { signal: context.deadline(config.leaseMs) });
    return outcome.kind === "written" ? outcome : NOT_WRITTEN;
  }

  return {
    turn: () => {
      for (const shard of states.keys()) step(shard, { kind: "tick" });
    },
    answered: (shard: string, answer: LeaseAnswer) => {
      if (answer.kind !== "unread") step(shard, answer);
    },
    leaderOf: (shard: string): ReturnType<LeaderOf> => {
      const state = states.get(shard);
      const known = state && leaderOf(state, context.upMs());
      if (known === undefined) return undefined;
      if (known.holder === config.node) return "self";
      return { peer: peerText({ region: config.region, kind: "leader", id: known.holder }) };
    },
    known: () =>
      [...states].flatMap(([shard, state]) => {
        const found = leaderOf(state, context.upMs());
        return found === undefined ? [] : [{ shard, ...found }];
      }),
  };
}
