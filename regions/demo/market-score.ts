import { bestItems, drawList, expectedClick, type Market, marketRandom } from "../../protocols/learning/market.ts";
import { type Random } from "../../protocols/random.ts";
import { Popularity } from "../data/popularity.ts";

/** Expected clicks per shown item, over about the last 500 lists that a region recommended. */
export interface MarketFigures {
  /** Of what the regions recommended. */
  readonly served: number;
  /** Of the best lists there were: what no recommender can beat. */
  readonly best: number;
  /** Of the items with the most clicks in the last ten minutes. */
  readonly popular: number;
  /** Of lists as a site without a recommender shows them. */
  readonly random: number;
}

/** Measures recommended lists by the market's own truth, against the best, a popular and a random list for the same user and time. */
export class MarketScore {
  readonly #market: Market;
  readonly #random: Random;
  readonly #popularity = new Popularity(POPULAR_MS);
  #figures: MarketFigures = { served: 0, best: 0, popular: 0, random: 0 };
  #lists = 0;

  constructor(market: Market) {
    this.#market = market;
    this.#random = marketRandom(market, SCORE_PURPOSE);
  }

  /** Undefined before the first list. */
  get figures(): MarketFigures | undefined {
    return this.#lists === 0 ? undefined : this.#figures;
  }

  /** Lists measured. */
  get lists(): number {
    return this.#lists;
  }

  clicked(click: { readonly time: number; readonly user: string; readonly item: string }): void {
    this.#popularity.add(click);
  }

  served(list: { readonly user: string; readonly items: readonly string[]; readonly timeMs: number }): void {
    const { user, items, timeMs } = list;
    const market = this.#market;
    if (items.length === 0) return;
    function worth(some: readonly string[]): number {
      return (
        some.reduce((sum, item) => sum + expectedClick(market, { user, item, timeMs }), 0) / Math.max(1, some.length)
      );
    }
    const best = bestItems(market, { user, k: items.length, timeMs });
    const now: MarketFigures = {
      served: worth(items),
      best: best.reduce((sum, { probability }) => sum + probability, 0) / best.length,
      popular: worth(this.#popularity.top(items.length)),
      random: worth(drawList(market, timeMs, this.#random)),
    };
    this.#lists += 1;
    const weight = 1 / Math.min(this.#lists, RECENT_LISTS);
    function mix(before: number, value: number): number {
      return before + weight * (value - before);
    }
    const before = this.#figures;
    this.#figures = {
      served: mix(before.served, now.served),
      best: mix(before.best, now.best),
      popular: mix(before.popular, now.popular),
      random: mix(before.random, now.random),
    };
  }
}

const POPULAR_MS = 600_000;
const RECENT_LISTS = 500;
const SCORE_PURPOSE = 2;
