import { fifo } from "./mailbox.ts";

/** Something that has a step to do. */
export interface Runnable {
  /** One message. */
  step(): void;
}

const STEPS_PER_TURN = 256;

/**
 * Takes turns among the actors of one thread, one message each, and lets ports, sockets and timers have theirs after 256: two actors that
 * answer each other for ever must not hold up the pings.
 */
export function runQueue(): { add(runnable: Runnable): void } {
  const ready = fifo<Runnable>();
  let left = STEPS_PER_TURN;
  let running = false;
  let turnEnds = false;

  function run(): void {
    running = false;
    while (left > 0) {
      const next = ready.take();
      if (next === undefined) return;
      left--;
      next.step();
    }
  }
  function endTurn(): void {
    turnEnds = false;
    left = STEPS_PER_TURN;
    if (ready.size > 0) schedule();
  }
  function schedule(): void {
    if (!turnEnds) {
      turnEnds = true;
      setImmediate(endTurn);
    }
    if (running || left === 0) return;
    running = true;
    queueMicrotask(run);
  }
  return {
    add(runnable) {
      ready.put(runnable);
      schedule();
    },
  };
}
