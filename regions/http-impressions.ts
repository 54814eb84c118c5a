import { EVENT_LIMITS, type Impression } from "../protocols/feedback.ts";
import { messageOf } from "../protocols/wire/error-message.ts";
import { HTTP_LIMITS, type HttpPorts } from "./http-ports.ts";

const encoder = new TextEncoder();
const TRIES = 3;

/**
 * Records what was shown, behind the answers: bounded, in order, one write at a time. What finds the queue full, or cannot be
 * stored in three tries, is dropped and counted; the clicks on it then teach nothing.
 */
export class ImpressionLog {
  readonly #ports: HttpPorts;
  #queue: Impression[] = [];
  #flushing: Promise<void> | undefined;

  constructor(ports: HttpPorts) {
    this.#ports = ports;
  }

  add(impressions: readonly Impression[]): void {
    const room = HTTP_LIMITS.impressionsMax - this.#queue.length;
    if (impressions.length > room) {
      this.#drop(impressions.length, "full");
      return;
    }
    this.#queue.push(...impressions);
    // A failure has been counted and logged where it arose.
    if (this.#queue.length > 0) this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
  }

  /** Resolves when all that was added is stored or dropped. */
  async drained(): Promise<void> {
    await this.#flushing;
  }

  async #flush(): Promise<void> {
    // Whatever else is answered in this turn of the loop goes along.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const { body, count } = this.#nextBatch();
      this.#queue = this.#queue.slice(count);
      await this.#store(body, count);
    }
  }

  #nextBatch(): { readonly body: Uint8Array; readonly count: number } {
    let count = Math.min(this.#queue.length, EVENT_LIMITS.eventsPerRequestMax);
    for (;;) {
      const body = encoder.encode(JSON.stringify(this.#queue.slice(0, count)));
      if (body.length <= HTTP_LIMITS.storedBytesMax || count === 1) return { body, count };
      count = Math.ceil(count / 2);
    }
  }

  async #store(body: Uint8Array, count: number): Promise<void> {
    const msgId = `shown-${this.#ports.requestId()}`;
    for (let tried = 1; ; tried++) {
      try {
        await this.#ports.append(body, { msgId, signal: AbortSignal.timeout(HTTP_LIMITS.appendWithinMs) });
        this.#ports.metrics.count("freshet_http_impressions_total", count);
        return;
      } catch (error) {
        if (tried < TRIES) continue;
        this.#ports.log.warn("impressions not stored", {
          why: messageOf(error),
          impressions: count,
        });
        this.#drop(count, "not-stored");
        return;
      }
    }
  }

  #drop(count: number, reason: string): void {
    this.#ports.metrics.count("freshet_http_impressions_dropped_total", count, { reason });
  }
}
