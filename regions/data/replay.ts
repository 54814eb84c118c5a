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

const FEEDBACK_DELAY_MS_MAX = 10_000;

/**
 * Turns clicks, which say nothing of what was shown and not clicked, into requests that do. At a click's time the clicked item
 * is shown among nine others drawn by what is popular then, at a random place; the click follows within ten seconds.
 * Event times are the data's own. Features know only feedback that came before: an item's first click finds it without a past.
 * Events come out in time order, if clicks go in so.
 */
export class Replay {
  readonly #options: ReplayOptions;
  readonly #random: Random;
  readonly #popularity: Popularity;
  // Feedback that is still to come, soonest first. A few seconds' worth.
  readonly #due: UserEvent[] = [];
  #requests = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#random = createRandom(options.seed);
    this.#popularity = new Popularity(options.popularityMs);
  }

  /** Requests made so far. */
  get requests(): number {
    return this.#requests;
  }

  /** The feedback due before a click, then the click's impressions. */
  push(click: Click): UserEvent[] {
    const events = this.#takeDue(click.time);
    const request = `replay-${this.#options.seed}-${this.#requests}`;
    this.#requests += 1;
    this.#popularity.moveTo(click.time);
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
    const time = click.time + 1 + Math.floor(nextFloat(this.#random) * FEEDBACK_DELAY_MS_MAX);
    this.#later({ user: click.user, event: { type: "feedback", kind: "click", request, item: click.item, time } });
    return events;
  }

  /** The feedback that is left when no more clicks come. */
  end(): UserEvent[] {
    return this.#takeDue(Number.POSITIVE_INFINITY);
  }

  #later(feedback: UserEvent): void {
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#due[middle]?.event.time ?? 0) <= feedback.event.time) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, feedback);
  }

  #takeDue(until: number): UserEvent[] {
    const first = this.#due.findIndex((each) => each.event.time > until);
    const due = this.#due.splice(0, first === -1 ? this.#due.length : first);
    for (const { user, event } of due) this.#popularity.add({ time: event.time, user, item: event.item });
    return due;
  }
}
