import { type Timer } from "./actor.ts";

/** Where time comes from, so that it can be replaced. */
export interface Clock {
  /** Wall-clock milliseconds since the epoch, with a fraction. May jump. */
  nowMs(): number;
  /** Milliseconds since some moment of this process; never jumps, and goes on while the process stands still. */
  upMs(): number;
  /** Calls once after a delay of at least 0 ms, of any length. */
  after(delayMs: number, run: () => void): Timer;
  /** A signal that aborts after so long. Costs next to nothing once nobody listens to it or holds it any more. */
  deadline(ms: number): AbortSignal;
}

// setTimeout takes a longer delay for 1 ms.
const TIMER_MAX_MS = 2 ** 31 - 1;

let originMs = performance.timeOrigin;

/** The machine's clock. Its timers keep no process alive. */
export const systemClock: Clock = {
  // The monotonic clock has the fraction and Date has the truth: one is tied to the other until they part by more than a few milliseconds.
  nowMs() {
    const monotonicMs = performance.now();
    if (Math.abs(Date.now() - (originMs + monotonicMs)) > 5) originMs = Date.now() - monotonicMs;
    return originMs + monotonicMs;
  },
  upMs: () => performance.now(),
  after(delayMs, run) {
    let timer: NodeJS.Timeout;
    function wait(leftMs: number): void {
      const stepMs = Math.min(leftMs, TIMER_MAX_MS);
      timer = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : run()), stepMs);
      timer.unref();
    }
    wait(Math.max(0, delayMs));
    return { cancel: () => clearTimeout(timer) };
  },
  // The runtime's own is collected, timer and all, when nobody can see it abort.
  deadline: (ms) => AbortSignal.timeout(Math.min(TIMER_MAX_MS, Math.max(0, Math.ceil(ms)))),
};

/** A clock that moves only when told to. */
export interface VirtualClock extends Clock {
  /** Moves on by so much, firing what falls due on the way in the order of its time, then of its making. */
  advance(byMs: number): void;
  /** The moment of the next timer, if there is one. */
  nextMs(): number | undefined;
}

/** Starts at `startMs`. */
export function virtualClock(startMs = 0): VirtualClock {
  interface Due {
    readonly atMs: number;
    readonly run: () => void;
  }
  let nowMs = startMs;
  const waiting: Due[] = [];
  function after(delayMs: number, run: () => void): Timer {
    const due: Due = { atMs: nowMs + Math.max(0, delayMs), run };
    const later = waiting.findIndex((other) => other.atMs > due.atMs);
    waiting.splice(later === -1 ? waiting.length : later, 0, due);
    return {
      cancel() {
        const index = waiting.indexOf(due);
        if (index !== -1) waiting.splice(index, 1);
      },
    };
  }
  return {
    nowMs: () => nowMs,
    upMs: () => nowMs,
    after,
    deadline(ms) {
      const controller = new AbortController();
      after(ms, () => controller.abort(new DOMException(`${ms} ms have passed`, "TimeoutError")));
      return controller.signal;
    },
    advance(byMs) {
      const untilMs = nowMs + byMs;
      for (let next = waiting[0]; next !== undefined && next.atMs <= untilMs; next = waiting[0]) {
        waiting.shift();
        nowMs = Math.max(nowMs, next.atMs);
        next.run();
      }
      nowMs = untilMs;
    },
    nextMs: () => waiting[0]?.atMs,
  };
}
