import { type FeedbackEvent } from "../../protocols/feedback.ts";
import { createRandom, nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { type Click } from "./click.ts";
import { Popularity } from "./popularity.ts";

/** An event and the user whose region it goes to. */
export interface UserEvent {
  readonly user: string;
  readonly event: FeedbackEvent;
}

export interface ReplayOptions {
  /** The same seed and clicks make the same events, ids included. */
  readonly seed: number;
  /** How far back popularity looks, in milliseconds. */
  readonly popularityMs: number;
  readonly featuresOf: (item: string) => Readonly<Record<string, string>>;
}

/** The numeric features of a replayed impression: log(1 + hours since the item's first click), log(1 + its clicks in the window). */
export const REPLAY_DENSE = ["age", "popularity"] as const;

/** Items of a replayed request: the clicked one and nine others. */
export const REPLAY_ITEMS = 10;

/** How long after its request a click follows, at most, in milliseconds. */
export const REPLAY_FEEDBACK_MS_MAX = 2_000;

/**
 * Turns clicks, which say nothing of what was shown and not clicked, into requests that do. At a click's time the clicked item
 * is shown among nine others drawn by what is popular then, at a random place; the click follows within two seconds.
 * Event times are the data's own. Features know only feedback that came before.
 * A click on an item that nobody clicked within the window makes no request, it only counts for popularity: such an item is never
 * drawn, so a model would learn that whatever has no clicks is clicked. Events come out in time order, if clicks go in so.
 */
export class Replay {
  readonly #options: ReplayOptions;
  readonly #random: Random;
  readonly #popularity: Popularity;
  // Feedback that is still to come, soonest first. A few seconds' worth.
  readonly #due: Due[] = [];
  #requests = 0;
  #unknown = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#random = createRandom(options.seed);
    this.#popularity = new Popularity(options.popularityMs);
  }

  /** Clicks taken so far, which number the requests. */
  get requests(): number {
    return this.#requests;
  }

  /** How many of them made no request, as nobody had clicked their item within the window. */
  get unknown(): number {
    return this.#unknown;
  }

  /** The feedback due before a click, then the click's impressions. */
  push(click: Click): UserEvent[] {
    const events = this.#takeDue(click.time);
    const request = `replay-${this.#options.seed}-${this.#requests}`;
    this.#requests += 1;
    this.#popularity.moveTo(click.time);
    const time = click.time + 1 + Math.floor(nextFloat(this.#random) * REPLAY_FEEDBACK_MS_MAX);
    const isKnown = this.#popularity.clicksOf(click.item) > 0;
    this.#later({ user: click.user, item: click.item, time, request: isKnown ? request : undefined });
    if (!isKnown) {
      this.#unknown += 1;
      return events;
    }
    const items = this.#popularity.draw(this.#random, {
      count: REPLAY_ITEMS - 1,
      except: click.item,
      user: click.user,
    });
    items.splice(nextBelow(this.#random, items.length + 1), 0, click.item);
    for (const [position, item] of items.entries()) {
      events.push({
        user: click.user,
        event: {
          type: "impression",
          request,
          user: click.user,
          item,
          position,
          time: click.time,
          features: { ...click.context, ...this.#options.featuresOf(item) },
          dense: {
            age: Math.log1p(this.#popularity.ageHours(item, click.time)),
            popularity: Math.log1p(this.#popularity.clicksOf(item)),
          },
        },
      });
    }
    return events;
  }

  /** The feedback that is left when no more clicks come. */
  end(): UserEvent[] {
    return this.#takeDue(Number.POSITIVE_INFINITY);
  }

  #later(feedback: Due): void {
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#due[middle]?.time ?? 0) <= feedback.time) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, feedback);
  }

  #takeDue(until: number): UserEvent[] {
    const first = this.#due.findIndex(({ time }) => time > until);
    const due = this.#due.splice(0, first === -1 ? this.#due.length : first);
    return due.flatMap(({ user, item, time, request }) => {
      this.#popularity.add({ time, user, item });
      return request === undefined
        ? []
        : [{ user, event: { type: "feedback", kind: "click", request, item, time } as const }];
    });
  }
}

/** A click to come; without a request where none was made for it. */
interface Due {
  readonly user: string;
  readonly item: string;
  readonly time: number;
  readonly request: string | undefined;
}
