import { randomUUID } from "node:crypto";
import { setImmediate, setTimeout } from "node:timers/promises";
import { type FeedbackEvent } from "../../protocols/feedback.ts";

export interface EventSenderOptions {
  /** Where the region's HTTP interface is, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly token?: string;
  /** Ends all sending; what is queued is dropped. */
  readonly signal: AbortSignal;
  /** How long the region may be away before sending fails. Default: a minute. */
  readonly outageMsMax?: number;
}

/** A region took no events for too long, or will never take these. */
export class EventsNotTaken extends Error {
  override readonly name = "EventsNotTaken";
  readonly url: string;

  constructor(url: string, why: string, options?: ErrorOptions) {
    super(`Cannot send events to ${url}: ${why}`, options);
    this.url = url;
  }
}

/**
 * Sends events to one region, in order and at least once: a batch that may not have arrived is sent again, so the receiver's
 * ids make its effect once. Holds a bounded number; wait for `room` before pushing more.
 */
export class EventSender {
  readonly #options: EventSenderOptions;
  readonly #queue: FeedbackEvent[] = [];
  #sending: Promise<void> | undefined;
  #failure: Error | undefined;
  #sent = 0;
  #messages = 0;
  #retries = 0;
  #wakeUp: (() => void)[] = [];

  constructor(options: EventSenderOptions) {
    this.#options = options;
  }

  /** Events that the region acknowledged. */
  get sent(): number {
    return this.#sent;
  }

  /** Batches that the region acknowledged: each is a message of its stream of events. */
  get messages(): number {
    return this.#messages;
  }

  /** Batches that were sent again. */
  get retries(): number {
    return this.#retries;
  }

  /** Whether `room` would wait or throw. */
  get full(): boolean {
    return this.#queue.length >= QUEUE_MAX || this.#failure !== undefined;
  }

  push(event: FeedbackEvent): void {
    this.#queue.push(event);
    this.#sending ??= this.#drain();
  }

  /** Waits until there is room for more; throws when sending has failed. */
  async room(): Promise<void> {
    while (this.#queue.length >= QUEUE_MAX && this.#failure === undefined && !this.#options.signal.aborted) {
      await new Promise<void>((resolve) => this.#wakeUp.push(resolve));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Waits until everything pushed was acknowledged, or the signal ended it; throws when sending has failed. */
  async flush(): Promise<void> {
    await this.#sending;
    if (this.#failure !== undefined) throw this.#failure;
  }

  // Never rejects: the failure is kept for whoever waits.
  async #drain(): Promise<void> {
    await setImmediate(); // more is usually pushed in the same turn
    try {
      while (this.#queue.length > 0 && !this.#options.signal.aborted) {
        const batch = this.#queue.splice(0, BATCH_EVENTS_MAX);
        if (await this.#deliver(batch)) this.#sent += batch.length;
        this.#wake();
      }
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.#queue.length = 0;
    } finally {
      if (this.#options.signal.aborted) this.#queue.length = 0;
      this.#sending = undefined;
      this.#wake();
    }
  }

  #wake(): void {
    const waiting = this.#wakeUp;
    this.#wakeUp = [];
    for (const wake of waiting) wake();
  }

  async #deliver(batch: readonly FeedbackEvent[]): Promise<boolean> {
    const { signal, outageMsMax = 60_000 } = this.#options;
    const body = JSON.stringify({ events: batch });
    const key = randomUUID(); // the region stores a batch once that arrives twice, while it remembers the key
    let backoffMs = 100;
    let waitedMs = 0;
    for (;;) {
      const attempt = await this.#post(body, key);
      if (attempt.kind === "taken") {
        this.#messages += 1;
        return true;
      }
      if (attempt.kind === "too-large" && batch.length > 1) {
        const middle = batch.length >> 1;
        return (await this.#deliver(batch.slice(0, middle))) && (await this.#deliver(batch.slice(middle)));
      }
      if (attempt.kind !== "later") throw new EventsNotTaken(this.#options.url, attempt.why);
      if (signal.aborted) return false;
      if (waitedMs >= outageMsMax) {
        throw new EventsNotTaken(this.#options.url, `${attempt.why}, for ${Math.round(waitedMs / 1000)} s`);
      }
      const pauseMs = Math.min(attempt.retryAfterMs ?? backoffMs, RETRY_MS_MAX);
      this.#retries += 1;
      waitedMs += Math.max(pauseMs, 1);
      backoffMs = Math.min(2 * backoffMs, 2_000);
      await setTimeout(pauseMs, undefined, { signal }).catch(ignoreAbort);
    }
  }

  async #post(body: string, key: string): Promise<Attempt> {
    const { url, token, signal } = this.#options;
    try {
      const response = await fetch(`${url}/v1/events`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "idempotency-key": key,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body,
        signal: AbortSignal.any([signal, AbortSignal.timeout(POST_MS_MAX)]),
      });
      const text = await response.text();
      if (response.ok) return { kind: "taken" };
      const why = `it answered ${response.status} ${text.slice(0, 300)}`;
      if (response.status === 413) return { kind: "too-large", why };
      if (response.status !== 429 && response.status !== 503) return { kind: "refused", why };
      return { kind: "later", why, retryAfterMs: retryAfterMs(response.headers.get("retry-after")) };
    } catch (error) {
      // Not reached, cut off or overdue: whether it arrived is unknown, so it goes again.
      if (!(error instanceof Error)) throw error;
      const cause = error.cause instanceof Error ? error.cause.message : error.message;
      return { kind: "later", why: cause, retryAfterMs: undefined };
    }
  }
}

type Attempt =
  | { readonly kind: "taken" }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "too-large"; readonly why: string }
  | { readonly kind: "later"; readonly why: string; readonly retryAfterMs: number | undefined };

const BATCH_EVENTS_MAX = 500;
const QUEUE_MAX = 4 * BATCH_EVENTS_MAX;
const POST_MS_MAX = 10_000;
const RETRY_MS_MAX = 30_000;

// Seconds only; a date would need clocks that agree.
function retryAfterMs(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}(?:\.\d+)?$/.test(header) ? Number(header) * 1_000 : undefined;
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === "AbortError")) throw error;
}
