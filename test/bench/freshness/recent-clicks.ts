import { nextBelow, type Random } from "../../../protocols/random.ts";
import { type ClickColumns } from "./clicks.ts";

const HOUR_MS = 3_600_000;
const TEN_MINUTES_MS = 600_000;
/** Of earlier clicks of a session, so many count as clicked together with one. */
const TOGETHER_MAX = 5;
const COLUMNS = 3;

/** What a replica knows of clicks up to a moment: how popular items are, and which were clicked together. Moves forward only. */
export class RecentClicks {
  readonly #clicks: ClickColumns;
  readonly #hour: Int32Array;
  readonly #tenMinutes: Int32Array;
  readonly #together = new Map<number, Map<number, number>>();
  /** Items with a click in the last hour, in no order, and where each stands. */
  readonly #active: number[] = [];
  readonly #place: Int32Array;
  #hourFrom = 0;
  #tenFrom = 0;
  #next = 0;

  constructor(clicks: ClickColumns) {
    this.#clicks = clicks;
    this.#hour = new Int32Array(clicks.items);
    this.#tenMinutes = new Int32Array(clicks.items);
    this.#place = new Int32Array(clicks.items).fill(-1);
  }

  get active(): readonly number[] {
    return this.#active;
  }

  get clicksOfHour(): number {
    return this.#next - this.#hourFrom;
  }

  /** Takes in the next click. */
  take(): void {
    const at = this.#next;
    const { item, before, time } = this.#clicks;
    const i = item[at] ?? 0;
    this.#next += 1;
    this.moveTo(time[at] ?? 0);
    this.#hour[i] = (this.#hour[i] ?? 0) + 1;
    this.#tenMinutes[i] = (this.#tenMinutes[i] ?? 0) + 1;
    if (this.#hour[i] === 1) this.#place[i] = this.#active.push(i) - 1;
    let earlier = before[at] ?? -1;
    for (let steps = 0; earlier >= 0 && steps < TOGETHER_MAX; steps += 1) {
      const other = item[earlier] ?? 0;
      if (other !== i) {
        this.#count(other, i);
        this.#count(i, other);
      }
      earlier = before[earlier] ?? -1;
    }
  }

  /** Lets go of what is by then older than an hour. */
  moveTo(nowMs: number): void {
    const { item, time } = this.#clicks;
    for (; this.#hourFrom < this.#next && (time[this.#hourFrom] ?? 0) < nowMs - HOUR_MS; this.#hourFrom += 1) {
      const i = item[this.#hourFrom] ?? 0;
      this.#hour[i] = (this.#hour[i] ?? 0) - 1;
      if (this.#hour[i] === 0) this.#leave(i);
    }
    for (; this.#tenFrom < this.#next && (time[this.#tenFrom] ?? 0) < nowMs - TEN_MINUTES_MS; this.#tenFrom += 1) {
      const i = item[this.#tenFrom] ?? 0;
      this.#tenMinutes[i] = (this.#tenMinutes[i] ?? 0) - 1;
    }
  }

  ofHour(item: number): number {
    return this.#hour[item] ?? 0;
  }

  together(item: number): ReadonlyMap<number, number> {
    return this.#together.get(item) ?? NONE;
  }

  /** An item, drawn by its clicks in the last hour. */
  draw(random: Random): number {
    return this.#clicks.item[this.#hourFrom + nextBelow(random, this.#next - this.#hourFrom)] ?? 0;
  }

  /** Numbers a model is told of an item: how popular, how that changes, how long it has been there. */
  dense(item: number, nowMs: number, { to, at }: { readonly to: Float32Array; readonly at: number }): void {
    const hour = this.#hour[item] ?? 0;
    const ten = this.#tenMinutes[item] ?? 0;
    const firstSeen = this.#clicks.firstSeen[item] ?? Infinity;
    to[at] = Math.log1p(hour) / 4;
    to[at + 1] = Math.log((6 * ten + 1) / (hour + 1)) / 2;
    to[at + 2] = Math.log1p(Math.max(0, nowMs - firstSeen) / HOUR_MS) / 4;
  }

  static readonly columns = COLUMNS;

  #count(one: number, other: number): void {
    let counts = this.#together.get(one);
    if (counts === undefined) this.#together.set(one, (counts = new Map<number, number>()));
    counts.set(other, (counts.get(other) ?? 0) + 1);
  }

  #leave(item: number): void {
    const place = this.#place[item] ?? -1;
    const last = this.#active.pop();
    if (last !== undefined && last !== item) {
      this.#active[place] = last;
      this.#place[last] = place;
    }
    this.#place[item] = -1;
  }
}

const NONE: ReadonlyMap<number, number> = new Map();
