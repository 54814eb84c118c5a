/*
 * A primary whose disk was lost, or that began from an older image than it had. It pulls from nobody, and what it lacks of what was learned comes
 * again from the samples; but not what is settled: that was on its disk, so the samples behind it may be gone, and with the deletions
 * among it nobody can tell it any more what it misses. Members know: they hold a later horizon than it may take on. It then takes a full
 * copy of one of them, rows and horizon, as any replica does that was away for too long, and settles as ever after that.
 *
 * So does one that hears of a later epoch: another primary was put in its place without it, or its image is of before its own epoch.
 *
 * What it learned between its start and that copy stays where it is newer. What members hold beyond their settled time comes with the copy, and from
 * the samples once more, if they are still there: the steps of the last moments before the loss may count twice.
 */
import { isLater } from "./horizon.ts";
import { startPull } from "./own-pull.ts";
import { type Replica, type ReplicaEffect } from "./replica-state.ts";

/** Begins a copy of a member that has told of a horizon out of our reach, where no pull runs; of another with each try. */
export function recover(
  replica: Replica,
  { isAloof = false, pullId }: { readonly isAloof?: boolean; readonly pullId: string },
): ReplicaEffect[] {
  const { survey, pull } = replica;
  if (!isAloof || survey === undefined || pull !== undefined) return [];
  for (const [peer, horizon] of survey.ahead) {
    survey.ahead.delete(peer);
    // A copy that came since they told may be of the same. Pulled once more it would bring what its sender had beyond, which our trainers learn again.
    if (!isLater(horizon, replica.horizon) || !survey.members.includes(peer)) continue;
    replica.copyFrom.add(peer);
    return startPull(replica, { peer, pullId });
  }
  return [];
}
