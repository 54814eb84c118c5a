import { type Members, presentMembers } from "../protocols/model-state/members.ts";
import { type Role } from "../protocols/model-state/role.ts";
import { type Address, type Context, type Protocol } from "../runtime/actor.ts";
import { type JoinerProtocol } from "./joiner.ts";
import { type LeaderProtocol } from "./leader-protocol.ts";
import { type ShardProtocol } from "./shard-protocol.ts";
import { type TrainerProtocol } from "./trainer.ts";

/** The actors of one node that have to know what their region does. */
export interface RoleTellerConfig {
  /** Whether the node trains when its region does; if not, it follows whatever the region does. */
  readonly mayTrain: boolean;
  readonly shards: readonly Address[];
  readonly leader: Address;
  /** Only where the node may train. */
  readonly joiner?: Address;
  readonly trainers: readonly Address[];
  /** How often the shards of the node that trains settle what all members know. */
  readonly settleMs: number;
}

/** Tells a node's actors what they have to do, at once when it changes. */
export interface RoleTeller {
  tell(role: Role): void;
  /** Again, for actors that were started again. */
  repeat(role: Role): void;
}

export function createRoleTeller<P extends Protocol<P>>(
  config: RoleTellerConfig,
  context: Context<P>,
  members: () => Members,
): RoleTeller {
  const shards = config.shards.map((address) => context.ref<ShardProtocol>(address));
  const leader = context.ref<LeaderProtocol>(config.leader);
  const joiner = config.joiner === undefined ? undefined : context.ref<JoinerProtocol>(config.joiner);
  const trainers = config.trainers.map((address) => context.ref<TrainerProtocol>(address));
  let told = "";
  let settledAtMs = context.upMs();

  function repeat(role: Role): void {
    const own: Role = config.mayTrain ? role : { ...role, duty: "follows" };
    told = JSON.stringify(own);
    // Whoever begins pulling stops being primary first, and whoever becomes primary stops pulling first.
    leader.tell("role", own);
    for (const shard of shards) shard.tell("role", own);
    joiner?.tell("role", own);
    for (const trainer of trainers) trainer.tell("role", own);
    if (own.duty !== "trains" && own.duty !== "hands-over") return;
    const isDue = own.duty === "trains" && context.upMs() >= settledAtMs + config.settleMs;
    if (isDue) settledAtMs = context.upMs();
    const request = { members: presentMembers(members()), ...(!isDue && { ifBehind: true as const }) };
    for (const shard of shards) shard.tell("settle", request);
  }

  return {
    repeat,
    tell(role) {
      const own: Role = config.mayTrain ? role : { ...role, duty: "follows" };
      if (JSON.stringify(own) === told) return;
      context.log.info("What this region has to do", {
        duty: role.duty,
        training: role.training,
        term: role.term,
        next: role.next ?? "",
      });
      repeat(role);
    },
  };
}
