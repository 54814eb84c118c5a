import { mixUint32, nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { type Knobs } from "./knobs.ts";

/** A message on its way. Control messages are text, as they are on a real wire; frames are bytes. */
export interface Envelope {
  readonly from: number;
  readonly to: number;
  /** Undefined for messages between pollers. */
  readonly shard: number | undefined;
  readonly message: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/** Which directed links are cut. */
export interface Network {
  readonly cut: Set<string>;
  healed: boolean;
}

/** When the copies of a message arrive: none when it is lost, two when it is repeated. Exponential delays reorder freely. */
export function deliveries(
  network: Network,
  { knobs, random, envelope }: { knobs: Knobs; random: Random; envelope: Envelope },
): { delayMs: number; envelope: Envelope }[] {
  function delayMs(): number {
    return knobs.delayMs * (0.3 - Math.log(1 - nextFloat(random)));
  }
  if (network.healed) return [{ delayMs: delayMs(), envelope }];
  if (network.cut.has(`${envelope.from}>${envelope.to}`) || nextFloat(random) < knobs.lossRate) return [];
  const copies = nextFloat(random) < knobs.duplicateRate ? 2 : 1;
  return Array.from({ length: copies }, () => ({
    // A late copy may be very late: beyond the answer it belongs to, or its receiver's life.
    delayMs: delayMs() * (nextFloat(random) < 0.05 ? 40 : 1),
    envelope: nextFloat(random) < knobs.corruptRate ? corrupt(envelope, random) : envelope,
  }));
}

/** Cuts or mends some links: one direction, one node, or halves. */
export function changeCuts(network: Network, { nodes, random }: { nodes: number; random: Random }): void {
  if (nextFloat(random) < 0.5) {
    network.cut.clear();
    return;
  }
  const kind = nextBelow(random, 3);
  const one = nextBelow(random, nodes);
  const other = nextBelow(random, nodes);
  for (let from = 0; from < nodes; from += 1) {
    for (let to = 0; to < nodes; to += 1) {
      const isCut =
        kind === 0
          ? from === one && to === other
          : kind === 1
            ? (from === one) !== (to === one)
            : from <= one !== to <= one;
      if (isCut) network.cut.add(`${from}>${to}`);
    }
  }
}

/** A number that differs when the message does. */
export function hashEnvelope(hash: number, { from, to, shard = -1, message, body }: Envelope): number {
  let mixed = mixUint32(mixUint32(hash, from * 64 + to), shard * 256 + message.length);
  for (let at = 0; at < body.length; at += 1) {
    mixed = (Math.imul(mixed, 31) + (typeof body === "string" ? body.charCodeAt(at) : (body[at] ?? 0))) | 0;
  }
  return mixed >>> 0;
}

function corrupt(envelope: Envelope, random: Random): Envelope {
  if (typeof envelope.body === "string" || envelope.body.length === 0) return envelope;
  const body = envelope.body.slice();
  const at = nextBelow(random, body.length);
  body[at] = (body[at] ?? 0) ^ (1 << nextBelow(random, 8));
  return { ...envelope, body };
}
