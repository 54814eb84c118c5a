import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { measureGaps } from "./sync-gaps.ts";
import { measureIdlePoll } from "./sync-idle.ts";
import { measureHalf, measureLive } from "./sync-live.ts";
import { measurePull } from "./sync-pull.ts";

/** What synchronisation costs between two nodes over a real nats-server: bytes, CPU and time. */
export async function* sync(options: BenchOptions): AsyncGenerator<BenchFigure> {
  for (const measure of [measureLive, measureHalf, measureIdlePoll, measurePull, measureGaps]) {
    try {
      yield* measure(options);
    } catch (error) {
      // Ended by whoever started it: the ends went in the middle of something.
      if (options.signal.aborted) return;
      throw error;
    }
  }
}
