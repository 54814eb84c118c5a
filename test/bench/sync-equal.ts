import { type SyncLink } from "./sync-link.ts";

/** The ends differ although the follower has the writer's version: nothing that was measured means anything. */
class EndsDiffer extends Error {
  override readonly name = "EndsDiffer";

  constructor(writer: string, follower: string) {
    super(`Cannot trust these figures: the ends' rows differ, ${writer} at the writer and ${follower} at the follower`);
  }
}

/** Throws unless both ends hold the same rows. Costs a look at each: not while something is measured. */
export async function requireEqual({ writer, follower }: SyncLink): Promise<void> {
  const [ours, theirs] = await Promise.all([writer.ask("contents", {}), follower.ask("contents", {})]);
  if (ours.digest !== theirs.digest) throw new EndsDiffer(ours.digest, theirs.digest);
}
