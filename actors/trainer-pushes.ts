/*
 * What a trainer pushes: one batch, to all shards that lack it, each with what is its own (shard-pushes.ts takes it). Whether gradients may enter the
 * model was asked before, of all of them.
 */
import { afterApplied, type SamplePositions, shardsLacking } from "../protocols/learning/sample-positions.ts";
import { type GradientRoom } from "../protocols/learning/learner.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { packPush } from "./packed-push.ts";
import { createPushRoom } from "./push-room.ts";
import { type GradientPart, type PushOutcome, type ShardProtocol, type Sighting } from "./shard-protocol.ts";
import { ShardElsewhere } from "./training-faults.ts";

/** One shard's gradients, and what the shard said of its steps when their rows were read. */
export interface ShardStep {
  readonly parts: readonly GradientPart[];
  readonly readAt?: number;
}

/** A batch by the number of its last message; gradients and sightings by shard. */
export interface BatchPush {
  readonly seq: number;
  readonly parts: readonly ShardStep[];
  readonly sightings: readonly (readonly Sighting[])[];
  /** Until when answers are waited for. */
  readonly signal: AbortSignal;
}

export interface TrainerPushes {
  /** Where gradients are put that are pushed next. */
  readonly room: GradientRoom;
  /** How many steps late the shards took pushes, as a mean of the last ones. */
  readonly late: number;
  /**
   * Has all shards take a batch that lack it; a shard that had learned from it goes on to it without. Gives where they stand then, and why some refused
   * theirs. Throws `ShardElsewhere` where one stands elsewhere than is known.
   */
  push(known: SamplePositions, batch: BatchPush): Promise<{ positions: SamplePositions; refused?: string }>;
}

/** Pushes that the mean of their lateness is about. */
const LATE_MEMORY = 100;

/** `wasLearnedOn`: whether a message took effect on a shard before its trainers' number was what it is. */
export function createTrainerPushes(given: {
  readonly trainer: string;
  readonly shards: readonly ActorRef<ShardProtocol>[];
  readonly compensation: number;
  readonly wasLearnedOn: (shard: number, seq: number) => boolean;
}): TrainerPushes {
  const { trainer, shards, compensation, wasLearnedOn } = given;
  const room = createPushRoom();
  let lateMean = 0;

  async function pushTo({ shard, previous }: { readonly shard: number; readonly previous: number }, batch: BatchPush) {
    const { seq, signal } = batch;
    const isKnown = wasLearnedOn(shard, seq);
    const gradients = (isKnown ? undefined : batch.parts[shard]) ?? { parts: [] };
    const sightings = (isKnown ? undefined : batch.sightings[shard]) ?? [];
    const named = { trainer, batch: seq, previous, sightings };
    const push = packPush({ ...named, ...gradients, ...(compensation > 0 && { compensation }) });
    // Nobody here needs the keys any more.
    const transfer = [push.parts.keys.buffer].filter((buffer) => buffer instanceof ArrayBuffer);
    const outcome: PushOutcome = (await shards[shard]?.ask("push", push, { signal, transfer })) ?? {
      kind: "refused",
      reason: "no-shard",
    };
    return { shard, outcome, isStep: gradients.parts.length > 0 };
  }

  return {
    room: (shard, floats) => room.take(shard, floats),
    get late() {
      return lateMean;
    },
    async push(known, batch) {
      const asked = Promise.all(shardsLacking(known, batch.seq).map((lacking) => pushTo(lacking, batch)));
      let next = known;
      let refused: string | undefined;
      for (const { shard, outcome, isStep } of await room.answered(asked)) {
        if (outcome.kind === "applied") {
          next = afterApplied(next, { shard, last: batch.seq, durable: outcome.durable });
          if (isStep) lateMean += (outcome.late - lateMean) / LATE_MEMORY;
        } else if (outcome.kind === "refused") refused = outcome.reason;
        else throw new ShardElsewhere(shard, outcome.applied);
      }
      return refused === undefined ? { positions: next } : { positions: next, refused };
    },
  };
}
