/*
 * Pulls that stand here. Who has all that we have leaves its next pull with us, and is answered when there is more: so a change reaches it in
 * one crossing, where a poll, a pull and a frame are three. A pull that stood is answered as one that was long on its way would be: what its
 * asker lacks is found then. It has no end of its own, and costs nothing while nothing changes. Nothing rests on it: one that is lost or
 * forgotten costs the time of a poll.
 */
import { type ParsedPull } from "../wire/pull.ts";
import { type Replica, type ReplicaEffect } from "./replica-state.ts";
import { coversVersion } from "./shard-version.ts";

/** Keeps a pull of who lacks nothing, in place of an earlier one of its asker; undefined when it is to be answered at once. */
export function holdPull(
  replica: Replica,
  { from, pull }: { readonly from: string; readonly pull: ParsedPull },
): ReplicaEffect[] | undefined {
  const { held, limits } = replica;
  held.delete(from);
  if (pull.stands === undefined || !isLevel(replica, pull)) return undefined;
  const [oldest] = held.keys();
  if (held.size >= limits.heldMax && oldest !== undefined) held.delete(oldest);
  held.set(from, pull);
  return [];
}

/** Takes out the pulls whose askers lack something by now. */
export function takeDue(replica: Replica): readonly { readonly from: string; readonly pull: ParsedPull }[] {
  const due: { from: string; pull: ParsedPull }[] = [];
  for (const [from, pull] of replica.held) {
    if (isLevel(replica, pull)) continue;
    replica.held.delete(from);
    due.push({ from, pull });
  }
  return due;
}

function isLevel({ version }: Replica, { stands }: ParsedPull): boolean {
  return stands !== undefined && coversVersion(stands, version);
}
