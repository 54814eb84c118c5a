// A simulated market with a known truth: users whose tastes drift, items born every minute, and a click probability that is a formula. So the best
// answer, the regret of any other and the gain of being fresh can be measured exactly. Everything but the stream is a pure function of the
// options and the time: asking in another order, or twice, gives the same answer.
import { createRandom, mixUint32, type Random, nextBelow, nextFloat } from "../random.ts";
import { sigmoid } from "../compute/loss.ts";

export interface MarketOptions {
  readonly seed: number;
  /** Users are "1" to this number. */
  readonly users: number;
  /** Items that exist at the start: "1" to this number. */
  readonly initialItems: number;
  readonly itemsPerMinute: number;
  /** An item leaves the market this long after its birth. */
  readonly itemLifeMinutes: number;
  /** Tastes turn by about one radian in this time. */
  readonly driftMinutes: number;
  readonly startMs: number;
  /** How much of a taste is its country's, 0 to 1. With 0 users have little but where they start from in common. */
  readonly alike: number;
  /** Items shown for one request. */
  readonly listLength: number;
  /** Median time from impression to click; the delays are heavy-tailed, a tenth is above about 5 times the median. */
  readonly clickDelayMs: number;
}

/** A market ready to be asked. */
export interface Market {
  readonly options: MarketOptions;
  readonly seed: number;
}

export const MARKET_DEFAULTS: Omit<MarketOptions, "seed" | "startMs"> = {
  users: 2_000,
  initialItems: 500,
  itemsPerMinute: 5,
  itemLifeMinutes: 60,
  driftMinutes: 30,
  alike: 0,
  listLength: 10,
  clickDelayMs: 1_500,
};

/** Dimensions of the hidden tastes and item vectors. */
const MARKET_DIM = 8;

const COUNTRIES = ["de", "fr", "us", "jp", "br", "in", "gb", "ng"] as const;
const DEVICES = ["phone", "desktop", "tablet"] as const;
const CATEGORIES = 8;

/** Log-odds of a click: where the average pair stands, how much taste counts, how much an item's own quality counts. */
const BASE = -4;
const TASTE = 5;
const QUALITY = 0.6;

export function createMarket(options: MarketOptions): Market {
  const { users, initialItems, itemsPerMinute, itemLifeMinutes, driftMinutes, listLength, clickDelayMs } = options;
  if (!(options.alike >= 0 && options.alike <= 1)) {
    throw new RangeError(`Cannot open a market: alike is ${options.alike}, it must be from 0 to 1`);
  }
  const sizes = { users, initialItems, itemLifeMinutes, driftMinutes, listLength, clickDelayMs };
  for (const [name, size] of Object.entries(sizes)) {
    if (!(Number.isFinite(size) && size > 0)) {
      throw new RangeError(`Cannot open a market: ${name} is ${size}, it must be above 0`);
    }
  }
  // What is on the market never falls below this, give or take one for rounding.
  const stock = Math.min(initialItems, itemsPerMinute * itemLifeMinutes);
  if (!(stock >= listLength + 2)) {
    throw new RangeError(
      `Cannot open a market: it would fall to ${stock} items, too few for lists of ${listLength}; raise initialItems, itemsPerMinute or itemLifeMinutes`,
    );
  }
  return { options, seed: mixUint32(options.seed, 0x6d61726b) };
}

/** The numbers of the items that are on the market at a time: [first, last], both included; empty when last < first. */
export function activeItems({ options }: Market, timeMs: number): { readonly first: number; readonly last: number } {
  const minutes = Math.max(0, (timeMs - options.startMs) / 60_000);
  const last = options.initialItems + Math.floor(minutes * options.itemsPerMinute);
  // The first stock leaves one by one over a lifetime, as if it had been born evenly before the start.
  const leftOfStock = Math.floor(options.initialItems * Math.min(1, minutes / options.itemLifeMinutes));
  const gone = Math.floor(Math.max(0, minutes - options.itemLifeMinutes) * options.itemsPerMinute);
  return { first: leftOfStock + gone + 1, last };
}

/** A user's taste at a time: a vector of length 1 that turns slowly, each pair of its dimensions at the user's own pace. */
export function tasteOf(market: Market, user: string, timeMs: number): Float64Array {
  const own = mixUint32(market.seed ^ 0x75736572, Number(user));
  const { alike } = market.options;
  const taste = turningVector(market, own, timeMs);
  if (alike === 0) return taste;
  const country = mixUint32(market.seed ^ 0x6c616e64, countryOf(own));
  const shared = turningVector(market, country, timeMs);
  return normalize(taste.map((x, d) => (1 - alike) * x + alike * (shared[d] ?? 0)));
}

function turningVector(market: Market, own: number, timeMs: number): Float64Array {
  const taste = new Float64Array(MARKET_DIM);
  const minutes = (timeMs - market.options.startMs) / 60_000;
  for (let d = 0; d < MARKET_DIM; d += 2) {
    const radius = uniform(own, 3 * d + 1) + 0.2;
    const pace = (0.5 + uniform(own, 3 * d + 2)) / market.options.driftMinutes;
    const angle = 2 * Math.PI * uniform(own, 3 * d + 3) + pace * minutes;
    taste[d] = radius * Math.cos(angle);
    taste[d + 1] = radius * Math.sin(angle);
  }
  return normalize(taste);
}

/** The probability that the user clicks the item when it is shown at a time. */
export function expectedClick(
  market: Market,
  pair: { readonly user: string; readonly item: string; readonly timeMs: number },
): number {
  return clickOf(market, { taste: tasteOf(market, pair.user, pair.timeMs), item: Number(pair.item) });
}

/** The `k` items on the market that the user is most likely to click, best first: the answer that no recommender can beat. */
export function bestItems(
  market: Market,
  ask: { readonly user: string; readonly k: number; readonly timeMs: number },
): { readonly item: string; readonly probability: number }[] {
  const taste = tasteOf(market, ask.user, ask.timeMs);
  const { first, last } = activeItems(market, ask.timeMs);
  const all: { item: string; probability: number }[] = [];
  for (let item = first; item <= last; item += 1) {
    all.push({ item: String(item), probability: clickOf(market, { taste, item }) });
  }
  return all.sort((a, b) => b.probability - a.probability || Number(a.item) - Number(b.item)).slice(0, ask.k);
}

/** What showing a list costs against the best list of its length, in expected clicks; 0 is perfect. */
export function regretOf(
  market: Market,
  shown: { readonly user: string; readonly items: readonly string[]; readonly timeMs: number },
): number {
  const { user, items, timeMs } = shown;
  function total(probabilities: readonly number[]): number {
    return probabilities.reduce((sum, p) => sum + p, 0);
  }
  const best = bestItems(market, { user, k: items.length, timeMs }).map(({ probability }) => probability);
  return total(best) - total(items.map((item) => expectedClick(market, { user, item, timeMs })));
}

/** What is known of a user before any click. It says something of the taste: users of one country start out alike. */
export function featuresOf(
  market: Market,
  pair: { readonly user: string; readonly item: string },
): Readonly<Record<"country" | "device" | "category", string>> {
  const own = mixUint32(market.seed ^ 0x75736572, Number(pair.user));
  return {
    // The first pair of dimensions points to the country, so that it is a weak but true signal.
    country: COUNTRIES[countryOf(own)] ?? COUNTRIES[0],
    device: pick(DEVICES, uniform(own, 101) ** 2),
    category: `c${categoryOf(market, Number(pair.item))}`,
  };
}

/** Draws whether a user clicks a shown item, and how long after. Undefined is no click. */
export function drawClick(
  market: Market,
  pair: { readonly user: string; readonly item: string; readonly timeMs: number },
  random: Random,
): number | undefined {
  // Both draws happen either way, so that one answer does not shift all that follow.
  const [clicks, u] = [nextFloat(random), nextFloat(random)];
  if (clicks >= expectedClick(market, pair)) return undefined;
  // Log-logistic: the quantile function is closed, and no draw is unbounded in practice.
  return Math.min(3_600_000, market.options.clickDelayMs * (u / (1 - u)) ** 0.75);
}

/** Some user, the active ones more often: user n is drawn about as often as 1 / sqrt(n). */
export function drawUser({ options }: Market, random: Random): string {
  return String(1 + Math.floor(options.users * nextFloat(random) ** 2));
}

/** A list as a site without a recommender would show it: half among the newest items, half anything, none twice. */
export function drawList(market: Market, timeMs: number, random: Random): string[] {
  const { first, last } = activeItems(market, timeMs);
  const count = last - first + 1;
  const length = Math.min(market.options.listLength, count);
  const list = new Set<number>();
  while (list.size < length) {
    const newest = list.size % 2 === 0;
    // Squared, so that newer is likelier, but every item can come and the loop ends.
    const back = newest ? Math.floor(count * nextFloat(random) ** 2) : nextBelow(random, count);
    list.add(last - back);
  }
  return [...list].map(String);
}

/** A generator for one purpose, so that streams over the same market do not disturb each other. */
export function marketRandom(market: Market, purpose: number): Random {
  return createRandom(mixUint32(market.seed ^ 0x64726177, purpose));
}

function clickOf(market: Market, { taste, item }: { readonly taste: Float64Array; readonly item: number }): number {
  const own = mixUint32(market.seed ^ 0x6974656d, item);
  // Half of an item's vector is its category's, half its own.
  const category = mixUint32(market.seed ^ 0x63617465, categoryOf(market, item));
  let dot = 0;
  let squares = 0;
  for (let d = 0; d < MARKET_DIM; d += 1) {
    const x = 2 * uniform(own, d) - 1 + (2 * uniform(category, d) - 1);
    dot += x * (taste[d] ?? 0);
    squares += x * x;
  }
  return sigmoid(BASE + (TASTE * dot) / Math.sqrt(squares) + QUALITY * (2 * uniform(own, 99) - 1));
}

function countryOf(own: number): number {
  return Math.floor(uniform(own, 3) * COUNTRIES.length);
}

function categoryOf(market: Market, item: number): number {
  return mixUint32(market.seed ^ 0x6b696e64, item) % CATEGORIES;
}

function uniform(seed: number, index: number): number {
  return mixUint32(seed, index) / 0x1_0000_0000;
}

function normalize(vector: Float64Array): Float64Array {
  let squares = 0;
  for (const x of vector) squares += x * x;
  const length = Math.sqrt(squares);
  return vector.map((x) => x / length);
}

function pick<T>(from: readonly [T, ...T[]], at: number): T {
  return from[Math.floor(at * from.length)] ?? from[0];
}
