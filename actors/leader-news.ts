import { type ReplicaEffect } from "../protocols/sync/replica.ts";
import { type ShardVersion } from "../protocols/sync/shard-version.ts";
import { type WriterId } from "../protocols/sync/version.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { type LeaderProtocol } from "./leader-protocol.ts";

/** What a shard tells its node's leader. */
export interface LeaderNews {
  version(version: ShardVersion): void;
  pull(effect: Extract<ReplicaEffect, { kind: "pulled" | "frame" | "stalled" }>): void;
}

/** Of one start of a shard, which `life` names. */
export function tellLeader(
  leader: ActorRef<LeaderProtocol>,
  { shard, life }: { readonly shard: string; readonly life: WriterId },
): LeaderNews {
  return {
    version: ({ counter, generator }) => leader.tell("shard-changed", { shard, life, counter, generator }),
    pull(effect) {
      const { pullId } = effect;
      if (effect.kind === "stalled") leader.tell("pull-stalled", { shard, pullId });
      else if (effect.kind === "frame") {
        leader.tell("pull-frame", { shard, pullId, bytes: effect.bytes, frames: effect.frames });
      } else if (effect.outcome === "failed") leader.tell("shard-pulled", { shard, pullId, outcome: "failed" });
      else leader.tell("shard-pulled", { shard, pullId, outcome: "complete", isLevel: effect.isLevel });
    },
  };
}
