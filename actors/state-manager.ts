/*
 * Watches the models: merges what trainers measured, finds a verdict per model, and appends verdicts and the membership to the region
 * log of the training region, which the state managers of all regions follow. Acting on verdicts is the operator's, for now.
 */
import { mergeMetrics, type ProgressiveMetrics } from "../protocols/learning/progressive-metrics.ts";
import {
  type Member,
  memberName,
  MEMBERS_MAX,
  membersNumber,
  type NodeName,
} from "../protocols/model-state/members.ts";
import {
  applyEntry,
  decodeEntry,
  EMPTY_LOG,
  encodeEntry,
  type LogEntry,
  type RegionLogState,
  skipEntry,
} from "../protocols/model-state/region-log.ts";
import { isToken } from "../protocols/subjects.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type Address, defineActor, type Outcome } from "../runtime/actor.ts";
import { type AppendOutcome, type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";
import { judged, loggedHealth, type ModelSummary, newWatch, summaryOf } from "./watched-model.ts";

export interface StateManagerConfig {
  readonly region: string;
  readonly regions: readonly string[];
  /** The region that trains, as the config says; the log's membership comes first once there is one. */
  readonly training: string;
  /** Whether this is the node that trains: it judges, and it makes members of those whom its config names. */
  readonly judges: boolean;
  /** The name of the node that trains, in whichever region does. */
  readonly trainer: string;
  /** The nodes that the config names. */
  readonly nodes: readonly NodeName[];
  readonly models: readonly string[];
  readonly stream: Address;
  /** How much event stream one judgement is over, in milliseconds of this node's clock. */
  readonly windowMs: number;
}

export interface MembersReply {
  /** Of the log's entry that changed the members last; 0 before the first. */
  readonly number: number;
  readonly training: string;
  /** All that the log ever called a member, in order of name. */
  readonly members: readonly Member[];
}

export interface StateManagerProtocol {
  /** A trainer's metrics since its last report. */
  readonly progress: {
    request: { readonly model: string; readonly trainer: string; readonly window: ProgressiveMetrics };
    reply: void;
  };
  readonly summary: {
    request: Record<string, never>;
    reply: {
      readonly models: readonly ModelSummary[];
      readonly training: string;
      readonly regions: readonly string[];
      readonly applied: number;
    };
  };
  /** Who is a member, as far as this node has followed the log. */
  readonly members: { request: Record<string, never>; reply: MembersReply };
  /**
   * Has the log say that a node is a member, or none any longer; answered once the log has it, or had before. Refused outside of the
   * region that trains, as no other can append.
   */
  readonly "change-member": {
    request: NodeName & { readonly act: "add" | "retire" };
    reply: MembersReply | { readonly refused: string };
  };
  // To itself.
  readonly follow: { request: { readonly outcome?: Outcome<readonly StreamMessage[]> }; reply: void };
  readonly judge: { request: Record<string, never>; reply: void };
  readonly appended: { request: { readonly outcome: Outcome<AppendOutcome> }; reply: void };
}

/** The state manager of a region node. */
export const stateManager = defineActor<StateManagerProtocol, StateManagerConfig>({
  kind: "state-manager",
  messages: ["progress", "summary", "members", "change-member", "follow", "judge", "appended"],
  fromElsewhere: ["summary"],
  setup: (config, context) => {
    const stream = context.ref<StreamProtocol>(config.stream);
    const watched = new Map(config.models.map((model) => [model, newWatch(context.now())] as const));
    const unsent: Unsent[] = [];
    let log: RegionLogState = EMPTY_LOG;
    let caughtUp = false;
    let appending = false;

    function trainingRegion(): string {
      return log.membership?.training ?? config.training;
    }

    function describeMembers(): MembersReply {
      const members = [...log.members.values()].toSorted((left, right) =>
        memberName(left) < memberName(right) ? -1 : 1,
      );
      return { number: membersNumber(log.members), training: trainingRegion(), members };
    }

    /** Why the log is not to say so; undefined when it is. */
    function refusal({ act, region, node }: StateManagerProtocol["change-member"]["request"]): string | undefined {
      if (!isToken(region) || !isToken(node)) return "a member is named by a region and a node";
      if (trainingRegion() !== config.region) {
        return `they are changed in ${trainingRegion()}, the region that trains; ask a node there`;
      }
      if (!caughtUp) return "the region log is not known here yet; ask again in a moment";
      if (unsent.length >= UNSENT_MAX) return "too much waits to be appended to the region log";
      const name = memberName({ region, node });
      const member = log.members.get(name);
      if (act === "add" && member === undefined && log.members.size >= MEMBERS_MAX) {
        return `the log names ${MEMBERS_MAX} nodes, and takes no more`;
      }
      if (act === "retire" && member === undefined) return `${name} is no member`;
      if (act === "retire" && region === trainingRegion() && node === config.trainer) {
        return `${name} trains; let another region train first`;
      }
      return undefined;
    }

    /** One entry at a time, and only when the whole log is known: an append on an old view is refused, and tried again on the new one. */
    function appendNext(): void {
      const entry = unsent[0]?.entry;
      if (entry === undefined || appending || !caughtUp || trainingRegion() !== config.region) return;
      appending = true;
      const request = { stream: "LOG", body: encodeEntry(entry), expectedLastSequence: log.applied };
      context.pipe(stream.ask("append", request, { signal: context.deadline(ASK_MS) }), "appended", (outcome) => ({
        outcome,
      }));
    }

    function apply(message: StreamMessage): void {
      try {
        log = applyEntry(log, message.seq, decodeEntry(message.body));
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        log = skipEntry(log, message.seq);
        context.metrics.count("freshet_log_entries_refused_total");
        context.log.warn("An entry of the region log cannot be read; passed over", {
          seq: message.seq,
          why: error.message,
        });
      }
    }

    async function readLog(): Promise<readonly StreamMessage[]> {
      const request = {
        region: config.training,
        stream: "LOG",
        fromSeq: log.applied + 1,
        max: READ_MAX,
        waitMs: READ_WAIT_MS,
      };
      return (await stream.ask("read", request, { signal: context.deadline(READ_WAIT_MS + ASK_MS) })).messages;
    }

    context.after(0, "follow", {});
    context.after(config.windowMs, "judge", {});
    return {
      handlers: {
        progress: ({ model, window }) => {
          const watch = watched.get(model);
          if (watch === undefined) return;
          mergeMetrics(watch.total, window);
          mergeMetrics(watch.window, window);
        },
        summary: () => ({
          models: [...watched].map(([model, watch]) => summaryOf(model, watch, log)),
          training: trainingRegion(),
          regions: log.membership?.regions ?? config.regions,
          applied: log.applied,
        }),
        follow: ({ outcome }) => {
          if (outcome?.kind === "failed") {
            // The training region is out of reach: this region serves on, with the last it knows.
            context.log.debug("The region log cannot be read now", { why: outcome.error.message });
            context.after(RETRY_MS, "follow", {});
            return;
          }
          for (const message of outcome?.value ?? []) apply(message);
          if (outcome !== undefined && outcome.value.length < READ_MAX && !caughtUp) {
            caughtUp = true;
            for (const [model, watch] of watched) watch.health = loggedHealth(log, model) ?? watch.health;
            if (config.judges) {
              for (const entry of unsaid(log, { config, atMs: context.now() })) unsent.push({ entry });
            }
          }
          appendNext();
          context.pipe(readLog(), "follow", (next) => ({ outcome: next }));
        },
        members: () => describeMembers(),
        "change-member": (request) => {
          const refused = refusal(request);
          if (refused !== undefined) return { refused };
          const { act, region, node } = request;
          if (log.members.get(memberName(request))?.isRetired === (act === "retire")) return describeMembers();
          const answer = context.later<MembersReply>();
          unsent.push({
            entry: { kind: "member", atMs: context.now(), act, region, node },
            done: () => answer.resolve(describeMembers()),
          });
          appendNext();
          return answer.reply;
        },
        judge: () => {
          // Before the log is known, a verdict might contradict what it says.
          if (caughtUp && config.judges) {
            for (const [model, watch] of watched) {
              for (const entry of judged(model, watch, { nowMs: context.now(), log: context.log })) {
                unsent.push({ entry });
              }
            }
          }
          appendNext();
          context.after(config.windowMs, "judge", {});
        },
        appended: ({ outcome }) => {
          appending = false;
          if (outcome.kind === "done" && outcome.value.kind === "appended") {
            const said = unsent.shift();
            if (said !== undefined) log = applyEntry(log, outcome.value.seq, said.entry);
            said?.done?.();
            appendNext();
          } else {
            // What the log holds now decides; the follower brings it, and the next turn tries again.
            context.metrics.count("freshet_log_append_failures_total");
          }
        },
      },
    };
  },
});

/** What waits for the log, and who is told that the log has it. */
interface Unsent {
  readonly entry: LogEntry;
  readonly done?: () => void;
}

/** Entries that wait while the log cannot be appended to. */
const UNSENT_MAX = 1_000;
const ASK_MS = 10_000;
const READ_WAIT_MS = 5_000;
const READ_MAX = 100;
const RETRY_MS = 1_000;
/** Whether the log's membership is what the config says; where it differs, the config of the training region is the newer word. */
function sameMembership({ membership }: RegionLogState, config: StateManagerConfig): boolean {
  return (
    membership !== undefined &&
    membership.training === config.training &&
    membership.regions.join(" ") === config.regions.join(" ")
  );
}

/** What the config says and the log does not: which region trains, and who is a member. Whom the log retired stays so. */
function unsaid(
  log: RegionLogState,
  { config, atMs }: { readonly config: StateManagerConfig; readonly atMs: number },
): LogEntry[] {
  const { regions, training, nodes } = config;
  return [
    ...(sameMembership(log, config) ? [] : [{ kind: "membership", atMs, regions, training } as const]),
    ...nodes
      .filter((each) => !log.members.has(memberName(each)))
      .map(({ region, node }) => ({ kind: "member", atMs, act: "add", region, node }) as const),
  ];
}
