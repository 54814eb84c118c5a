/*
 * Urgent rows and who asks for them, built by hand: what random worlds meet too rarely. Says what does not hold.
 */
import { SYNC_LIMITS } from "../../protocols/limits.ts";
import { createMapRowStore } from "../../protocols/sync/map-row-store.ts";
import { createReplica, stepReplica } from "../../protocols/sync/replica.ts";
import { parseWriterId } from "../../protocols/sync/version.ts";
import { decodeFrame } from "../../protocols/wire/frame-codec.ts";
import { buildPull } from "../../protocols/wire/pull.ts";
import { NOW, TABLES } from "./situation.ts";

/** X4: a place in the list of an earlier start says nothing of the list of this one: its urgent rows are sent. */
export function placeOfAnotherStart(): string | undefined {
  const peer = createReplica({
    writer: parseWriterId("0.sim.b.l2"),
    store: createMapRowStore(TABLES, { state: true }),
    limits: { ...SYNC_LIMITS, frameBytes: 30 },
  });
  const write = {
    table: 0,
    keys: BigUint64Array.of(1n, 2n, 3n),
    mutate: () => undefined,
    isUrgent: (index: number) => index === 2,
  };
  stepReplica(peer, { kind: "write", writes: [write] }, NOW);
  const body = buildPull({
    pullId: "1".repeat(32),
    declaration: peer.declaration,
    wantsState: true,
    epoch: 0,
    settled: 0,
    knowledge: new Map(),
    urgent: { writer: parseWriterId("0.sim.b.l1"), number: 5 },
  });
  const sent = stepReplica(peer, { kind: "message", from: "a", message: "pull", body }, NOW);
  const [first] = sent.flatMap((effect) => (effect.kind === "send" && effect.message === "frame" ? [effect.body] : []));
  const frame = first && decodeFrame(first);
  return frame?.urgent === 1 && frame.sections[0]?.keys[0] === 3n
    ? undefined
    : "a place in the list of another start hides an urgent row";
}
