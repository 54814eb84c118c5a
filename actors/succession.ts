/*
 * Being ready for a promotion that is forced, here or elsewhere: looks for a log of a later epoch, and follows the samples of the region that trains.
 */
import { epochOfLog, extentOf, type RegionLogState } from "../protocols/model-state/region-log.ts";
import { type Handlers } from "../runtime/actor.ts";
import { createSampleFollower } from "./follow-samples.ts";
import { fetchLog, findLatest, installLog, type LaterLog } from "./later-epoch.ts";
import { type LogBook } from "./log-book.ts";
import { type StateManagerProtocol } from "./state-manager-protocol.ts";

/** What a state manager does with the messages of these names. While a log is to be adopted, nothing is appended to the own one. */
export function createSuccession(book: LogBook): {
  readonly isAdopting: () => boolean;
  /** Takes that log over in place of the own one. Nobody else may read the own streams or write to them meanwhile; `LogBook.adopted` is told of the end. */
  readonly adopt: () => void;
  /** Has the copying of samples end; false while it still does. No take-over begins before. */
  readonly stopFollowing: () => boolean;
  readonly handlers: Pick<Handlers<StateManagerProtocol>, "look" | "adopted" | "follow-samples">;
} {
  const { config, context, stream, ports } = book;
  const samples = createSampleFollower(config, { stream, log: context.log, ...ports });
  /** The region whose log is to be taken over; with the log once it was read, as from then on there is no way back. */
  let adopting: { readonly from: string; later?: LaterLog } | undefined;

  async function adoptLog(adoption: { readonly from: string; later?: LaterLog }): Promise<RegionLogState> {
    const { from } = adoption;
    if (adoption.later === undefined) {
      const later = await fetchLog(stream, { from, ...ports });
      if (!book.isTruer(extentOf(later.log))) throw new RangeError(`The log of ${from} has come no further`);
      adoption.later = later;
    }
    const { later } = adoption;
    if (config.mayTrain) await installLog(stream, { from, to: config.region, later, ...ports });
    return later.log;
  }

  return {
    isAdopting: () => adopting !== undefined,
    adopt() {
      if (adopting === undefined) return;
      const { from } = adopting;
      context.pipe(adoptLog(adopting), "adopted", (outcome) => ({ from, outcome }));
    },
    stopFollowing: () => samples.stop(),
    handlers: {
      look: ({ outcome }) => {
        if (outcome === undefined) {
          const peers = config.full
            // A node that keeps no log is told of its own region's by the one that does: where all others are out of reach, nobody else could.
            .filter((region) => region !== config.region || !config.mayTrain)
            .map((region) => ({ region, manager: book.managerOf(region) }));
          const found = findLatest(peers, ports);
          context.pipe(found, "look", (next) => ({ outcome: next }));
          return;
        }
        context.after(LOOK_MS, "look", {});
        const found = outcome.kind === "done" ? outcome.value : undefined;
        // Compared with what the own log says now: it may not have been known yet when the others were asked, or have gone on since.
        if (found === undefined || adopting !== undefined || !book.isTruer(found)) return;
        adopting = { from: found.region };
        book.endWait();
      },
      adopted: ({ from, outcome }) => {
        if (outcome.kind === "failed") {
          if (adopting?.later === undefined) adopting = undefined;
          context.log.warn("The log of a later epoch cannot be taken over yet", { from, why: outcome.error.message });
          book.adopted(undefined);
          return;
        }
        adopting = undefined;
        context.log.warn(
          "Another region was made to train while this one could not be asked; its log is followed now",
          {
            from,
            epoch: epochOfLog(outcome.value),
          },
        );
        book.adopted(outcome.value);
      },
      "follow-samples": ({ outcome }) => {
        const { duty, training } = book.role();
        const isWanted = config.mayTrain && book.knowsOwn() && adopting === undefined && duty === "follows";
        if (outcome?.kind === "failed") {
          context.log.debug("Samples cannot be copied now", { why: outcome.error.message });
        }
        if (!isWanted || outcome?.kind === "failed") context.after(RETRY_MS, "follow-samples", {});
        else context.pipe(samples.follow(training), "follow-samples", (next) => ({ outcome: next }));
      },
    },
  };
}

/** How often a log of a later epoch is looked for. */
const LOOK_MS = 2_000;
const RETRY_MS = 1_000;
