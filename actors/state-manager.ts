/*
 * Watches the models: merges what trainers measured, finds a verdict per model, and appends verdicts, the membership and who trains to the
 * region log, which the state managers of all regions follow. What a node's actors have to do follows from the log, and this actor tells
 * them. Acting on verdicts is the operator's, for now.
 *
 * Whether a region trains is decided by its own copy of the log: a region that does not hold the entry that took training away from it
 * can append none and train no other's samples, as their stream says the same (actors/joiner.ts).
 */
import { everyMember, memberName, membersNumber, type NodeName } from "../protocols/model-state/members.ts";
import {
  createLogFollower,
  enqueue,
  followedRole,
  giveUp,
  isForced,
  isPart,
  isTruer,
  type LogRead,
  type LogTurn,
  nextAppend,
  nextTurn,
  noteAnswer,
  noteTurn,
  replaceLog,
  takeRead,
  type Unsent,
} from "../protocols/model-state/log-follower.ts";
import { type LogEntry } from "../protocols/model-state/region-log.ts";
import { logHome, type Role } from "../protocols/model-state/role.ts";
import { type Address, defineActor } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { CopyFailed } from "./copy-stream.ts";
import { createLogReader, unsaid } from "./follow-log.ts";
import { createPromoting } from "./promoting.ts";
import { createSuccession } from "./succession.ts";
import { type LogBook } from "./log-book.ts";
import { takeOverByForce } from "./later-epoch.ts";
import { memberRefusal } from "./log-refusals.ts";
import { createRoleTeller, type RoleTellerConfig } from "./role-teller.ts";
import { type ShardProtocol } from "./shard-protocol.ts";
import { type MembersReply, type StateManagerProtocol, type TrainingReply } from "./state-manager-protocol.ts";
import { type Holding, type ShardPorts, takeOver } from "./take-over.ts";
import { watchModels } from "./watch-models.ts";
import { loggedHealth, type QualityConfig, summaryOf } from "./watched-model.ts";

export interface StateManagerConfig {
  readonly region: string;
  readonly regions: readonly string[];
  /** The region that trains before the log says which. */
  readonly training: string;
  /** The regions that hold all it takes to train, and their streams: that one, and those that can be promoted. */
  readonly full: readonly string[];
  /** Whether this is the node of its region that trains when the region does. */
  readonly mayTrain: boolean;
  /** The name of that node, in whichever region. */
  readonly trainer: string;
  /** The nodes that the config names. */
  readonly nodes: readonly NodeName[];
  readonly models: readonly string[];
  readonly stream: Address;
  readonly holdings: readonly Holding[];
  /** Whom to tell what there is to do. */
  readonly tells: RoleTellerConfig;
  /** How much event stream one judgement is over, in milliseconds of this node's clock. */
  readonly windowMs: number;
  readonly quality: QualityConfig;
}

/** The state manager of a region node. */
export const stateManager = defineActor<StateManagerProtocol, StateManagerConfig>({
  kind: "state-manager",
  messages: [
    ...(["progress", "summary", "members", "change-member", "training", "promote", "standing"] as const),
    ...(["baseline", "quality", "close-window"] as const),
    ...(["follow", "look", "adopted", "follow-samples", "judge"] as const),
    ...(["appended", "tell-role", "checked", "force-checked", "took-over"] as const),
  ],
  fromElsewhere: ["summary", "standing"],
  setup: (config, context) => {
    const stream = context.ref<StreamProtocol>(config.stream);
    const ports: ShardPorts = {
      shard: (address) => context.ref<ShardProtocol>(address),
      deadline: (ms) => context.deadline(ms),
    };
    const readLog = createLogReader(config, { stream, deadline: ports.deadline });

    const teller = createRoleTeller(config.tells, context, () => follower.log.members);
    const { byName: watched, handlers, judge } = watchModels(config, context);
    const follower = createLogFollower({
      region: config.region,
      first: config.training,
      holds: config.full.includes(config.region),
      keeps: config.full.includes(config.region) && config.mayTrain,
    });
    let wasTraining = false;
    let takingOver = false;
    /** Ends the wait of the turn that runs. */
    let waiting = new AbortController();
    let waitsFor: string | undefined;

    function role(): Role {
      return followedRole(follower);
    }

    function describeMembers(): MembersReply {
      const { members } = follower.log;
      return { number: membersNumber(members), training: role().training, members: everyMember(members) };
    }

    function describeTraining(): TrainingReply {
      const { training, term, next } = role();
      return {
        training,
        term,
        ...(next === undefined ? {} : { next }),
        ...(waitsFor === undefined ? {} : { waitsFor }),
      };
    }

    /** Why nothing may be appended here now. */
    function logRefusal(): string | undefined {
      if (!follower.caughtUp) return "the region log is not known here yet; ask again in a moment";
      return follower.unsent.length >= UNSENT_MAX ? "too much waits to be appended to the region log" : undefined;
    }

    function appendNext(): void {
      if (succession.isAdopting()) return;
      const { append, refused } = nextAppend(follower);
      for (const { unsent, why } of refused) unsent.failed?.(why);
      if (append === undefined) return;
      const signal = context.deadline(ASK_MS);
      context.pipe(stream.ask("append", { stream: "LOG", ...append }, { signal }), "appended", (outcome) => ({
        outcome,
      }));
    }

    function submit(unsent: Unsent): void {
      enqueue(follower, unsent);
      appendNext();
    }

    /**
     * The log is read, and the own streams are taken over from it, in one turn after another, each begun here by the end of the one before. Those
     * whose work would be written over are waited for.
     */
    function beginTurn(): void {
      if (succession.isAdopting() && follower.sent?.isAnswered !== true) {
        if (follower.sent === undefined && !takingOver && succession.stopFollowing()) succession.adopt();
        else context.after(RETRY_MS, "follow", {});
        return;
      }
      const turn = nextTurn(follower);
      waiting = new AbortController();
      context.pipe(readLog(turn, waiting.signal), "follow", (outcome) => ({ ended: { turn, outcome } }));
    }

    /** The region where the log goes on is out of reach, or was waited for long enough: this region serves on, with the last it knows. */
    function retryTurn(error: Error): void {
      const said = { why: error.message };
      if (error instanceof CopyFailed) context.log.warn("The region log cannot be kept here", said);
      else if (follower.knowsOwn || !config.mayTrain) context.log.debug("The region log cannot be read now", said);
      else {
        context.log.warn("Whether this region trains is not known before all that could hold the log were read", said);
      }
      context.after(RETRY_MS, "follow", {});
    }

    function takeTurn(turn: LogTurn, read: LogRead | undefined): void {
      if (read === undefined) return;
      const { said, unreadable } = takeRead(follower, turn, read);
      for (const seq of unreadable) {
        context.log.warn("An entry of the region log cannot be read; passed over", { seq });
        context.metrics.count("freshet_log_entries_refused_total");
      }
      for (const { done } of said) done?.();
      if (isPart(follower) && follower.log.applied >= read.lastSeq) {
        context.log.warn(
          "The region log was being copied when this node ended, and is not whole; a region that has it is waited for",
          { ...follower.least, held: follower.log.applied },
        );
      }
      evaluate();
    }

    function giveUpUnsent(why: string, isKept: (entry: LogEntry) => boolean): void {
      for (const { failed } of giveUp(follower, isKept)) failed?.(why);
    }

    /** After the log was read: what changes by it here. */
    function evaluate(): void {
      if (!follower.knowsOwn) return;
      const now = role();
      teller.tell(now);
      if (now.duty !== "takes-over") waitsFor = undefined;
      const trains = now.duty === "trains" && follower.caughtUp;
      if (now.duty === "follows" || now.duty === "hands-over") {
        giveUpUnsent(`${now.next ?? now.training} appends to the log now; ask a node there`, isForced);
      }
      if (trains && !wasTraining && config.mayTrain) {
        for (const [model, watch] of watched) watch.health = loggedHealth(follower.log, model) ?? watch.health;
        for (const entry of unsaid(follower.log, { config, atMs: context.now() })) enqueue(follower, { entry });
      }
      wasTraining = trains;
      appendNext();
    }

    function beginTakeOver({ training, term }: Role): void {
      const { promotion } = follower.log;
      if (takingOver || succession.isAdopting() || promotion === undefined || !succession.stopFollowing()) return;
      takingOver = true;
      const { epoch, seq: decided } = promotion;
      const task = { from: training, to: config.region, term, decided, holdings: config.holdings };
      const done =
        epoch === undefined
          ? takeOver(task, {
              stream,
              standing: (seal, signal) => book.managerOf(training).ask("standing", { seal }, { signal }),
              ...ports,
            })
          : takeOverByForce({ ...task, epoch }, { stream, ...ports });
      context.pipe(done, "took-over", (outcome) => ({ term, outcome }));
    }

    const book: LogBook = {
      config,
      context,
      stream,
      ports,
      role,
      describeTraining,
      logRefusal,
      managerOf: (region) => context.ref<StateManagerProtocol>({ region, kind: "state-manager", id: config.trainer }),
      log: () => follower.log,
      knowsOwn: () => follower.knowsOwn,
      isTruer: (found) => isTruer(follower, found),
      append: submit,
      endWait: () => waiting.abort(),
      adopted(next) {
        if (next === undefined) {
          context.after(RETRY_MS, "follow", {});
          return;
        }
        replaceLog(follower, next);
        // What is forced was decided by the log before.
        giveUpUnsent(`${role().training} trains, in a later epoch; ask a node there`, () => false);
        evaluate();
        beginTurn();
      },
    };
    const promoting = createPromoting(book);
    const succession = createSuccession(book);
    context.after(0, "follow", {});
    context.after(0, "tell-role", {});
    context.after(0, "look", {});
    context.after(0, "follow-samples", {});
    context.after(config.windowMs, "judge", {});
    return {
      handlers: {
        ...handlers,
        summary: () => {
          const { training, term, duty, epoch } = role();
          return {
            models: [...watched].map(([model, watch]) => summaryOf(model, watch, follower.log)),
            training,
            term,
            epoch,
            trains: config.mayTrain && follower.knowsOwn && (duty === "trains" || duty === "hands-over"),
            regions: follower.log.membership?.regions ?? config.regions,
            applied: follower.log.applied,
          };
        },
        follow: ({ ended }) => {
          if (ended !== undefined) noteTurn(follower, ended.turn);
          if (ended?.outcome.kind === "failed") return retryTurn(ended.outcome.error);
          if (ended !== undefined) takeTurn(ended.turn, ended.outcome.value);
          beginTurn();
        },
        ...succession.handlers,
        ...promoting,
        members: () => describeMembers(),
        "change-member": (request) => {
          const trainer = { region: role().training, node: config.trainer };
          const refused = memberRefusal(request, { log: follower.log, trainer, role: role() }) ?? logRefusal();
          if (refused !== undefined) return { refused };
          const { act, region, node } = request;
          if (follower.log.members.get(memberName(request))?.isRetired === (act === "retire")) return describeMembers();
          const answer = context.later<StateManagerProtocol["change-member"]["reply"]>();
          submit({
            entry: { kind: "member", atMs: context.now(), act, region, node },
            done: () => answer.resolve(describeMembers()),
            failed: (why) => answer.resolve({ refused: why }),
          });
          return answer.reply;
        },
        training: () => describeTraining(),
        "tell-role": () => {
          const now = role();
          if (follower.knowsOwn) teller.repeat(now);
          if (now.duty === "takes-over" && follower.caughtUp && config.mayTrain) beginTakeOver(now);
          context.after(ROLE_MS, "tell-role", {});
        },
        "took-over": ({ term, outcome }) => {
          takingOver = false;
          const now = role();
          if (now.duty !== "takes-over" || now.term !== term) return;
          if (outcome.kind === "failed") {
            // Tried again with the next turn, for as long as it takes.
            if (waitsFor !== outcome.error.message) {
              context.log.info("Taking over waits", { why: outcome.error.message });
            }
            waitsFor = outcome.error.message;
            return;
          }
          if (follower.unsent.length > 0) return appendNext();
          submit({ entry: { kind: "training", atMs: context.now(), region: config.region, term } });
        },
        judge: () => {
          // Before the log is known, a verdict might contradict what it says.
          if (wasTraining && config.mayTrain) {
            for (const entry of judge()) enqueue(follower, { entry });
          }
          appendNext();
          context.after(config.windowMs, "judge", {});
        },
        appended: ({ outcome }) => {
          if (outcome.kind === "failed" || outcome.value.kind === "conflict") {
            context.metrics.count("freshet_log_append_failures_total");
          }
          if (noteAnswer(follower)) appendNext();
          // What became of it the own stream says, which is read next; another region's is waited for no longer.
          else if (logHome(follower.log, config.training) !== config.region) waiting.abort();
        },
      },
    };
  },
});

/** Entries that wait while the log cannot be appended to. */
const UNSENT_MAX = 1_000;
const ASK_MS = 10_000;
const RETRY_MS = 1_000;
/** How soon an actor that was started again learns what it has to do, and how often taking over is tried. */
const ROLE_MS = 250;
