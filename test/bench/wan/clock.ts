import { setImmediate } from "node:timers/promises";
import { popHeap, pushHeap } from "../../../protocols/binary-heap.ts";

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** What is run before the process may see to something else. */
const TURN = 4_096;

/** Simulated time: what is due is run in order of time, and of asking where times are equal. */
export class Clock {
  nowMs = 0;
  readonly #due: Due[] = [];
  #asked = 0;

  /** Runs something at a time; one that has passed is now. */
  at(atMs: number, run: () => void): void {
    this.#asked += 1;
    pushHeap(this.#due, { atMs: Math.max(atMs, this.nowMs), order: this.#asked, run }, isBefore);
  }

  /** Runs what is due until nothing is, or `untilMs` comes, or `isOver` says so. Signals are heard meanwhile. */
  async run({ untilMs, isOver }: { readonly untilMs: number; readonly isOver: () => boolean }): Promise<void> {
    let ran = 0;
    while (!isOver()) {
      ran += 1;
      if (ran % TURN === 0) await setImmediate();
      const next = this.#due[0];
      if (next === undefined || next.atMs > untilMs) return;
      popHeap(this.#due, isBefore);
      this.nowMs = next.atMs;
      next.run();
    }
  }
}

/** One core: tasks one after the other, each taking what it says that it costs. */
export class Core {
  /** Spent so far, milliseconds. */
  busyMs = 0;
  readonly #clock: Clock;
  readonly #waiting: Task[] = [];
  #next = 0;
  #isBusy = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  do(task: Task): void {
    this.#waiting.push(task);
    if (!this.#isBusy) this.#turn();
  }

  #turn(): void {
    const task = this.#waiting[this.#next];
    if (task === undefined) {
      this.#waiting.length = 0;
      this.#next = 0;
      this.#isBusy = false;
      return;
    }
    this.#next += 1;
    this.#isBusy = true;
    const { costMs, after } = task();
    this.busyMs += costMs;
    this.#clock.at(this.#clock.nowMs + costMs, () => {
      after();
      this.#turn();
    });
  }
}

/** Changes state at once; what it sends leaves when its cost is paid. */
export type Task = () => { readonly costMs: number; readonly after: () => void };

function isBefore(a: Due, b: Due): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs;
}
