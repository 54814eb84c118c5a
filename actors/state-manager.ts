/*
 * Watches the models: merges what trainers measured, finds a verdict per model, and appends verdicts and the membership to the region
 * log of the training region, which the state managers of all regions follow. Acting on verdicts is the operator's, for now.
 */
import {
  createMetrics,
  mergeMetrics,
  type ProgressiveMetrics,
  summarize,
} from "../protocols/learning/progressive-metrics.ts";
import {
  applyEntry,
  decodeEntry,
  EMPTY_LOG,
  encodeEntry,
  type LogEntry,
  type RegionLogState,
  skipEntry,
} from "../protocols/model-state/region-log.ts";
import {
  type HealthState,
  initialHealth,
  observe,
  type QualityWindow,
  type Verdict,
  VERDICT_DEFAULTS,
} from "../protocols/model-state/verdict.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";
import { type Address, type Context, defineActor, type Outcome } from "../runtime/actor.ts";
import { type AppendOutcome, type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";

export interface StateManagerConfig {
  readonly region: string;
  readonly regions: readonly string[];
  /** The region that trains, as the config says; the log's membership comes first once there is one. */
  readonly training: string;
  /** Whether this is the node that judges and appends: the one that trains. The others of its region follow. */
  readonly judges: boolean;
  readonly models: readonly string[];
  readonly stream: Address;
  /** How much event stream one judgement is over, in milliseconds of this node's clock. */
  readonly windowMs: number;
}

export interface ModelSummary {
  readonly model: string;
  readonly samples: number;
  readonly auc?: number;
  readonly logLoss?: number;
  readonly calibration?: number;
  readonly verdict: Verdict;
  readonly cause?: string;
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
  // To itself.
  readonly follow: { request: { readonly outcome?: Outcome<readonly StreamMessage[]> }; reply: void };
  readonly judge: { request: Record<string, never>; reply: void };
  readonly appended: { request: { readonly outcome: Outcome<AppendOutcome> }; reply: void };
}

interface Watched {
  readonly total: ProgressiveMetrics;
  window: ProgressiveMetrics;
  health: HealthState;
}

/** The state manager of a region node. */
export const stateManager = defineActor<StateManagerProtocol, StateManagerConfig>({
  kind: "state-manager",
  messages: ["progress", "summary", "follow", "judge", "appended"],
  fromElsewhere: ["summary"],
  setup: (config, context) => {
    const stream = context.ref<StreamProtocol>(config.stream);
    const watched = new Map(config.models.map((model) => [model, newWatch(context)] as const));
    const unsent: LogEntry[] = [];
    let log: RegionLogState = EMPTY_LOG;
    let caughtUp = false;
    let appending = false;

    function isTraining(): boolean {
      return config.judges && (log.membership?.training ?? config.training) === config.region;
    }

    /** One entry at a time, and only when the whole log is known: an append on an old view is refused, and tried again on the new one. */
    function appendNext(): void {
      const entry = unsent[0];
      if (entry === undefined || appending || !caughtUp || !isTraining()) return;
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
          training: log.membership?.training ?? config.training,
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
            if (isTraining() && !sameMembership(log, config)) {
              unsent.push({
                kind: "membership",
                atMs: context.now(),
                regions: config.regions,
                training: config.training,
              });
            }
          }
          appendNext();
          context.pipe(readLog(), "follow", (next) => ({ outcome: next }));
        },
        judge: () => {
          // Before the log is known, a verdict might contradict what it says.
          if (caughtUp) for (const [model, watch] of watched) unsent.push(...judged(model, watch, context));
          appendNext();
          context.after(config.windowMs, "judge", {});
        },
        appended: ({ outcome }) => {
          appending = false;
          if (outcome.kind === "done" && outcome.value.kind === "appended") {
            const entry = unsent.shift();
            if (entry !== undefined) log = applyEntry(log, outcome.value.seq, entry);
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

const ASK_MS = 10_000;
const READ_WAIT_MS = 5_000;
const READ_MAX = 100;
const RETRY_MS = 1_000;
const HALF_LIFE_MS = 3_600_000;

function newWatch(context: Context<StateManagerProtocol>): Watched {
  return {
    total: createMetrics({ halfLifeMs: HALF_LIFE_MS }),
    window: createMetrics({ halfLifeMs: HALF_LIFE_MS }),
    health: initialHealth(context.now()),
  };
}

/** What the log said last of a model: a restart goes on from there, so that only the transitions of the table are ever logged. */
function loggedHealth(log: RegionLogState, model: string): HealthState | undefined {
  const entry = log.verdicts.get(model);
  return entry === undefined ? undefined : { ...initialHealth(entry.atMs), verdict: entry.to };
}

/** Whether the log's membership is what the config says; where it differs, the config of the training region is the newer word. */
function sameMembership({ membership }: RegionLogState, config: StateManagerConfig): boolean {
  return (
    membership !== undefined &&
    membership.training === config.training &&
    membership.regions.join(" ") === config.regions.join(" ")
  );
}

/** Judges a window against a baseline that knows only how often people click: a model that predicts worse than that is broken. */
function judged(model: string, watch: Watched, context: Context<StateManagerProtocol>): LogEntry[] {
  const quality = summarize(watch.window, "total");
  if (quality.samples + quality.nonFinite < VERDICT_DEFAULTS.samplesMin && quality.nonFinite === 0) return [];
  watch.window = createMetrics({ halfLifeMs: HALF_LIFE_MS });
  const rate = quality.clickRate ?? 0;
  const entropy = rate > 0 && rate < 1 ? -rate * Math.log(rate) - (1 - rate) * Math.log(1 - rate) : undefined;
  const baseline: QualityWindow | undefined =
    entropy === undefined ? undefined : { samples: quality.samples, nonFiniteShare: 0, logLoss: entropy };
  const window = { kind: "window" as const, timeMs: context.now(), model: quality };
  const { state, transition } = observe(
    watch.health,
    baseline === undefined ? window : { ...window, baseline },
    VERDICT_DEFAULTS,
  );
  watch.health = state;
  if (transition === undefined) return [];
  const { cause } = transition;
  const figures =
    cause.excess === undefined
      ? ""
      : ` ${cause.excess.toFixed(4)} against a limit of ${cause.limit?.toFixed(4) ?? "none"}`;
  context.log.warn("A model's verdict changed", {
    model,
    from: transition.from,
    to: transition.to,
    cause: `${cause.kind}${figures}`,
  });
  return [
    {
      kind: "verdict",
      atMs: transition.timeMs,
      model,
      from: transition.from,
      to: transition.to,
      cause: `${cause.kind}${figures}`,
    },
  ];
}

function summaryOf(model: string, watch: Watched, log: RegionLogState): ModelSummary {
  const { samples, auc, logLoss, calibration } = summarize(watch.total, "total");
  const logged = log.verdicts.get(model);
  const cause = logged?.cause;
  return {
    model,
    samples,
    verdict: logged?.to ?? watch.health.verdict,
    ...(auc === undefined ? {} : { auc }),
    ...(logLoss === undefined ? {} : { logLoss }),
    ...(calibration === undefined ? {} : { calibration }),
    ...(cause === undefined ? {} : { cause }),
  };
}
