/*
 * Deciding that another region trains: with the region that does, or without it, where it does not answer. What follows is in take-over.ts
 * and later-epoch.ts.
 */
import { type Handlers, type Later, type Promised } from "../runtime/actor.ts";
import { checkForce, forceRefusal, lossOf, lostRefusal, lostRegion } from "./forcing.ts";
import { nextEpoch } from "./later-epoch.ts";
import { type LogBook } from "./log-book.ts";
import { standingOf } from "./take-over.ts";
import { promotionRefusal, standingRefusal } from "./log-refusals.ts";
import { type Standing, type StateManagerProtocol } from "./state-manager-protocol.ts";

/** For an answer from the region that is to train. */
const PEER_MS = 5_000;

type Reply = StateManagerProtocol["promote"]["reply"];

/** What a state manager does with the messages of these names. */
export function createPromoting(
  book: LogBook,
): Pick<Handlers<StateManagerProtocol>, "promote" | "checked" | "force-checked" | "standing"> {
  const { config, context, stream, ports } = book;
  let waiting: Promised<Reply> | undefined;

  /** Another region trains, or none does: whether this one can without it. */
  function askForce(
    region: string,
    force: boolean,
  ): StateManagerProtocol["promote"]["reply"] | Later<StateManagerProtocol["promote"]["reply"]> {
    const refused =
      forceRefusal(region, { ...config, role: book.role(), knowsOwn: book.knowsOwn() }) ??
      (waiting === undefined ? undefined : "another promotion is being looked at");
    if (refused !== undefined) return { refused };
    waiting = context.later<StateManagerProtocol["promote"]["reply"]>();
    const lost = lostRegion(region, book.role());
    const task = { to: region, holdings: config.holdings };
    const found = checkForce(task, { stream, lost: book.managerOf(lost), ...ports });
    context.pipe(found, "force-checked", (outcome) => ({ force, lost, outcome }));
    return waiting.reply;
  }

  async function describeStanding(seal: number): Promise<Standing> {
    const shards = await standingOf(config.holdings, { seal, ...ports });
    const { duty, term } = book.role();
    const handsOver = duty === "hands-over" && config.mayTrain ? { handsOver: term } : {};
    return { regions: config.regions, mayTrain: config.mayTrain, ...handsOver, shards };
  }

  return {
    standing: ({ seal }) => {
      const answer = context.later<Standing>();
      void describeStanding(seal).then(answer.resolve, answer.reject);
      return answer.reply;
    },
    promote: ({ region, force = false }) => {
      const now = book.role();
      if (region === now.training && now.next === undefined) return book.describeTraining();
      if (force || (region === config.region && config.mayTrain)) return askForce(region, force);
      const refused =
        promotionRefusal(region, { role: now, full: config.full }) ??
        book.logRefusal() ??
        (waiting === undefined ? undefined : "another promotion is being looked at");
      if (refused !== undefined) return { refused };
      waiting = context.later<StateManagerProtocol["promote"]["reply"]>();
      const asked = book.managerOf(region).ask("standing", { seal: 0 }, { signal: context.deadline(PEER_MS) });
      context.pipe(asked, "checked", (outcome) => ({ region, outcome }));
      return waiting.reply;
    },
    "force-checked": ({ force, lost, outcome }) => {
      const answer = waiting;
      waiting = undefined;
      const { region } = config;
      if (outcome.kind === "failed") return answer?.resolve({ refused: outcome.error.message });
      const given = { region, lost, force, nowMs: context.now() };
      const refused =
        forceRefusal(region, { ...config, role: book.role(), knowsOwn: book.knowsOwn() }) ??
        lostRefusal(outcome.value, given);
      if (refused !== undefined) return answer?.resolve({ refused });
      const loses = lossOf(outcome.value.own, given);
      context.log.warn("Training is taken over without the region that had it", { from: lost, loses });
      const [term, epoch] = [book.role().term + 1, nextEpoch(book.log(), config)];
      book.append({
        entry: { kind: "promote", atMs: context.now(), to: region, term, epoch },
        done: () => answer?.resolve({ ...book.describeTraining(), loses }),
        failed: (why) => answer?.resolve({ refused: why }),
      });
    },
    checked: ({ region, outcome }) => {
      const answer = waiting;
      waiting = undefined;
      const regions = book.log().membership?.regions ?? config.regions;
      const refused =
        promotionRefusal(region, { role: book.role(), full: config.full }) ??
        standingRefusal(region, { outcome, regions, holdings: config.holdings });
      if (refused !== undefined) return answer?.resolve({ refused });
      book.append({
        entry: { kind: "promote", atMs: context.now(), to: region, term: book.role().term + 1 },
        done: () => answer?.resolve(book.describeTraining()),
        failed: (why) => answer?.resolve({ refused: why }),
      });
    },
  };
}
