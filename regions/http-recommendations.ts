import { type Recommendation, type Recommendations } from "../actors/inference.ts";
import { type Impression } from "../protocols/feedback.ts";
import { messageOf } from "../protocols/wire/error-message.ts";
import { HttpRefusal } from "./http-errors.ts";
import { ImpressionLog } from "./http-impressions.ts";
import { HTTP_LIMITS, type HttpOptions, type HttpPorts } from "./http-ports.ts";
import { parseQuery, type RecommendationQuery } from "./http-query.ts";

/** The body of an answer. `dense` is there for callers who record impressions themselves: what each item was ranked with, in order. */
export interface RecommendationAnswer extends Omit<Recommendations, "dense"> {
  readonly dense?: Recommendations["dense"];
}

/** Answers recommendation requests: from the replica in time, else from the popular list that was fetched last. */
export class Recommender {
  readonly #options: HttpOptions;
  readonly #ports: HttpPorts;
  readonly #popular = new Map<string, readonly Recommendation[]>();
  readonly #shown: ImpressionLog;

  constructor(options: HttpOptions, ports: HttpPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#shown = new ImpressionLog(ports);
  }

  /** Throws `HttpRefusal` for a query that is wrong, and when nothing at all can answer. */
  async answer(search: URLSearchParams): Promise<RecommendationAnswer> {
    const query = parseQuery(search, this.#options.models);
    const { dense, ...answer } = (await this.#fromReplica(query)) ?? this.#fromList(query);
    this.#ports.metrics.count("freshet_http_recommendations_total", 1, { model: query.model, step: answer.step });
    if (!query.impressions) return { ...answer, dense };
    this.#shown.add(impressionsOf(query, { ...answer, dense }, this.#ports.nowMs()));
    return answer;
  }

  /** Fetches the popular lists anew. One that cannot be had stays as it was. */
  async refreshPopular(): Promise<void> {
    await Promise.all(
      this.#options.models.map(async (model) => {
        try {
          const signal = AbortSignal.timeout(HTTP_LIMITS.statusWithinMs);
          const items = await this.#ports.popular(model, HTTP_LIMITS.kMax, { signal });
          // A replica that restarted and knows no item yet does not take the list away.
          if (items.length > 0) this.#popular.set(model, items.slice(0, HTTP_LIMITS.kMax));
        } catch (error) {
          this.#ports.log.debug("no popular list", {
            model,
            why: messageOf(error),
          });
          this.#ports.metrics.count("freshet_http_popular_failures_total", 1, { model });
        }
      }),
    );
  }

  /** Resolves when what was shown is stored, or given up on. */
  drained(): Promise<void> {
    return this.#shown.drained();
  }

  async #fromReplica(query: RecommendationQuery): Promise<Recommendations | undefined> {
    const { model, user, k, features, dense } = query;
    const { deadlineMs } = this.#options;
    try {
      const signal = AbortSignal.timeout(deadlineMs + HTTP_LIMITS.graceMs);
      const answer = await this.#ports.recommend(model, { user, k, features, dense, deadlineMs }, { signal });
      return answer.items.length > 0 || !this.#popular.has(model) ? answer : undefined;
    } catch (error) {
      const why = messageOf(error);
      this.#ports.log.debug("no answer from the inference replica", { model, why });
      this.#ports.metrics.count("freshet_http_replica_failures_total", 1, { model });
      return undefined;
    }
  }

  #fromList({ model, k, dense }: RecommendationQuery): Recommendations {
    const items = (this.#popular.get(model) ?? []).slice(0, k);
    if (items.length === 0) {
      throw new HttpRefusal(503, "no-answer", "Neither the model nor a popular list can answer yet", {
        headers: { "Retry-After": "1" },
      });
    }
    return { request: this.#ports.requestId(), model, step: "popular", items, dense: items.map(() => dense) };
  }
}

function impressionsOf(query: RecommendationQuery, answer: Recommendations, time: number): Impression[] {
  const { user, features } = query;
  return answer.items.map(({ item }, position) => ({
    type: "impression",
    request: answer.request,
    user,
    item,
    position,
    time,
    features,
    // What serving saw of this item, so that training sees the same.
    dense: answer.dense[position] ?? query.dense,
  }));
}
