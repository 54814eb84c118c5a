/*
 * A primary whose disk was lost, or that began from an older image than it had. It pulls from nobody, and what it lacks of what was learned comes
 * again from the samples; but not what is settled: that was on its disk, so the samples behind it may be gone, and with the deletions
 * among it nobody can tell it any more what it misses. Members know: they hold a later horizon than it may take on. It then takes a full
 * copy of one of them, rows and horizon, as any replica does that was away for too long, and settles as ever after that.
 *
 * So does one that hears of a later epoch: another primary was put in its place without it, or its image is of before its own epoch. The log tells which
 * epoch its role is of. What it would write before it holds that would be refused by all who do, and what its images made durable would be lost with the
 * samples behind it: so until then it takes no gradients (actors/shard-role.ts), and asks its members every second. Nothing that it may pull can take
 * effect twice meanwhile. Only where two rounds of all members have told of no later epoch and of nothing that it does not know, it begins the epoch again, with what
 * it holds. While a member is away that may hold it, it waits: until that is back, or retired.
 *
 * What it learned between its start and that copy stays where it is newer. What members hold beyond their settled time comes with the copy, and from
 * the samples once more, if they are still there: the steps of the last moments before the loss may count twice.
 */
import { isLater } from "./horizon.ts";
import { startPull } from "./own-pull.ts";
import { type Replica, type ReplicaEffect } from "./replica-state.ts";
import { hasMore } from "./settling.ts";

/** Pulls from a member that has told of more than we may take on, where no pull runs; from another with each try. */
export function recover(replica: Replica): ReplicaEffect[] {
  const { survey, pull } = replica;
  const pullId = survey?.pullId;
  if (survey?.isAloof !== true || pullId === undefined || pull !== undefined) return [];
  for (const [peer, known] of survey.ahead) {
    // Whoever holds a later epoch comes first; of the others what they have is asked for where a round has found nobody who does.
    if (survey.lacksEpoch && survey.isOpen && known.epoch <= replica.horizon.epoch) continue;
    survey.ahead.delete(peer);
    // A copy that came since they told may be of the same. Pulled once more it would bring what its sender had beyond, which our trainers learn again.
    if (!hasMore(replica, survey, known) || !survey.members.includes(peer)) continue;
    survey.pullId = undefined;
    if (isLater(known, replica.horizon)) replica.copyFrom.add(peer);
    return startPull(replica, { peer, pullId });
  }
  return [];
}
