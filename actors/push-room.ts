/*
 * Memory for the gradients of pushes. It is shared: the shards of this process read what is pushed where it lies, and the next step's gradients are
 * written over it. Memory of its own for each step would have to be made, handed over and collected.
 *
 * What holds: what was pushed does not change before it was answered. A push of which nobody knows what became may still be read, so
 * its memory is left to whoever reads it.
 */
import { type Push } from "./shard-protocol.ts";

export interface PushRoom {
  /** Room for so many floats of a shard, whose last push was answered. What is in it is anything. */
  take(shard: number, floats: number): Float32Array;
  /** Waits for the answers of what was pushed; where one fails, nothing is written any more where these pushes lie. */
  answered<T>(pushes: Promise<T>): Promise<T>;
}

/** Room has so much more than is needed, so that it seldom grows. */
const SPARE = 1.25;

export function createPushRoom(): PushRoom {
  let held: (Float32Array | undefined)[] = [];
  return {
    take(shard, floats) {
      let room = held[shard];
      if (room === undefined || room.length < floats) {
        room = new Float32Array(new SharedArrayBuffer(4 * Math.ceil(SPARE * floats)));
        held[shard] = room;
      }
      return room.subarray(0, floats);
    },
    async answered(pushes) {
      try {
        return await pushes;
      } catch (error) {
        held = [];
        throw error;
      }
    },
  };
}

/** The push with gradients of its own, for whoever looks at it after it was answered. */
export function keptPush(push: Push): Push {
  return { ...push, parts: push.parts.map((part) => ({ ...part, gradients: part.gradients.slice() })) };
}
