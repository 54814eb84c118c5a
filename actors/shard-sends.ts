import { type SendEffect } from "../protocols/sync/replica-state.ts";
import { type Address, type Context } from "../runtime/actor.ts";
import { peerAddress } from "./shard-name.ts";
import { type ShardProtocol } from "./shard-protocol.ts";

/** Sends a replica's message to a peer's: what answers it goes by the way on which it was asked. */
export function sendToPeer(
  context: Pick<Context<ShardProtocol>, "ref">,
  { effect, ways }: { readonly effect: SendEffect; readonly ways: ReadonlyMap<string, Address> },
): void {
  const to = peerAddress("shard", effect.to);
  const peer = context.ref<ShardProtocol>(to);
  const asker = context.ref<ShardProtocol>(ways.get(effect.to) ?? to);
  switch (effect.message) {
    case "pull":
      return peer.tell("pull", effect.body);
    case "more":
      return peer.tell("more", effect.body);
    case "release":
      return peer.tell("release", effect.body);
    case "orphans":
      return peer.tell("orphans", effect.body);
    case "refuse":
      return asker.tell("refuse", effect.body);
    case "survey":
      return peer.tell("survey", effect.body);
    case "report":
      return asker.tell("report", effect.body);
    case "frame":
      // Made for this one message, and large.
      return asker.tell("frame", effect.body, { transfer: [effect.body.buffer] });
  }
}
