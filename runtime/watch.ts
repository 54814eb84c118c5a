import { type Clock } from "./clock.ts";
import { type WorkerLife } from "./worker-life.ts";

export interface WatchOptions {
  /** From its thread's start until `up`, counted in ticks of `pingEveryMs`. */
  readonly startMaxMs: number;
  readonly pingEveryMs: number;
  /** Once it is up, a thread that answers no ping for so long is ended. */
  readonly stuckAfterMs: number;
  readonly clock: Clock;
}

/** Watches a life from its first moment to its end. */
export interface Watch {
  /** It has started: from now on it must answer pings. */
  up(): void;
}

/** Ends the life as `stuck` when it does not come up in time, or blocks its thread later. */
export function watchLife(life: WorkerLife, { startMaxMs, pingEveryMs, stuckAfterMs, clock }: WatchOptions): Watch {
  let alive = true;
  let isUp = false;
  let answered = true;
  let ticks = 0;

  function ping(): void {
    answered = false;
    life
      .call((control) => control.ping())
      .then(
        () => (answered = true),
        () => (alive = false),
      );
  }

  // Counted in ticks and not in time: while this thread itself is held up, nothing is counted against another.
  function tick(): void {
    if (!alive) return;
    // A setup may well hold its thread for a while, so what is starting is not pinged.
    ticks = isUp && answered ? 0 : ticks + 1;
    if (ticks * pingEveryMs >= (isUp ? stuckAfterMs : startMaxMs)) {
      void life.terminate(
        "stuck",
        isUp ? `it answered no ping for ${stuckAfterMs} ms` : `it was not up in ${startMaxMs} ms`,
      );
      return;
    }
    if (isUp && answered) ping();
    clock.after(pingEveryMs, tick);
  }

  clock.after(pingEveryMs, tick);
  void life.ended.then(() => (alive = false));
  return {
    up() {
      isUp = true;
      ticks = 0;
    },
  };
}
