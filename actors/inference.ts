/*
 * Answers recommendation requests for one model from the rows of its own region: recall (embedding neighbours, popular, new), rank with
 * the model, answer within the deadline. Availability before accuracy: whatever goes wrong, the popular list is the answer.
 */
import { itemNumbers } from "../protocols/architectures/item-side.ts";
import { type Backend } from "../protocols/compute/backend.ts";
import { keyOf } from "../protocols/keys.ts";
import { createLearner, placeRows, planExamples, predict } from "../protocols/learning/learner.ts";
import { type Example } from "../protocols/columns/example-columns.ts";
import { type ModelDeclaration } from "../protocols/model.ts";
import { CATALOGUE, modelLayout, requiredTable } from "../protocols/model-layout.ts";
import { floatsOf } from "../protocols/sync/precision.ts";
import { messageOf } from "../protocols/wire/error-message.ts";
import { type Address, type Context, defineActor, Refused } from "../runtime/actor.ts";
import { type BackendChoice, matrixFor, openBackend } from "../runtime/compute/backends.ts";
import { type CandidateIndex, createCandidateIndex } from "./candidate-index.ts";
import { createEpochRows, type EpochRows, type EpochsApart, type GatherRows, GroupsApart } from "./epoch-rows.ts";
import { type AskedRows } from "./item-vectors.ts";
import { createRecall, type Recall, recallDim } from "./recall.ts";
import { type RowsChanged, type ShardProtocol } from "./shard-protocol.ts";
import { createSharedRows } from "./shared-rows.ts";

export interface InferenceConfig {
  readonly model: ModelDeclaration;
  readonly shards: readonly Address[];
  readonly compute: BackendChoice;
}

export interface RecommendRequest {
  readonly user: string;
  readonly k: number;
  readonly features: Readonly<Record<string, string>>;
  readonly dense: Readonly<Record<string, number>>;
  /** Time for the model. When it is over, the popular list answers. */
  readonly deadlineMs: number;
}

export interface Recommendation {
  readonly item: string;
  /** The predicted probability of a click, or the popularity where the model did not answer. */
  readonly score: number;
  /** Why it was considered: `neighbour`, `popular` or `new`. */
  readonly from: string;
}

export interface Recommendations {
  readonly request: string;
  readonly model: string;
  /** What answered: the model, or the popular list in its place. */
  readonly step: "model" | "popular";
  readonly items: readonly Recommendation[];
  /** The dense features each item was ranked with, in order: what its impression must carry, so that training sees what serving saw. */
  readonly dense: readonly Readonly<Record<string, number>>[];
  /** Where a new epoch is on its way through the shards: how many rows were read as if they were not there, as they are of another one. Absent for none. */
  readonly withheld?: number;
}

export interface InferenceStatus {
  readonly items: number;
  readonly holes: number;
  /** Absent while all shards hold rows of one epoch. */
  readonly epochs?: EpochsApart;
}

export interface InferenceProtocol {
  readonly recommend: { request: RecommendRequest; reply: Recommendations };
  readonly popular: { request: { readonly k: number }; reply: { readonly items: readonly Recommendation[] } };
  readonly status: { request: Record<string, never>; reply: InferenceStatus };
  readonly rows: { request: RowsChanged; reply: void };
  readonly follow: { request: Record<string, never>; reply: void };
  /** From itself: recall goes on. */
  readonly recall: { request: Record<string, never>; reply: void };
}

/** One inference replica of one model. It holds every item's row and name; user rows and the rest are gathered as they are needed. */
export const inference = defineActor<InferenceProtocol, InferenceConfig>({
  kind: "inference",
  messages: ["recommend", "popular", "status", "rows", "follow", "recall"],
  fromElsewhere: ["status"],
  setup: async (config, context) => {
    const backend = await openBackend(config.compute);
    const { model } = config;
    const layout = modelLayout(model);
    const dim = recallDim(layout);
    const index = createCandidateIndex({ dim, matrix: matrixFor(config.compute, dim), numbers: itemNumbers(model) });
    const rows = createSharedRows(
      layout,
      config.shards.map((address) => context.ref<ShardProtocol>(address)),
      {
        upMs: () => context.upMs(),
        count: (name, by) => context.metrics.count(name, by, { model: model.name, reader: "inference" }),
      },
    );
    const epochs = createEpochRows(layout, rows, {
      onWithheld: (table, count) =>
        context.metrics.count("freshet_inference_withheld_rows_total", count, { model: model.name, table }),
    });
    /** For what is kept: vectors of items whose rows are withheld stay as they were. */
    const gather: GatherRows = async (lists, signal) => {
      const { made, withheld } = await epochs.inOneEpoch((read) => read(lists, signal), signal);
      if (withheld > 0) throw new RangeError(`Cannot read ${withheld} rows: they are of another epoch than the others`);
      return made;
    };
    const recall = createRecall({
      layout,
      index,
      backend,
      gather,
      nowMs: () => context.now(),
      upMs: () => context.upMs(),
      onRound: (ms) => context.metrics.gauge("freshet_inference_vectors_age_seconds", ms / 1000, { model: model.name }),
    });
    const following = followShards(config, context, { index, recall });
    const rank = createRanking(config, context, { index, backend, recall, epochs });
    context.after(0, "follow", {});
    if (recall.turn !== undefined) context.after(0, "recall", {});

    return {
      handlers: {
        recommend: (request) => {
          // Ranking waits for rows; the mailbox goes on meanwhile.
          const answer = context.later<Recommendations>();
          void rank(request).then(answer.resolve, answer.reject);
          return answer.reply;
        },
        popular: ({ k }) => ({ items: index.popular(checkedK(k)) }),
        status: () => {
          const apart = epochs.apart();
          return { items: index.size(), holes: following.holes(), ...(apart !== undefined && { epochs: apart }) };
        },
        rows: (changed) => following.take(changed),
        follow: () => {
          following.keepAlive();
          context.after(FOLLOW_MS, "follow", {});
        },
        recall: () => {
          void recall.turn?.(context.deadline(RECALL_MS)).then(
            (ms) => context.after(ms, "recall", {}),
            (error: unknown) => {
              context.metrics.count("freshet_inference_vectors_failed_total", 1, { model: model.name });
              context.log.debug("Items' vectors could not be computed; tried again", { why: String(error) });
              context.after(FOLLOW_MS, "recall", {});
            },
          );
        },
      },
    };
  },
});

const FOLLOW_MS = 1_000;
/** For the rows of some items, which may have to come from shards that are busy. */
const RECALL_MS = 5_000;
const NEIGHBOURS = 60;
const POPULAR = 30;
const NEWEST = 10;
const CANDIDATES_MAX = NEIGHBOURS + POPULAR + NEWEST;
const K_MAX = 100;

function checkedK(k: number): number {
  if (!Number.isInteger(k) || k < 1 || k > K_MAX) {
    throw new Refused(`k must be a whole number from 1 to ${K_MAX}: it is ${k}`);
  }
  return k;
}

/** Subscribes to every shard's item and catalogue rows, and again from the start when a message of a subscription is missing. */
function followShards(
  { model, shards }: InferenceConfig,
  context: Context<InferenceProtocol>,
  { index, recall }: { readonly index: CandidateIndex; readonly recall: Recall },
): { take(changed: RowsChanged): void; keepAlive(): void; holes(): number } {
  const layout = modelLayout(model);
  const itemTable = requiredTable(layout, "item");
  const items = layout.tables[itemTable];
  const refs = shards.map((address) => context.ref<ShardProtocol>(address));
  const subscriptions = shards.map(() => ({ token: newToken(context), next: 0 }));
  let holes = 0;

  function subscribe(shard: number): void {
    const token = subscriptions[shard]?.token;
    if (token !== undefined) refs[shard]?.tell("subscribe", { tables: [CATALOGUE, itemTable], token });
  }

  return {
    take(changed) {
      const subscription = subscriptions[changed.shard];
      if (subscription === undefined || subscription.token !== changed.token) return;
      if (changed.sequence !== subscription.next) {
        // Rows were dropped on the way, or the shard restarted: ask for everything anew.
        holes += 1;
        context.metrics.count("freshet_inference_holes_total", 1, { model: model.name });
        subscriptions[changed.shard] = { token: newToken(context), next: 0 };
        subscribe(changed.shard);
        return;
      }
      subscription.next += 1;
      for (const { table, keys, values } of changed.lists) {
        if (table === CATALOGUE) {
          const unnamed = keys.filter((key) => index.nameOf(key) === undefined);
          index.putNames(keys, values);
          recall.named(unnamed);
        } else if (table === itemTable && items !== undefined) recall.took(keys, floatsOf(items, values));
      }
      context.metrics.gauge("freshet_inference_items", index.size(), { model: model.name });
    },
    keepAlive: () => subscriptions.forEach((_, shard) => subscribe(shard)),
    holes: () => holes,
  };
}

function newToken(context: Context<InferenceProtocol>): string {
  return `${context.self.id}-${Math.floor(context.random() * 2 ** 52).toString(36)}`;
}

function createRanking(
  { model }: InferenceConfig,
  context: Context<InferenceProtocol>,
  {
    index,
    backend,
    recall,
    epochs,
  }: {
    readonly index: CandidateIndex;
    readonly backend: Backend;
    readonly recall: Recall;
    readonly epochs: EpochRows;
  },
): (request: RecommendRequest) => Promise<Recommendations> {
  const layout = modelLayout(model);
  const learner = createLearner(layout, { backend, batchMax: CANDIDATES_MAX });

  async function ranked(request: RecommendRequest, signal: AbortSignal): Promise<Omit<Recommendations, "request">> {
    const { made, epoch, withheld } = await epochs.inOneEpoch((gather) => rank(request, { gather, signal }), signal);
    context.metrics.gauge("freshet_inference_epoch", epoch, { model: model.name });
    return withheld === 0 ? made : { ...made, withheld };
  }

  async function rank(request: RecommendRequest, asked: AskedRows): Promise<Omit<Recommendations, "request">> {
    const query = await recall.query(request, asked);
    const nowMs = context.now();
    const candidates = index.candidates({ query, neighbours: NEIGHBOURS, popular: POPULAR, newest: NEWEST });
    if (candidates.length === 0) return { model: model.name, step: "popular", items: [], dense: [] };
    const examples = candidates.map(({ item, key }): Example => ({
      user: request.user,
      item,
      features: request.features,
      dense: { ...index.denseOf(key, nowMs), ...request.dense },
    }));
    const planned = planExamples(layout, examples);
    placeRows(learner, planned, await asked.gather(planned.lists, asked.signal));
    const probabilities = predict(learner, planned);
    const order = candidates
      .map((candidate, at) => ({ candidate, at, score: probabilities[at] ?? 0 }))
      .filter(({ score }) => Number.isFinite(score))
      .toSorted((a, b) => b.score - a.score || a.at - b.at)
      .slice(0, request.k);
    return {
      model: model.name,
      step: "model",
      items: order.map(({ candidate, score }) => ({ item: candidate.item, score, from: candidate.from })),
      dense: order.map(({ at }) => examples[at]?.dense ?? {}),
    };
  }

  return async (request) => {
    checkedK(request.k);
    const id = `${context.self.region}-${Math.floor(context.random() * 2 ** 52).toString(36)}-${Math.floor(context.now()).toString(36)}`;
    const startedMs = context.now();
    const signal = context.deadline(Math.max(1, Math.ceil(request.deadlineMs)));
    try {
      const answer = await ranked(request, signal);
      context.metrics.observe("freshet_inference_seconds", (context.now() - startedMs) / 1000, { model: model.name });
      if (answer.step === "model") {
        context.metrics.count("freshet_recommendations_total", 1, { model: model.name, step: "model" });
      }
      return { request: id, ...answer };
    } catch (error) {
      // A shard away, late or restarting: the list in memory answers. Which it was is in the metrics.
      const why = messageOf(error);
      context.metrics.count("freshet_recommendations_total", 1, { model: model.name, step: "popular" });
      // The one is seen in how long answers take, the other in the status: neither is a fault.
      if (signal.aborted) context.log.debug("Ranking was late; answered with the popular list", { why });
      else if (error instanceof GroupsApart) {
        context.log.debug("Dense layers are of several epochs; answered with the popular list", { why });
      } else context.log.warn("Ranking failed; answered with the popular list", { why });
      const items = index.popular(request.k);
      return {
        request: id,
        model: model.name,
        step: "popular",
        items,
        dense: items.map(({ item }) => ({ ...index.denseOf(keyOf(item), context.now()), ...request.dense })),
      };
    }
  };
}
