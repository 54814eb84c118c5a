/*
 * What a shard's replica is to do, as the region log says it: write as the primary, in which epoch, and ask the members where they stand.
 */
import { type Role } from "../protocols/model-state/role.ts";
import { type Replica, type ReplicaEvent } from "../protocols/sync/replica.ts";
import { epochOf } from "../protocols/sync/version.ts";
import { drawPullId } from "../protocols/wire/pull.ts";
import { type Context, Refused } from "../runtime/actor.ts";
import { adviceOn } from "./image-trouble.ts";
import { newWriter, primaryOf } from "./open-replica.ts";
import { type ShardConfig } from "./shard-config.ts";
import { type ShardImages } from "./shard-images.ts";
import { peerText, replicaAddress } from "./shard-name.ts";
import { type ShardProtocol } from "./shard-protocol.ts";

/** How often members are asked for the rows of an epoch that is lacking. */
const ASK_AGAIN_MS = 1_000;

export interface ShardRole {
  isPrimary(): boolean;
  /** The primary lets rows go, and moves the settled time. */
  mayLetGo(): boolean;
  /** The rows of its role's epoch are to come from a member yet, or to get to the disk (protocols/sync/recovery.ts). */
  isBehind(): boolean;
  /** Throws `Refused` where that is so: what was learned is not known before, and nothing is to be. */
  checkEpoch(): void;
  obey(role: Role): Promise<void>;
  /** Writes in this epoch from now on. */
  lead(epoch: number): Promise<void>;
  /** Asks the members where they stand, where there is anything to ask; not before all that is here is on disk, which nothing waits for. */
  settle(request: ShardProtocol["settle"]["request"]): void;
  settleOn(ready: ShardProtocol["settle-on"]["request"]): Promise<void> | undefined;
}

/** The role of one shard actor's replica; `take` has the replica take an event, and its images be on disk where they must. */
export function createShardRole(
  config: ShardConfig,
  context: Context<ShardProtocol>,
  parts: {
    readonly replica: Replica;
    readonly images: ShardImages;
    readonly take: (event: ReplicaEvent & { kind: "settle" | "lead" }) => Promise<void>;
    readonly endPull: () => Promise<void>;
  },
): ShardRole {
  const { replica, images, take, endPull } = parts;
  let isPrimary = false;
  /** Of what a primary writes. */
  let epoch = 0;
  let isBehind = false;
  let askedAtMs = -Infinity;
  let isPreparing = false;

  /** Whether what this primary goes on from is on disk: what the image before made durable may be none of this epoch's. And nobody begins an epoch that may have to be begun again. */
  async function mayLead(next: number): Promise<boolean> {
    const isNew = isBehind || images.isOwed() || replica.horizon.epoch < next;
    return !isNew || images.isReady();
  }

  async function begin(next: number): Promise<void> {
    isBehind = false;
    if (epochOf(replica.writer) >= next) return;
    await take({ kind: "lead", epoch: next, writer: newWriter(config, context, next) });
  }

  function isDue({ ifBehind }: ShardProtocol["settle"]["request"]): boolean {
    return isBehind || (ifBehind !== true && mayLetGo());
  }

  function mayLetGo(): boolean {
    return isPrimary && replica.primary?.kind === "self";
  }

  return {
    isPrimary: () => isPrimary,
    mayLetGo,
    isBehind: () => isBehind,
    checkEpoch() {
      if (!isBehind) return;
      const why = `lacks the rows of epoch ${epoch}, which it takes from a member first`;
      throw new Refused(`shard ${config.name} of region ${config.region} ${why}`);
    },
    async obey(role) {
      const { duty, training } = role;
      const didPull = !isPrimary;
      isPrimary = duty === "trains" || duty === "hands-over";
      ({ epoch } = role);
      // What a pull brings from now on, its positions too, is what others hold besides.
      if (isPrimary && didPull) await endPull();
      const isLacking = isPrimary && replica.horizon.epoch < epoch;
      if (isLacking && !isBehind) {
        context.log.warn("The rows of the epoch are not here: no gradients are taken before a member has given them", {
          shard: config.name,
          epoch,
          held: replica.horizon.epoch,
        });
      }
      isBehind = isLacking || (isBehind && isPrimary);
      // What is handed over must stand still: rows left early are written anew, and old ones let go, by whoever trains next. Nor is what an earlier epoch left here touched.
      const at = { ...config.primaryAt, region: training };
      replica.primary = duty === "hands-over" || isLacking ? undefined : primaryOf(at, context.self);
      if (duty !== "trains" && !isLacking) replica.survey = undefined;
      // Only who takes over begins an epoch: a primary that lost its disk gets it from a member, with what it began with.
      if (isPrimary && !isLacking && (await mayLead(epoch))) await begin(epoch);
    },
    async lead(next) {
      if (await mayLead(next)) {
        await begin(next);
        if (!images.isOwed()) return;
      }
      const problem = images.problem();
      const why = problem === undefined ? "" : `: ${adviceOn(problem)}`;
      throw new Refused(
        `shard ${config.name} of region ${config.region} begins no epoch that it cannot write down${why}`,
      );
    },
    settle(request) {
      if (isPreparing || !isDue(request)) return;
      isPreparing = true;
      context.pipe(images.isReady(), "settle-on", (outcome) => ({
        request,
        isReady: outcome.kind === "done" && outcome.value,
      }));
    },
    settleOn({ request, isReady }) {
      isPreparing = false;
      if (!isReady || !isDue(request)) return undefined;
      const self = peerText(context.self);
      const all = request.members.map((member) => peerText(replicaAddress(member, config.name)));
      const others = all.filter((member) => member !== self);
      // The primary pulls from nobody, so it says what it knows.
      const event = {
        kind: "settle",
        members: others,
        isAloof: true,
        pullId: drawPullId(() => context.random()),
      } as const;
      if (!isBehind) return take(event);
      // A log that does not name this node does not name all who may hold the epoch.
      if (context.upMs() < askedAtMs + ASK_AGAIN_MS || others.length === all.length) return undefined;
      askedAtMs = context.upMs();
      return take({ ...event, begins: { epoch, writer: newWriter(config, context, epoch) } });
    },
  };
}
