import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { type NatsConnection } from "@nats-io/transport-node";
import { type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { decodeSampleBatch } from "../protocols/learning/sample-codec.ts";

/** What a message of the stream of samples held. */
export interface PublishedIn {
  readonly seq: number;
  readonly correction: boolean;
}

/** Everything that was ever published as a sample, read from the stream message by message before it is purged. */
export class SampleLog {
  /** By a sample's id (`request:item:label`), every message that held it. */
  readonly published = new Map<string, PublishedIn[]>();
  /** By user, the messages that held a sample of theirs. */
  readonly messagesOf = new Map<string, Set<number>>();
  /** Messages that were purged before they were read: what they held is not known here. */
  missed = 0;
  last: SampleBatch | undefined;
  #next = 1;
  readonly #jsm: JetStreamManager;

  private constructor(jsm: JetStreamManager) {
    this.#jsm = jsm;
  }

  static async open(nc: NatsConnection): Promise<SampleLog> {
    return new SampleLog(await jetstreamManager(nc, { checkAPI: false, timeout: 2_000 }));
  }

  /** The last message that was read. */
  get seq(): number {
    return this.#next - 1;
  }

  /** Reads to the end. What cannot be read now is read the next time; false says so. */
  async read(): Promise<boolean> {
    try {
      const { state } = await this.#jsm.streams.info("SAMPLES");
      if (state.messages > 0 && state.first_seq > this.#next) {
        this.missed += state.first_seq - this.#next;
        this.#next = state.first_seq;
      }
      while (this.#next <= state.last_seq) await this.#take(this.#next);
      return true;
    } catch {
      // The server is away, or there is no stream yet.
      return false;
    }
  }

  async #take(seq: number): Promise<void> {
    const message = await this.#jsm.streams.getMessage("SAMPLES", { seq });
    if (message === null) throw new Error(`Cannot read message ${seq} of the samples: it is not there`);
    const batch = decodeSampleBatch(message.data);
    for (const { id, user, correction } of batch.samples) {
      this.published.set(id, [...(this.published.get(id) ?? []), { seq, correction }]);
      const messages = this.messagesOf.get(user) ?? new Set();
      this.messagesOf.set(user, messages.add(seq));
    }
    this.last = batch;
    this.#next = seq + 1;
  }
}
