import { setTimeout } from "node:timers/promises";
import { type DemoRegion, DEMO_TRAINING_REGION } from "./demo-regions.ts";
import { isConverged } from "./demo-summary.ts";
import { readRegionStatus, type RegionStatus } from "./region-status.ts";

/** What is known of the regions now, and how fast events and samples went by over the last seconds. */
export class DemoWatch {
  readonly #regions: readonly DemoRegion[];
  readonly #startMs = performance.now();
  #statuses: readonly (RegionStatus | undefined)[] = [];
  #points: { readonly atMs: number; readonly events: number; readonly samples: number }[] = [];
  #samplesChangedMs = performance.now();

  constructor(regions: readonly DemoRegion[]) {
    this.#regions = regions;
  }

  /** The newest statuses, in the regions' order; undefined for one that did not answer. */
  get statuses(): readonly (RegionStatus | undefined)[] {
    return this.#statuses;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startMs;
  }

  /** When samples last became more, by `performance.now()`. */
  get samplesChangedMs(): number {
    return this.#samplesChangedMs;
  }

  /** The training region's model; the last that was known, while that region does not answer. */
  model: RegionStatus["model"];

  /** Asks every region anew. */
  async look(options: { readonly events: number; readonly signal: AbortSignal }): Promise<void> {
    this.#statuses = await Promise.all(this.#regions.map(({ url }) => readRegionStatus(url, options.signal)));
    const training = this.#statuses[this.#regions.findIndex(({ region }) => region === DEMO_TRAINING_REGION)];
    const now = performance.now();
    if (training?.model !== undefined) {
      if (training.model.samples !== this.model?.samples) this.#samplesChangedMs = now;
      this.model = training.model;
    }
    this.#points.push({ atMs: now, events: options.events, samples: this.model?.samples ?? 0 });
    this.#points = this.#points.filter(({ atMs }) => now - atMs <= RATE_MS);
  }

  /** Events and samples a second, over the last seconds. */
  rates(): { readonly events: number; readonly samples: number } {
    const first = this.#points[0];
    const last = this.#points.at(-1);
    if (first === undefined || last === undefined || last.atMs === first.atMs) return { events: 0, samples: 0 };
    const seconds = (last.atMs - first.atMs) / 1_000;
    return { events: (last.events - first.events) / seconds, samples: (last.samples - first.samples) / seconds };
  }

  /**
   * After a stream's end: waits until no more samples come and all regions hold the same rows. Gives how long after `sinceMs`
   * they first did and went on doing so, or undefined when the signal came first.
   */
  async converged(options: {
    readonly sinceMs: number;
    readonly events: number;
    readonly signal: AbortSignal;
    readonly show: () => void;
  }): Promise<number | undefined> {
    const { sinceMs, events, signal, show } = options;
    let sameSinceMs: number | undefined;
    let digest: string | undefined;
    while (!signal.aborted) {
      await this.look({ events, signal });
      show();
      const now = performance.now();
      const same = isConverged(this.#statuses);
      if (!same || this.#statuses[0]?.model?.digest !== digest) sameSinceMs = same ? now : undefined;
      digest = this.#statuses[0]?.model?.digest;
      if (sameSinceMs !== undefined && now - Math.max(sameSinceMs, this.#samplesChangedMs, sinceMs) >= QUIET_MS) {
        return Math.max(0, sameSinceMs - sinceMs);
      }
      await setTimeout(CONVERGE_LOOK_MS);
    }
    return undefined;
  }
}

const RATE_MS = 5_000;
const CONVERGE_LOOK_MS = 100;
// Longer than a trainer's wait for a full batch and a pull together.
const QUIET_MS = 2_000;
