/*
 * Which region trains, as the region log says; the config's word is only the first value. A promotion is two entries: `promote`, the
 * decision, is the last one that the old region appends, and the log goes on in the new region, whose first own entry, `training`, says that
 * it has taken over. In between nobody makes samples: the old region learns what it has, the new one takes everything over.
 *
 * A forced promotion is appended in the new region itself, to its own copy of the log, and begins an epoch. Of two logs the one of the later epoch
 * is the true one; whoever finds it (actors/later-epoch.ts) follows it, the old region as well.
 */
import { epochOfLog, type RegionLogState } from "./region-log.ts";

export type Duty =
  /** Makes samples and learns from them; its node of the trainers' name is every shard's primary. */
  | "trains"
  /** Is to make no more samples: says so in their stream, and learns what is left. Still the primary. */
  | "hands-over"
  /** Is to train once it holds all that the old region does. */
  | "takes-over"
  | "follows";

/** What a region has to do, and who trains. */
export interface Role {
  readonly duty: Duty;
  /** The region whose shards are the primaries. */
  readonly training: string;
  /** How many promotions there were, the running one among them. */
  readonly term: number;
  /** The region that is to train next, while a promotion runs. */
  readonly next?: string;
  /** Of what primaries write. */
  readonly epoch: number;
}

/** What the log has a region do. `first` trains before the log says anything. */
export function roleOf(
  log: RegionLogState,
  { region, first }: { readonly region: string; readonly first: string },
): Role {
  const { promotion } = log;
  const training = log.training?.region ?? log.membership?.training ?? first;
  const term = promotion?.term ?? 0;
  const epoch = epochOfLog(log);
  if (promotion === undefined || promotion.term === log.training?.term) {
    return { duty: region === training ? "trains" : "follows", training, term, epoch };
  }
  // Who was not asked has nothing to hand over.
  const asked = promotion.epoch === undefined ? "hands-over" : "follows";
  const duty = region === promotion.to ? "takes-over" : region === training ? asked : "follows";
  return { duty, training, term, next: promotion.to, epoch };
}

/** In which region's stream the log goes on. */
export function logHome({ promotion }: RegionLogState, first: string): string {
  return promotion?.to ?? first;
}
