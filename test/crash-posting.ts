import { setTimeout as delay } from "node:timers/promises";
import { type Post } from "./crash-stream.ts";

const RETRY_MS = 150;
const ANSWER_MS = 3_000;

/** Where a region takes events; asked anew for each attempt. */
export type Urls = Pick<ReadonlyMap<string, string>, "get">;

/** Sends posts at least once: whatever goes wrong, the same events are sent again until they are acknowledged. */
export class Posting implements AsyncDisposable {
  /** The last message that each region's stream was told to hold. */
  readonly stored = new Map<string, number>();
  /** Posts that were sent again after no answer, or one that was no acknowledgement. */
  resent = 0;
  acknowledged = 0;
  /** The first answer that refuses what was sent, rather than putting it off. Nothing of the stream should give one. */
  refusal: string | undefined;
  readonly #urls: Urls;
  readonly #mayRefuse: (answer: string) => boolean;
  readonly #stop = new AbortController();
  readonly #open = new Set<Promise<void>>();

  /** `mayRefuse` says which refusals are no fault of anyone's: what was refused is sent again all the same. */
  constructor(urls: Urls, { mayRefuse = () => false }: { readonly mayRefuse?: (answer: string) => boolean } = {}) {
    this.#urls = urls;
    this.#mayRefuse = mayRefuse;
  }

  /** Posts on their way. */
  get open(): number {
    return this.#open.size;
  }

  send(post: Post): void {
    const work: Promise<void> = this.#deliver(post).finally(() => this.#open.delete(work));
    this.#open.add(work);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#open);
  }

  async #deliver(post: Post): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const sequence = await this.#attempt(post);
      if (sequence !== undefined) {
        this.acknowledged += post.events.length;
        this.stored.set(post.region, Math.max(sequence, this.stored.get(post.region) ?? 0));
        return;
      }
      this.resent += 1;
      await delay(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** Where the stream holds the events, or nothing when that is not known. */
  async #attempt({ region, events, key }: Post): Promise<number | undefined> {
    try {
      const response = await fetch(`${this.#urls.get(region) ?? ""}/v1/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...(key === undefined ? {} : { "Idempotency-Key": key }) },
        body: JSON.stringify({ events }),
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ANSWER_MS)]),
      });
      const text = await response.text();
      if (response.status === 202) return sequenceOf(text);
      if (response.status < 500 && !this.#mayRefuse(text)) this.refusal ??= `${response.status} ${text.slice(0, 300)}`;
      return undefined;
    } catch {
      // Killed before or while it answered: nobody knows whether it was stored.
      return undefined;
    }
  }
}

function sequenceOf(text: string): number | undefined {
  const answer: unknown = JSON.parse(text);
  const sequence = typeof answer === "object" && answer !== null && "sequence" in answer ? answer.sequence : undefined;
  return typeof sequence === "number" ? sequence : undefined;
}
