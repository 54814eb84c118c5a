import { setTimeout } from "node:timers/promises";
import { type DemoRegion, DEMO_TRAINING_REGION } from "./demo-regions.ts";
import { isConverged } from "./demo-summary.ts";
import { type Learning } from "./pace.ts";
import { readRegionStatus, type RegionStatus } from "./region-status.ts";

/** What was sent when a look was taken. */
export interface Sent {
  readonly events: number;
  /** Messages of events that the regions acknowledged. */
  readonly messages: number;
}

/** What is known of the regions now, how fast events and samples went by over the last seconds, and how far behind learning is. */
export class DemoWatch {
  readonly #regions: readonly DemoRegion[];
  readonly #startMs = performance.now();
  #statuses: readonly (RegionStatus | undefined)[] = [];
  #points: { readonly atMs: number; readonly events: number; readonly samples: number }[] = [];
  // Looks since what is learned now was sent, oldest first.
  #sent: { readonly atMs: number; readonly messages: number }[] = [{ atMs: this.#startMs, messages: 0 }];
  #behindMs = 0;
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

  /** How learning keeps up with what is sent. */
  get learning(): Learning {
    return { behindMs: this.#behindMs, samplesPerSecond: this.rates().samples };
  }

  /** Whether all that was sent is learned and all regions hold the same rows. */
  get settled(): boolean {
    const { backlog = 0, pending = 0 } = this.model ?? {};
    return backlog === 0 && pending === 0 && isConverged(this.#statuses);
  }

  /** Asks every region anew. */
  async look(options: { readonly sent: Sent; readonly signal: AbortSignal }): Promise<void> {
    const { events, messages } = options.sent;
    const askedMs = performance.now();
    this.#statuses = await Promise.all(this.#regions.map(({ url }) => readRegionStatus(url, options.signal)));
    const training = this.#statuses[this.#regions.findIndex(({ region }) => region === DEMO_TRAINING_REGION)];
    const now = performance.now();
    if (training?.model !== undefined) {
      if (training.model.samples !== this.model?.samples) this.#samplesChangedMs = now;
      this.model = training.model;
    }
    this.#sent.push({ atMs: askedMs, messages });
    this.#behindMs = this.#behind({ now, messages, backlog: this.model?.backlog ?? 0 });
    this.#points.push({ atMs: now, events, samples: this.model?.samples ?? 0 });
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
   * After a stream's end: waits until all is learned and all regions hold the same rows. Gives how long after `sinceMs` they first
   * did and went on doing so; undefined when the signal came first, or nothing moved for `STALLED_MS_MAX`.
   */
  async converged(options: {
    readonly sinceMs: number;
    readonly sent: Sent;
    readonly signal: AbortSignal;
    readonly show: () => void;
  }): Promise<number | undefined> {
    const { sinceMs, sent, signal, show } = options;
    let settledMs: number | undefined;
    let before = "";
    let movedMs = performance.now();
    while (!signal.aborted) {
      await this.look({ sent, signal });
      show();
      const now = performance.now();
      const state = this.#describeState();
      if (state !== before) movedMs = now;
      if (!this.settled) settledMs = undefined;
      else if (settledMs === undefined || state !== before) settledMs = now;
      before = state;
      if (settledMs !== undefined && now - Math.max(settledMs, sinceMs) >= QUIET_MS) {
        return Math.max(0, settledMs - sinceMs);
      }
      if (now - movedMs >= STALLED_MS_MAX) return undefined;
      await setTimeout(CONVERGE_LOOK_MS);
    }
    return undefined;
  }

  // All that had been sent by the newest look whose messages are behind the backlog is learned. The backlog counts messages of samples
  // too, so this is a little pessimistic.
  #behind({ now, messages, backlog }: { readonly now: number; readonly messages: number; readonly backlog: number }) {
    const learnedFrom = this.#sent.findLastIndex((look) => look.messages <= messages - backlog);
    if (learnedFrom > 0) this.#sent = this.#sent.slice(learnedFrom);
    return backlog === 0 ? 0 : now - (this.#sent[0]?.atMs ?? now);
  }

  #describeState(): string {
    const { samples, backlog, pending } = this.model ?? {};
    return [samples, backlog, pending, ...this.#statuses.map((status) => status?.model?.digest)].join(" ");
  }
}

const RATE_MS = 5_000;
const CONVERGE_LOOK_MS = 100;
// Longer than a trainer's wait for a full batch and a pull together.
const QUIET_MS = 2_000;
/** How long after a stream's end nothing may change before waiting for the regions to agree is given up. */
const STALLED_MS_MAX = 60_000;
