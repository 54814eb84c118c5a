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
  applyEntry,
  EMPTY_LOG,
  encodeEntry,
  type LogEntry,
  skipEntry,
  type RegionLogState,
} from "../protocols/model-state/region-log.ts";
import { logHome, type Role, roleOf } from "../protocols/model-state/role.ts";
import { type Address, defineActor } from "../runtime/actor.ts";
import { type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";
import { CopyFailed } from "./copy-stream.ts";
import { createLogReader, unsaid } from "./follow-log.ts";
import { createPromoting } from "./promoting.ts";
import { createSuccession } from "./succession.ts";
import { type LogBook } from "./log-book.ts";
import { applyMessage, takeOverByForce } from "./later-epoch.ts";
import { memberRefusal } from "./log-refusals.ts";
import { createRoleTeller, type RoleTellerConfig } from "./role-teller.ts";
import { type ShardProtocol } from "./shard-protocol.ts";
import {
  type MembersReply,
  type StateManagerProtocol,
  type TrainingReply,
  type Unsent,
} from "./state-manager-protocol.ts";
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
    const readLog = createLogReader(config, context);

    const teller = createRoleTeller(config.tells, context, () => log.members);
    const { byName: watched, handlers, judge } = watchModels(config, context);
    let unsent: Unsent[] = [];
    let log: RegionLogState = EMPTY_LOG;
    /** The own region's stream has been read, so that it is known what this region has to do. */
    let knowsOwn = !config.full.includes(config.region);
    /** All of the log has been read. */
    let caughtUp = false;
    let appending = false;
    let wasTraining = false;
    let takingOver = false;
    /** One more with each log that was taken in place of the one before: what was read before that counts no more. */
    let turn = 0;
    let waitsFor: string | undefined;

    function role(): Role {
      return roleOf(log, { region: config.region, first: config.training });
    }

    function describeMembers(): MembersReply {
      const { members } = log;
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
      if (!caughtUp) return "the region log is not known here yet; ask again in a moment";
      return unsent.length >= UNSENT_MAX ? "too much waits to be appended to the region log" : undefined;
    }

    /** One entry at a time, and only when the whole log is known: an append on an old view is refused, and tried again on the new one. */
    function appendNext(): void {
      const entry = unsent[0]?.entry;
      if (entry === undefined || appending || succession.isAdopting()) return;
      const { duty } = role();
      // What is forced is not for the log's home to say, which is out of reach.
      if (!isForced(entry) && (!caughtUp || duty !== (entry.kind === "training" ? "takes-over" : "trains"))) return;
      appending = true;
      const request = { stream: "LOG", body: encodeEntry(entry), expectedLastSequence: log.applied };
      context.pipe(stream.ask("append", request, { signal: context.deadline(ASK_MS) }), "appended", (outcome) => ({
        outcome,
      }));
    }

    function apply(message: StreamMessage): void {
      const next = applyMessage(log, message);
      log = next ?? skipEntry(log, message.seq);
      if (next !== undefined) return;
      context.log.warn("An entry of the region log cannot be read; passed over", { seq: message.seq });
      context.metrics.count("freshet_log_entries_refused_total");
    }

    function giveUpUnsent(why: string): void {
      const kept = unsent.filter(({ entry }) => isForced(entry));
      for (const each of unsent) if (!kept.includes(each)) each.failed?.(why);
      unsent = kept;
    }

    /** After the log was read or appended to: what changes by it here. */
    function evaluate(): void {
      if (!knowsOwn) return;
      const now = role();
      teller.tell(now);
      if (now.duty !== "takes-over") waitsFor = undefined;
      const trains = now.duty === "trains" && caughtUp;
      if (now.duty === "follows" || now.duty === "hands-over") {
        giveUpUnsent(`${now.next ?? now.training} appends to the log now; ask a node there`);
      }
      if (trains && !wasTraining && config.mayTrain) {
        for (const [model, watch] of watched) watch.health = loggedHealth(log, model) ?? watch.health;
        for (const entry of unsaid(log, { config, atMs: context.now() })) unsent.push({ entry });
      }
      wasTraining = trains;
      appendNext();
    }

    function beginTakeOver({ training, term }: Role): void {
      if (takingOver || log.promotion === undefined || !succession.stopFollowing()) return;
      takingOver = true;
      const { epoch, seq: decided } = log.promotion;
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
      log: () => log,
      knowsOwn: () => knowsOwn,
      append(entry) {
        if (isForced(entry.entry)) unsent.unshift(entry);
        else unsent.push(entry);
        appendNext();
      },
      replace(next) {
        turn += 1;
        context.after(0, "follow", {});
        if (next === undefined) return;
        log = next;
        caughtUp = false;
        giveUpUnsent(`${role().training} trains, in a later epoch; ask a node there`);
        evaluate();
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
            models: [...watched].map(([model, watch]) => summaryOf(model, watch, log)),
            training,
            term,
            epoch,
            trains: config.mayTrain && knowsOwn && (duty === "trains" || duty === "hands-over"),
            regions: log.membership?.regions ?? config.regions,
            applied: log.applied,
          };
        },
        follow: ({ outcome: read, turn: readIn = turn }) => {
          if (succession.isAdopting()) return;
          const outcome = readIn === turn ? read : undefined;
          if (outcome?.kind === "failed") {
            // The region where the log goes on is out of reach: this region serves on, with the last it knows.
            const said = { why: outcome.error.message };
            if (outcome.error instanceof CopyFailed) context.log.warn("The region log cannot be kept here", said);
            else if (knowsOwn || !config.mayTrain) context.log.debug("The region log cannot be read now", said);
            else {
              context.log.warn(
                "Whether this region trains is not known before all that could hold the log were read",
                said,
              );
            }
            context.after(RETRY_MS, "follow", {});
            return;
          }
          if (outcome !== undefined) {
            const { region, messages, lastSeq } = outcome.value;
            for (const message of messages) apply(message);
            const isAll = log.applied >= lastSeq;
            knowsOwn ||= isAll && region === config.region;
            caughtUp ||= isAll && region === logHome(log, config.training);
            evaluate();
          }
          context.pipe(readLog({ log, knowsOwn }), "follow", (next) => ({ outcome: next, turn }));
        },
        ...succession.handlers,
        ...promoting,
        members: () => describeMembers(),
        "change-member": (request) => {
          const trainer = { region: role().training, node: config.trainer };
          const refused = memberRefusal(request, { log, trainer, role: role() }) ?? logRefusal();
          if (refused !== undefined) return { refused };
          const { act, region, node } = request;
          if (log.members.get(memberName(request))?.isRetired === (act === "retire")) return describeMembers();
          const answer = context.later<StateManagerProtocol["change-member"]["reply"]>();
          unsent.push({
            entry: { kind: "member", atMs: context.now(), act, region, node },
            done: () => answer.resolve(describeMembers()),
            failed: (why) => answer.resolve({ refused: why }),
          });
          appendNext();
          return answer.reply;
        },
        training: () => describeTraining(),
        "tell-role": () => {
          const now = role();
          if (knowsOwn) teller.repeat(now);
          if (now.duty === "takes-over" && caughtUp && config.mayTrain) beginTakeOver(now);
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
          if (unsent.length === 0) {
            unsent.push({ entry: { kind: "training", atMs: context.now(), region: config.region, term } });
          }
          appendNext();
        },
        judge: () => {
          // Before the log is known, a verdict might contradict what it says.
          if (wasTraining && config.mayTrain) {
            unsent.push(...judge().map((entry) => ({ entry })));
          }
          appendNext();
          context.after(config.windowMs, "judge", {});
        },
        appended: ({ outcome }) => {
          appending = false;
          if (outcome.kind === "done" && outcome.value.kind === "appended") {
            const said = unsent.shift();
            if (said !== undefined) log = applyEntry(log, outcome.value.seq, said.entry);
            // From here on the log is what this region says.
            if (said !== undefined && isForced(said.entry)) caughtUp = true;
            said?.done?.();
            evaluate();
            return;
          }
          // What the log holds now decides; the follower brings it, and the next turn tries again.
          context.metrics.count("freshet_log_append_failures_total");
        },
      },
    };
  },
});

function isForced(entry: LogEntry): boolean {
  return entry.kind === "promote" && entry.epoch !== undefined;
}

/** Entries that wait while the log cannot be appended to. */
const UNSENT_MAX = 1_000;
const ASK_MS = 10_000;
const RETRY_MS = 1_000;
/** How soon an actor that was started again learns what it has to do, and how often taking over is tried. */
const ROLE_MS = 250;
