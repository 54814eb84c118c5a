/* One trainer of one model: an actor round training.ts, which says what holds. */
import { type ModelDeclaration } from "../protocols/model.ts";
import { type Role } from "../protocols/model-state/role.ts";
import { type TrainerShare } from "../protocols/learning/trainer-layout.ts";
import { type Address, defineActor, type Outcome } from "../runtime/actor.ts";
import { type BackendChoice, openBackend } from "../runtime/compute/backends.ts";
import { startTraining } from "./training.ts";

export interface TrainerConfig {
  readonly model: ModelDeclaration;
  readonly shards: readonly Address[];
  readonly stream: Address;
  readonly stateManager: Address;
  readonly joiner: Address;
  readonly region: string;
  /** What the ids of the model's trainers begin with, and which of them this is. */
  readonly base: string;
  readonly share: TrainerShare;
  /** Lambda of delay compensation; 0 for none. */
  readonly compensation: number;
  readonly compute: BackendChoice;
  /** Samples of a step, at most about twice this. */
  readonly batch: number;
  /** How long a step waits for a full batch. */
  readonly maxWaitMs: number;
}

export interface TrainerStatus {
  /** The position in the stream of samples up to which all shards have learned, and up to which their images on disk have. */
  readonly applied: number;
  readonly durable: number;
  /** Messages of the stream not learned from yet. */
  readonly backlog: number;
  readonly samples: number;
  /** Steps of other trainers between the reading of a step's rows and its writing, in the mean of the last hundred or so. */
  readonly late: number;
}

export interface TrainerProtocol {
  /** What this node's region has to do. Told again and again; nothing is learned before the first. */
  readonly role: { request: Role; reply: void };
  readonly status: { request: Record<string, never>; reply: TrainerStatus };
  // To itself.
  readonly turn: { request: { readonly outcome?: Outcome<void> }; reply: void };
  readonly report: { request: Record<string, never>; reply: void };
}

/**
 * One trainer of one model. Learns while its region trains, and while it hands over: what is left of the samples. Every failure makes it ask the shards where they stand, and go on from there.
 */
export const trainer = defineActor<TrainerProtocol, TrainerConfig>({
  kind: "trainer",
  messages: ["role", "status", "turn", "report"],
  fromElsewhere: ["status"],
  setup: async (config, context) => {
    const training = startTraining({ config, context, backend: await openBackend(config.compute) });
    let failures = 0;
    let isWanted = false;
    let isLearning = false;
    context.after(REPORT_MS, "report", {});
    return {
      handlers: {
        role: ({ duty }) => {
          isWanted = duty === "trains" || duty === "hands-over";
          if (!isWanted || isLearning) return;
          isLearning = true;
          training.forgetPositions();
          context.after(0, "turn", {});
        },
        status: () => training.status(),
        turn: ({ outcome }) => {
          isLearning = isWanted;
          if (!isWanted) return;
          if (outcome?.kind === "failed") {
            // Most often a shard or a link that is restarting. What was pushed may have been applied: only the shards know.
            failures += 1;
            training.forgetPositions();
            context.metrics.count("freshet_trainer_failures_total", 1, { model: config.model.name });
            context.log.warn("Training paused; will ask the shards where they stand", { why: outcome.error.message });
            context.after(Math.min(RETRY_MS * 2 ** Math.min(failures, 5), RETRY_MS_MAX), "turn", {});
            return;
          }
          if (outcome !== undefined) failures = 0;
          context.pipe(training.turn(), "turn", (next) => ({ outcome: next }));
        },
        report: () => {
          if (isLearning) training.report();
          context.after(REPORT_MS, "report", {});
        },
      },
    };
  },
});

const REPORT_MS = 500;
const RETRY_MS = 50;
const RETRY_MS_MAX = 2_000;
