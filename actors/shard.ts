/*
 * Holds one replica of one shard: serves reads, takes gradients where it is the primary, pulls from peers and answers them, and keeps
 * an image on disk. Synchronisation itself is protocols/sync; this carries its messages and timers.
 *
 * What holds:
 * 1. Rows, knowledge and the trainers' positions are in one image, all as they were between two messages: a restart never sees one without the others.
 * 2. A batch of a trainer takes effect whole and once, or not at all.
 * 3. What a trainer is told is durable, is in an image on disk.
 * 4. Nothing is learned, nor told to have been, in an epoch whose rows are not here.
 */
import { modelLayout } from "../protocols/model-layout.ts";
import { encodeImage } from "../protocols/sync/image.ts";
import { contentOf, type ReplicaEffect, type ReplicaEvent } from "../protocols/sync/replica.ts";
import { type Address, defineActor } from "../runtime/actor.ts";
import { gatherAll, shareRows } from "./gather-rows.ts";
import { createEffectCounts } from "./effect-counts.ts";
import { createLagMeter, noteUrgentRows } from "./lag-meter.ts";
import { tellLeader } from "./leader-news.ts";
import { type LeaderProtocol } from "./leader-protocol.ts";
import { createRowFeed } from "./row-feed.ts";
import { viewRow } from "./row-view.ts";
import { letGo, turnsOf } from "./letting-go.ts";
import { openReplica } from "./open-replica.ts";
import { type ShardConfig } from "./shard-config.ts";
import { createShardEpochs, lookAt } from "./shard-epochs.ts";
import { createImages } from "./shard-images.ts";
import { peerText, rememberWay } from "./shard-name.ts";
import { createPushes } from "./shard-pushes.ts";
import { createShardRole } from "./shard-role.ts";
import { sendToPeer } from "./shard-sends.ts";
import { createHeldMeter } from "./show-held.ts";
import { type Push, type ShardProtocol, type SucceedOutcome } from "./shard-protocol.ts";
import { createShardDigest } from "./shard-digest.ts";
import { keptPush } from "./push-room.ts";
import { openTrace } from "./step-trace.ts";
import { createUrgencyScores } from "./urgency-scores.ts";

const PEERS = ["pull", "more", "release", "refuse", "frame", "orphans", "survey", "report"] as const;
const FROM_ELSEWHERE = [...PEERS, "status", "row"] as const;

/** One replica of one shard. */
export const shard = defineActor<ShardProtocol, ShardConfig>({
  kind: "shard",
  messages: [
    ...(["gather", "share", "push", "position", "subscribe", "synchronise", "hurry", "grant", "give-up"] as const),
    ...(["led-anew", "settle-on"] as const),
    ...([
      "role",
      "settle",
      "standing",
      "succeed",
      "lead",
      "due",
      "digest",
      "save",
      "saved",
      "try-again",
      "scored",
    ] as const),
    ...FROM_ELSEWHERE,
  ],
  fromElsewhere: FROM_ELSEWHERE,
  setup: async (config, context) => {
    const layout = modelLayout(config.model);
    const { replica, chain, scratch } = await openReplica(config, context);
    const news = tellLeader(context.ref<LeaderProtocol>(config.leader), { shard: config.name, life: replica.writer });
    const epochs = createShardEpochs(replica);
    const lag = createLagMeter(context.now());
    const feed = createRowFeed(config.shard, replica.store, context);
    const images = createImages(config, context, { replica, chain });
    /** By which way a peer asked: its answer goes back there. */
    const ways = new Map<string, Address>();
    const labels = { model: config.model.name };
    const countEffects = createEffectCounts(context.metrics, labels);
    const urgency = createUrgencyScores(config, context, { layout, step });
    const showHeld = createHeldMeter(context, { layout, replica, shard: config.name });
    const digest = createShardDigest(replica.store, (delayMs) => context.after(delayMs, "digest", {}));
    const trace = openTrace(config.trace, context);
    trace.start(() => ({ writer: replica.writer, primary: replica.primary, image: encodeImage(replica) }));
    let refused = 0;
    /** Steps of trainers that took effect since the start. */
    const steps = new Int32Array(new SharedArrayBuffer(4));
    function decide(event: ReplicaEvent, source?: Push): readonly ReplicaEffect[] {
      const nowMs = context.now();
      const effects = epochs.step(event, nowMs);
      const isKept = config.trace !== undefined && source !== undefined;
      trace.step({ event: isKept ? { kind: "push", push: keptPush(source) } : event, nowMs, effects });
      return effects;
    }

    /** What this node has the replica do. `source` is the push that a write was made of: the write itself holds functions. */
    function step(event: ReplicaEvent, source?: Push): readonly ReplicaEffect[] {
      const effects = decide(event, source);
      for (const effect of effects) perform(effect);
      countEffects(effects);
      feed.publish(effects);
      return effects;
    }

    /**
     * What comes from elsewhere or with time. While an image is on its way to disk that must be there first, no other message is taken. Where it cannot
     * be written this goes on, and all that it sends to other nodes is as if lost, until it is. So that this is seldom, nothing is settled while the disk is
     * known to take no images.
     */
    async function take(
      event: ReplicaEvent & { kind: "message" | "timer" | "give-up" | "settle" | "lead" },
    ): Promise<void> {
      if (event.kind === "message" && event.message === "report" && images.problem() !== undefined) return;
      const effects = decide(event);
      for (const effect of effects) {
        if (effect.kind === "save") await images.mustSave();
        else perform(effect);
      }
      countEffects(effects);
      feed.publish(effects);
    }

    function perform(effect: ReplicaEffect): void {
      switch (effect.kind) {
        case "save":
          // `take` waits for the disk, and what this node itself has the replica do goes by `step`, which cannot.
          throw new RangeError(
            `Cannot go on with shard ${config.name}: its image was to be saved before a step that does not wait for that`,
          );
        case "send":
          if (!images.isOwed()) sendToPeer(context, { effect, ways });
          return;
        case "timer":
          context.after(effect.delayMs, "due", { timer: effect.name });
          return;
        case "changed":
          images.note();
          announce();
          return;
        case "pulled":
          images.note();
          news.pull(effect);
          return;
        case "frame":
        case "stalled":
          news.pull(effect);
          return;
        case "applied":
          if (effect.origin === "peer" || effect.origin === "urgent") lag.add(effect.t, context.now());
          if (effect.origin === "urgent") noteUrgentRows(context, { times: effect.t, labels });
          return;
        case "refused":
          // Late and repeated messages are what a network does; all else deserves a look.
          if (effect.reason === "stale" || effect.reason === "differs") return;
          refused += 1;
          context.metrics.count("freshet_sync_refused_total", 1, { what: "shard", reason: effect.reason });
          context.log.warn("A message was refused whole", {
            shard: config.name,
            reason: effect.reason,
            from: effect.from ?? "",
            why: effect.detail,
          });
          return;
        case "dropped":
        case "written":
          // A batch without rows moves its trainer's position all the same.
          images.note();
      }
    }

    /** A leader that restarted knows no shards; telling it again costs nothing. */
    function announce(): void {
      if (!images.isOwed()) news.version(replica.version);
    }

    async function endPull(): Promise<void> {
      if (replica.pull !== undefined) await take({ kind: "give-up", pullId: replica.pull.pullId });
    }

    function fromAsker(message: "pull" | "more" | "release" | "survey", body: unknown, from: Address): Promise<void> {
      rememberWay(ways, from);
      return take({ kind: "message", from: peerText(from), message, body });
    }

    const role = createShardRole(config, context, { replica, images, take, endPull });

    const push = createPushes(config, context, { layout, replica, images, role, urgency, steps, step });

    function succeed({ trainers, seal, content }: ShardProtocol["succeed"]["request"]): SucceedOutcome {
      // Positions came with what was pulled, and say nothing of rows that are ahead of them.
      const applied = new Map(trainers.map((trainer) => [trainer, seal]));
      const effects = step({ kind: "succeed", content, applied });
      if (effects.some((effect) => effect.kind === "refused")) return { kind: "differs" };
      images.saveIfChanged();
      return { kind: durableOf(trainers) === seal ? "succeeded" : "saving" };
    }

    /** The message up to which all these trainers' steps are in the image on disk. */
    function durableOf(trainers: readonly string[]): number {
      return Math.min(...trainers.map((trainer) => images.durable(trainer)));
    }

    news.version(replica.version);
    context.after(config.snapshotMs, "save", {});
    context.after(ANNOUNCE_MS, "due", { timer: ANNOUNCE });
    const turns = config.full ? turnsOf(layout) : [];
    for (const { timer, everyMs } of turns) context.after(everyMs, "due", { timer });
    return {
      handlers: {
        gather: (request) =>
          gatherAll(layout, replica.store, { ...request, steps: steps[0] ?? 0, look: lookAt(epochs.shared) }),
        share: ({ known }) => shareRows(replica, { known, steps, epochs: epochs.shared }),
        push,
        position: ({ trainer }) => {
          role.checkEpoch();
          const applied = replica.applied.get(trainer) ?? 0;
          return { applied, durable: images.durable(trainer), known: new Map(replica.applied) };
        },
        role: (told) => role.obey(told),
        settle: (request) => role.settle(request),
        "settle-on": (ready) => role.settleOn(ready),
        standing: ({ trainers, seal }) => {
          images.saveIfChanged();
          const durable = role.isBehind() || images.isOwed() ? 0 : durableOf(trainers);
          return durable === seal ? { durable, content: contentOf(replica) } : { durable };
        },
        succeed,
        lead: ({ epoch }) => role.lead(epoch).then(() => ({})),
        subscribe: (request, from) => feed.subscribe(request, from),
        synchronise: ({ peer, pullId, burst, stands }) => {
          step({
            kind: "pull",
            peer: peerText(peer),
            pullId,
            ...(burst !== undefined && { burst }),
            ...(stands !== undefined && { stands }),
          });
        },
        hurry: ({ pullId }) => void step({ kind: "hurry", pullId }),
        grant: ({ pullId, upTo }) => void step({ kind: "grant", pullId, upTo }),
        "give-up": ({ pullId }) => take({ kind: "give-up", pullId }),
        // A primary pulls on its own account.
        "led-anew": () => (role.isPrimary() ? undefined : endPull()),
        status: () => ({
          shard: config.shard,
          ...digest.now(),
          primary: role.isPrimary(),
          refused,
          unsettled: { entries: replica.knowledge.size, tombstones: replica.store.tombstones },
          settled: replica.horizon.settled,
          lag: lag.recent(context.now()),
          notWritten: images.problem(),
        }),
        digest: () => digest.turn(),
        row: (request) => viewRow(layout, replica.store, { ...request, nowMs: context.now() }),
        pull: (body, from) => fromAsker("pull", body, from),
        more: (body, from) => fromAsker("more", body, from),
        release: (body, from) => fromAsker("release", body, from),
        refuse: (body, from) => take({ kind: "message", from: peerText(from), message: "refuse", body }),
        frame: (body, from) => take({ kind: "message", from: peerText(from), message: "frame", body }),
        survey: (body, from) => fromAsker("survey", body, from),
        report: (body, from) => take({ kind: "message", from: peerText(from), message: "report", body }),
        orphans: (body, from) => take({ kind: "message", from: peerText(from), message: "orphans", body }),
        due: async ({ timer }) => {
          const turn = turns.find((each) => each.timer === timer);
          if (turn !== undefined) {
            // At the primary alone.
            letGo(role.mayLetGo() ? turn.events(context.now()) : [], { step, metrics: context.metrics, labels });
            context.after(turn.everyMs, "due", { timer });
            return;
          }
          if (timer !== ANNOUNCE) {
            await take({ kind: "timer", name: timer });
            return;
          }
          announce();
          context.after(ANNOUNCE_MS, "due", { timer: ANNOUNCE });
        },
        save: () => {
          images.saveIfChanged();
          showHeld();
          context.after(config.snapshotMs, "save", {});
        },
        saved: ({ outcome }) => images.saved(outcome),
        "try-again": () => images.tryAgain(),
        scored: (answer) => urgency.scored(answer),
      },
      stop: () => images.saveNow().then(() => scratch?.close()),
    };
  },
});

const ANNOUNCE = "announce";
const ANNOUNCE_MS = 2_000;
