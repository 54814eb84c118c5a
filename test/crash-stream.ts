import { type FeedbackEvent } from "../protocols/feedback.ts";
import { createRandom, nextBelow, nextFloat, type Random } from "../protocols/random.ts";

/** An impression that the stream made, and whether it was ever clicked. Its user has no other, and its item's all have one time. */
export interface Shown {
  readonly request: string;
  readonly item: string;
  readonly user: string;
  readonly time: number;
  clicked: boolean;
}

/** Events for one region, to be sent until they are acknowledged. With a key, the region knows a repetition by itself. */
export interface Post {
  readonly region: string;
  readonly events: readonly FeedbackEvent[];
  readonly key?: string;
}

const REQUESTS_A_ROUND = 4;
const ITEMS_A_ROUND = 5;
const SHOWN_A_REQUEST = 3;
/** Late clicks come this long after the impression: its window has ended. */
const LATE_MS = { min: 2_000, max: 4_000 };

/**
 * Impressions and clicks whose effects can be counted exactly. A round has items of its own, all shown at its time, so an item's decayed
 * popularity is its number of clicks; each impression has a user of its own, so a user's row has had a step for each sample of it. Clicks
 * come with their impression, after it, before it, long after it, twice, and in another region than it.
 */
export class CrashStream {
  readonly shown = new Map<string, Shown>();
  readonly #random: Random;
  readonly #regions: readonly string[];
  readonly #later: { readonly dueMs: number; readonly shown: Shown }[] = [];
  #rounds = 0;
  #posts = 0;

  constructor(options: { readonly seed: number; readonly regions: readonly string[] }) {
    this.#random = createRandom(options.seed);
    this.#regions = options.regions;
  }

  /** Late clicks that were not given out yet. */
  get outstanding(): number {
    return this.#later.length;
  }

  /** The next round, shown now. */
  round(nowMs: number): Post[] {
    const round = this.#rounds++;
    const posts: Post[] = [];
    for (let each = 0; each < REQUESTS_A_ROUND; each += 1) {
      const request = `r${round}-${each}`;
      const region = this.#region();
      const first = nextBelow(this.#random, ITEMS_A_ROUND);
      const impressions: FeedbackEvent[] = [];
      const clicks: FeedbackEvent[] = [];
      for (let position = 0; position < SHOWN_A_REQUEST; position += 1) {
        const item = `i${round}-${(first + position) % ITEMS_A_ROUND}`;
        const user = `u${round}-${each}-${position}`;
        const shown: Shown = { request, item, user, time: nowMs, clicked: false };
        this.shown.set(`${request}:${item}`, shown);
        impressions.push({ type: "impression", request, user, item, position, time: nowMs, features: {}, dense: {} });
        const fate = nextFloat(this.#random);
        if (fate < 0.35) clicks.push(click(shown, nowMs));
        else if (fate < 0.55) this.#later.push({ dueMs: nowMs + this.#delay(), shown });
      }
      posts.push(...this.#mix({ region, impressions, clicks }));
    }
    return posts;
  }

  /** The late clicks whose time has come; all of them when the time is infinite. */
  due(nowMs: number, options: { readonly all: boolean }): Post[] {
    const posts: Post[] = [];
    for (const { dueMs, shown } of this.#later.splice(0)) {
      if (dueMs > nowMs && !options.all) this.#later.push({ dueMs, shown });
      else posts.push(...this.#copies(this.#post(this.#region(), [click(shown, nowMs)])));
    }
    return posts;
  }

  /** The order in which impressions and their clicks are sent. */
  #mix(of: { region: string; impressions: FeedbackEvent[]; clicks: FeedbackEvent[] }): Post[] {
    const { region, impressions, clicks } = of;
    const order = nextFloat(this.#random);
    const elsewhere = nextFloat(this.#random) < 0.2 ? this.#region() : region;
    if (clicks.length === 0 || order < 0.3) return this.#copies(this.#post(region, [...impressions, ...clicks]));
    const first = this.#copies(this.#post(region, impressions));
    const second = this.#copies(this.#post(elsewhere, clicks));
    return order < 0.8 ? [...first, ...second] : [...second, ...first];
  }

  /** Some of what is sent is sent twice on purpose, the second time perhaps to another region. */
  #copies(post: Post): Post[] {
    return nextFloat(this.#random) < 0.85 ? [post] : [post, this.#post(this.#region(), post.events)];
  }

  #post(region: string, events: readonly FeedbackEvent[]): Post {
    this.#posts += 1;
    return { region, events, ...(nextFloat(this.#random) < 0.5 ? { key: `post-${this.#posts}` } : {}) };
  }

  #region(): string {
    return this.#regions[nextBelow(this.#random, this.#regions.length)] ?? "";
  }

  #delay(): number {
    return LATE_MS.min + nextBelow(this.#random, LATE_MS.max - LATE_MS.min);
  }
}

function click(shown: Shown, time: number): FeedbackEvent {
  shown.clicked = true;
  return { type: "feedback", kind: "click", request: shown.request, item: shown.item, time };
}
