/*
 * What a trainer pushes to a shard: one batch, which takes effect whole and once, or not at all (invariant 2 of shard.ts).
 */
import { type ModelLayout } from "../protocols/model-layout.ts";
import { type Replica, type ReplicaEffect, type ReplicaEvent } from "../protocols/sync/replica.ts";
import { isSuperseded } from "../protocols/sync/row-notes.ts";
import { type Context, Refused } from "../runtime/actor.ts";
import { createAdmitKeys } from "./admit-keys.ts";
import { gatherRows } from "./gather-rows.ts";
import { compensated, stepsLate } from "./late-gradients.ts";
import { type PackedPush, unpackPush } from "./packed-push.ts";
import { type ShardConfig } from "./shard-config.ts";
import { type ShardImages } from "./shard-images.ts";
import { type Push, type PushOutcome, type ShardProtocol } from "./shard-protocol.ts";
import { type ShardRole } from "./shard-role.ts";
import { problemOf, writesOf } from "./shard-writes.ts";
import { type UrgencyScores } from "./urgency-scores.ts";

/** Takes pushes for one shard actor's replica. `step` has the replica take an event; `steps` counts those of trainers that took effect. */
export function createPushes(
  config: ShardConfig,
  context: Context<ShardProtocol>,
  parts: {
    readonly layout: ModelLayout;
    readonly replica: Replica;
    readonly images: ShardImages;
    readonly role: ShardRole;
    readonly urgency: UrgencyScores;
    readonly steps: Int32Array;
    readonly step: (event: ReplicaEvent, source: Push) => readonly ReplicaEffect[];
  },
): (packed: PackedPush) => PushOutcome {
  const { layout, replica, images, role, urgency, steps, step } = parts;
  const labels = { model: config.model.name };
  const admitKeys = createAdmitKeys(layout, replica.store);

  function push(packed: PackedPush): PushOutcome {
    if (!role.isPrimary()) throw new Refused(`shard ${config.name} of region ${config.region} is not the primary`);
    role.checkEpoch();
    const { trainer, batch, previous } = packed;
    const applied = replica.applied.get(trainer) ?? 0;
    if (batch <= applied) return { kind: "applied", durable: images.durable(trainer), late: 0 };
    const isElsewhere = applied !== previous || isSuperseded(replica);
    if (isElsewhere) return { kind: "elsewhere", applied, durable: images.durable(trainer) };
    const request = unpackPush(packed);
    if (request === undefined) return refusedPush(trainer, "columns");
    const problem = problemOf(layout, request);
    if (problem !== undefined) return refusedPush(trainer, problem);
    const late = stepsLate(request, steps[0] ?? 0);
    const current = late === 0 ? request : onTime(request);
    const { push: taken, admitted, refused: unadmitted } = admitKeys(current);
    if (admitted > 0) context.metrics.count("freshet_rows_admitted_total", admitted, labels);
    if (unadmitted > 0) context.metrics.count("freshet_gradients_dropped_total", unadmitted, labels);
    const writes = writesOf(layout, taken, { shard: config.shard, ...urgency });
    const effects = step({ kind: "write", writes, batch: { trainer, id: batch } }, taken);
    const stopped = effects.find((effect) => effect.kind === "refused");
    // Nothing is wrong with the batch, and other shards may have taken their part: it is to be asked again.
    if (stopped !== undefined) throw new Refused(`shard ${config.name} takes no batch: ${stopped.detail}`);
    urgency.written(effects);
    if (request.parts.length > 0) {
      Atomics.add(steps, 0, 1);
      context.metrics.count("freshet_steps_total", 1, labels);
      context.metrics.count("freshet_steps_late_total", late, labels);
    }
    return { kind: "applied", durable: images.durable(trainer), late };
  }

  /** The push with its gradients corrected for what others wrote since its rows were read, where that is declared. */
  function onTime(request: Push): Push {
    const onto = compensated(request, (list) => gatherRows(layout, replica.store, list).values);
    const { corrected, uncorrected } = onto;
    context.metrics.count("freshet_gradients_late_total", corrected, { ...labels, taken: "corrected" });
    context.metrics.count("freshet_gradients_late_total", uncorrected.length, { ...labels, taken: "as-computed" });
    for (const { reason, table, key } of uncorrected) {
      context.log.warn("A gradient took effect without a correction for its delay, which must not enter the model", {
        shard: config.name,
        trainer: request.trainer,
        reason,
        table: layout.tables[table]?.name,
        key: String(key),
      });
    }
    return onto.push;
  }

  function refusedPush(trainer: string, reason: string): PushOutcome {
    context.metrics.count("freshet_pushes_refused_total", 1, { ...labels, reason });
    context.log.warn("A push was refused whole", { shard: config.name, trainer, reason });
    return { kind: "refused", reason };
  }

  return push;
}
