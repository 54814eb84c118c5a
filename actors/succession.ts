/*
 * Being ready for a promotion that is forced, here or elsewhere: looks for a log of a later epoch, and follows the samples of the region that trains.
 */
import { epochOfLog } from "../protocols/model-state/region-log.ts";
import { type Handlers } from "../runtime/actor.ts";
import { createSampleFollower } from "./follow-samples.ts";
import { adoptLog, findLater } from "./later-epoch.ts";
import { type LogBook } from "./log-book.ts";
import { type StateManagerProtocol } from "./state-manager-protocol.ts";

/** What a state manager does with the messages of these names. While it adopts a log, nothing else is to be read or appended. */
export function createSuccession(book: LogBook): {
  readonly isAdopting: () => boolean;
  /** Has the copying of samples end; false while it still does. No take-over begins before. */
  readonly stopFollowing: () => boolean;
  readonly handlers: Pick<Handlers<StateManagerProtocol>, "look" | "adopted" | "follow-samples">;
} {
  const { config, context, stream, ports } = book;
  const samples = createSampleFollower(config, { stream, log: context.log, ...ports });
  let adopting = false;

  return {
    isAdopting: () => adopting,
    stopFollowing: () => samples.stop(),
    handlers: {
      look: ({ outcome }) => {
        if (outcome === undefined) {
          const peers = config.full
            .filter((region) => region !== config.region)
            .map((region) => ({ region, manager: book.managerOf(region) }));
          const found = findLater(peers, { epoch: epochOfLog(book.log()), ...ports });
          context.pipe(found, "look", (next) => ({ outcome: next }));
          return;
        }
        context.after(LOOK_MS, "look", {});
        const from = outcome.kind === "done" ? outcome.value : undefined;
        if (from === undefined || adopting || !book.knowsOwn()) return;
        adopting = true;
        const adoption = { from, to: config.region, keeps: config.mayTrain, deadline: ports.deadline };
        context.pipe(adoptLog(stream, adoption), "adopted", (next) => ({ from, outcome: next }));
      },
      adopted: ({ from, outcome }) => {
        adopting = false;
        if (outcome.kind === "failed") {
          book.replace(undefined);
          context.log.warn("The log of a later epoch cannot be taken over yet", { from, why: outcome.error.message });
          return;
        }
        context.log.warn(
          "Another region was made to train while this one could not be asked; its log is followed now",
          {
            from,
            epoch: epochOfLog(outcome.value),
          },
        );
        book.replace(outcome.value);
      },
      "follow-samples": ({ outcome }) => {
        const { duty, training } = book.role();
        const isWanted = config.mayTrain && book.knowsOwn() && !adopting && duty === "follows";
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
