import { nextBelow, type Random } from "../../protocols/random.ts";

/** What the clicks of the last while say about items. Bounded: the oldest clicks and items are forgotten first. */
export class Popularity {
  readonly #windowMs: number;
  // A queue of clicks from #head on, and how many of them each item has.
  #clicks: { readonly time: number; readonly user: string; readonly item: string }[] = [];
  #head = 0;
  readonly #counts = new Map<string, number>();
  readonly #firstSeen = new Map<string, number>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Takes in a click; times must not go back. */
  add(click: { readonly time: number; readonly user: string; readonly item: string }): void {
    this.moveTo(click.time);
    if (this.#clicks.length - this.#head >= CLICKS_MAX) this.#dropOldest();
    this.#clicks.push({ time: click.time, user: click.user, item: click.item });
    this.#counts.set(click.item, this.clicksOf(click.item) + 1);
    if (this.#firstSeen.has(click.item)) return;
    this.#firstSeen.set(click.item, click.time);
    const oldest = this.#firstSeen.keys().next();
    if (this.#firstSeen.size > ITEMS_MAX && oldest.done !== true) this.#firstSeen.delete(oldest.value);
  }

  /** Moves on to a time: clicks that are by then older than the window do not count any more. */
  moveTo(time: number): void {
    const from = time - this.#windowMs;
    for (
      let oldest = this.#clicks[this.#head];
      oldest !== undefined && oldest.time < from;
      oldest = this.#clicks[this.#head]
    ) {
      this.#dropOldest();
    }
  }

  /** Clicks on an item within the window. */
  clicksOf(item: string): number {
    return this.#counts.get(item) ?? 0;
  }

  /** Hours since the first click on an item; 0 for one that was never clicked. */
  ageHours(item: string, time: number): number {
    return Math.max(0, time - (this.#firstSeen.get(item) ?? time)) / 3_600_000;
  }

  /**
   * Distinct items, none of them `except`, each drawn with a chance in proportion to its clicks within the window by users
   * other than `user`. As many as asked for, unless the window has fewer items.
   */
  draw(random: Random, options: { readonly count: number; readonly except: string; readonly user: string }): string[] {
    const drawn = new Set<string>();
    const live = this.#clicks.length - this.#head;
    for (let tries = 0; live > 0 && drawn.size < options.count && tries < TRIES_PER_ITEM * options.count; tries++) {
      const click = this.#clicks[this.#head + nextBelow(random, live)];
      if (click !== undefined && click.item !== options.except && click.user !== options.user) drawn.add(click.item);
    }
    // One item has nearly all clicks, or one user made them: fill up with whatever the window has.
    if (drawn.size < options.count) {
      for (const item of this.#counts.keys()) {
        if (item !== options.except) drawn.add(item);
        if (drawn.size === options.count) break;
      }
    }
    return [...drawn];
  }

  /** The items with the most clicks within the window, most first; equal ones in the order they came into it. */
  top(count: number): string[] {
    return [...this.#counts]
      .sort(([, one], [, other]) => other - one)
      .slice(0, count)
      .map(([item]) => item);
  }

  #dropOldest(): void {
    const oldest = this.#clicks[this.#head];
    if (oldest === undefined) return;
    this.#head += 1;
    const left = this.clicksOf(oldest.item) - 1;
    if (left > 0) this.#counts.set(oldest.item, left);
    else this.#counts.delete(oldest.item);
    if (this.#head >= 1_024 && this.#head * 2 >= this.#clicks.length) {
      this.#clicks = this.#clicks.slice(this.#head);
      this.#head = 0;
    }
  }
}

// Enough for nine items where one has 95 % of the clicks.
const TRIES_PER_ITEM = 32;
const CLICKS_MAX = 1_000_000;
const ITEMS_MAX = 5_000_000;
