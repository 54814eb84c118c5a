import { createMapRowStore } from "../../../protocols/sync/map-row-store.ts";
import { createReplica, stepReplica } from "../../../protocols/sync/replica.ts";
import { parseWriterId } from "../../../protocols/sync/version.ts";
import { EPOCH_MS, TABLES } from "./costs.ts";
import { payloadBytes } from "./machine.ts";

/** Bytes of a pull of a shard of which nothing is lacking, made by the core: what the asker sends, and what the other answers. */
export function idlePullBytes(): { readonly asked: number; readonly answered: number } {
  const knowledge = new Map([[parseWriterId("0.oregon.a.0kdadvuqdt1df4k2kd3f"), EPOCH_MS * 1_000]]);
  const [asker, responder] = ["0.frankfurt.a.2tsjrs54935ulb8a2a2r", "0.oregon.a.1tsjrs54935ulb8a2a2r"].map((id) =>
    createReplica({ writer: parseWriterId(id), store: createMapRowStore(TABLES, { state: false }), knowledge }),
  );
  if (asker === undefined || responder === undefined) {
    throw new TypeError("Cannot measure a pull: a replica is missing");
  }
  const [pull] = stepReplica(asker, { kind: "pull", peer: "b", pullId: "0".repeat(32) }, EPOCH_MS);
  if (pull?.kind !== "send" || pull.message !== "pull") throw new TypeError("Cannot measure a pull: none was sent");
  const message = { kind: "message", from: "a", message: "pull", body: pull.body } as const;
  const [frame] = stepReplica(responder, message, EPOCH_MS);
  if (frame?.kind !== "send" || frame.message !== "frame") throw new TypeError("Cannot measure a pull: no frame came");
  const taken = { kind: "message", from: "b", message: "frame", body: frame.body } as const;
  const release = stepReplica(asker, taken, EPOCH_MS).find((effect) => effect.kind === "send");
  return {
    asked: payloadBytes(pull.body) + (release === undefined ? 0 : payloadBytes(release.body)),
    answered: payloadBytes(frame.body),
  };
}
