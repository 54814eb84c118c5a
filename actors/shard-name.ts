import { type Address } from "../runtime/actor.ts";

/** The name under which nodes speak of a shard: the same on every node. */
export function shardName(model: string, shard: number): string {
  return `${model}-${shard}`;
}

/** The address of one node's replica of a shard. */
export function replicaAddress(at: { readonly region: string; readonly node: string }, shard: string): Address {
  return { region: at.region, kind: "shard", id: `${shard}-${at.node}` };
}

/** An address as the text that the pure protocols know peers by. The way back is not part of it. */
export function peerText({ region, id }: Address): string {
  return `${region}/${id}`;
}

/** The address of a peer of the same kind as the actor that knows it by this text. */
export function peerAddress(kind: string, text: string): Address {
  const slash = text.indexOf("/");
  return { region: text.slice(0, slash), kind, id: text.slice(slash + 1) };
}

/** Remembers by which way a peer's request came, of at most 256 peers: who claims ever new names only makes us forget. */
export function rememberWay(ways: Map<string, Address>, from: Address): void {
  const peer = peerText(from);
  ways.delete(peer);
  ways.set(peer, from);
  const [oldest] = ways.keys();
  if (ways.size > WAYS_MAX && oldest !== undefined) ways.delete(oldest);
}

const WAYS_MAX = 256;
