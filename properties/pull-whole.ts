import { type Replica, type ReplicaEffect, stepReplica } from "../protocols/sync/replica.ts";

/** Pulls all that a replica lacks of what a peer has, with nothing lost on the way. Gives the frames that it came in. */
export function pullWhole(
  puller: Replica,
  { peer, id, nowMs }: { readonly peer: Replica; readonly id: number; readonly nowMs: number },
): Uint8Array[] {
  const pullId = id.toString(16).padStart(32, "0");
  const frames: Uint8Array[] = [];
  let effects: readonly ReplicaEffect[] = stepReplica(puller, { kind: "pull", peer: "peer", pullId }, nowMs);
  while (effects.length > 0) {
    const answers = effects.flatMap((effect) =>
      effect.kind === "send" && (effect.message === "pull" || effect.message === "more" || effect.message === "release")
        ? stepReplica(peer, { kind: "message", from: puller.writer, message: effect.message, body: effect.body }, nowMs)
        : [],
    );
    effects = answers.flatMap((answer) => {
      if (answer.kind !== "send" || answer.message !== "frame") return [];
      frames.push(answer.body);
      return stepReplica(puller, { kind: "message", from: "peer", message: "frame", body: answer.body }, nowMs);
    });
  }
  return frames;
}
