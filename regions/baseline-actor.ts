/*
 * Retrains each model's baseline on a schedule (protocols/learning/baseline.ts), in a pool of threads, from the samples that are still in the stream, and
 * tells the state manager how it did on those that came since. Runs on the main thread, as no worker may start others, and holds no samples.
 */
import { type JoinerProtocol } from "../actors/joiner.ts";
import { type StateManagerProtocol } from "../actors/state-manager-protocol.ts";
import { type JudgedBaseline } from "../protocols/learning/baseline.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { type Address, type Context, defineActor, type Outcome } from "../runtime/actor.ts";
import { type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";
import { type BaselineTask } from "./baseline-worker.ts";

export interface BaselineConfig {
  readonly region: string;
  readonly models: readonly ModelDeclaration[];
  readonly stream: Address;
  readonly stateManager: Address;
  readonly joiner: Address;
  readonly everyMs: number;
  /** Messages of samples that the stream keeps for it, in bytes, the newest. */
  readonly keepBytes: number;
  readonly batch: number;
  readonly retrain: (task: BaselineTask, signal: AbortSignal) => Promise<JudgedBaseline>;
}

interface BaselineProtocol {
  readonly turn: { request: { readonly outcome?: Outcome<void> }; reply: void };
}

const ASK_MS = 10_000;
const READ_MAX = 64;
/** A pass over what is kept may take this long, and more where the schedule leaves more. */
const RETRAIN_MS = 600_000;

export const baselineActor = defineActor<BaselineProtocol, BaselineConfig>({
  kind: "baseline",
  messages: ["turn"],
  setup: (config, context) => {
    const turn = createTurns(config, context);
    context.after(0, "turn", {});
    return {
      handlers: {
        turn: ({ outcome }) => {
          if (outcome === undefined) {
            context.pipe(turn(), "turn", (next) => ({ outcome: next }));
            return;
          }
          if (outcome.kind === "failed") {
            context.metrics.count("freshet_baseline_failures_total");
            context.log.warn("The baseline was not retrained this time", { why: outcome.error.message });
          }
          context.after(config.everyMs, "turn", {});
        },
      },
    };
  },
});

function createTurns(config: BaselineConfig, context: Context<BaselineProtocol>): () => Promise<void> {
  const stream = context.ref<StreamProtocol>(config.stream);
  const stateManager = context.ref<StateManagerProtocol>(config.stateManager);
  const joiner = context.ref<JoinerProtocol>(config.joiner);
  let from = 1;
  /** The last message that a baseline was judged on, or that was there at the first turn. */
  let judgedTo: number | undefined;

  async function readAll(): Promise<readonly StreamMessage[]> {
    const all: StreamMessage[] = [];
    for (let next = from; ; next = (all.at(-1)?.seq ?? next) + 1) {
      const request = { region: config.region, stream: "SAMPLES", fromSeq: next, max: READ_MAX, waitMs: 0 };
      const { messages, lastSeq } = await stream.ask("read", request, { signal: context.deadline(ASK_MS) });
      all.push(...messages);
      if (messages.length === 0 || (all.at(-1)?.seq ?? 0) >= lastSeq) return newestOf(all, config.keepBytes);
    }
  }

  return async () => {
    const { trains } = await stateManager.ask("summary", {}, { signal: context.deadline(ASK_MS) });
    if (!trains) return;
    const messages = await readAll();
    from = messages[0]?.seq ?? from;
    joiner.tell("needed", { trainer: context.self.id, from });
    const [before, last] = [judgedTo, messages.at(-1)?.seq ?? judgedTo ?? 0];
    judgedTo = last;
    if (before === undefined) return;
    const train = messages.filter(({ seq }) => seq <= before).map(({ body }) => body);
    const judge = messages.filter(({ seq }) => seq > before).map(({ body }) => body);
    if (train.length === 0 || judge.length === 0) return;
    for (const model of config.models) {
      const signal = context.deadline(Math.max(RETRAIN_MS, config.everyMs));
      const { measured, refused } = await config.retrain({ model, batch: config.batch, train, judge }, signal);
      if (refused > 0) {
        context.metrics.count("freshet_baseline_batches_refused_total", refused, { model: model.name });
        context.log.warn("The baseline did not learn from batches whose gradients must not enter a model", {
          model: model.name,
          batches: refused,
        });
      }
      stateManager.tell("baseline", { model: model.name, measured });
    }
  };
}

function newestOf(messages: readonly StreamMessage[], bytesMax: number): readonly StreamMessage[] {
  let bytes = 0;
  let first = messages.length;
  while (first > 0 && (bytes += messages[first - 1]?.body.length ?? 0) <= bytesMax) first -= 1;
  return messages.slice(first);
}

/** What `retrain` gave, come back from its thread. */
export function judgedBy(reply: unknown): JudgedBaseline {
  if (typeof reply !== "object" || reply === null || !("measured" in reply)) {
    throw new TypeError("Cannot read a retraining");
  }
  // oxlint-disable-next-line typescript/consistent-type-assertions -- our own function's value, which crossed a channel as plain data
  return reply as JudgedBaseline;
}
