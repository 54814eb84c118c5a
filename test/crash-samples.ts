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
  #jsm: JetStreamManager;
  #another: JetStreamManager | undefined;

  private constructor(jsm: JetStreamManager) {
    this.#jsm = jsm;
  }

  static async open(nc: NatsConnection): Promise<SampleLog> {
    return new SampleLog(await managerOf(nc));
  }

  /** The stream goes on in another region, as a copy at first: what that one has from its first message on replaces what was read here. */
  async goOn(nc: NatsConnection): Promise<void> {
    this.#another = await managerOf(nc);
  }

  /** The last message that was read. */
  get seq(): number {
    return this.#next - 1;
  }

  /** Reads to the end. What cannot be read now is read the next time; false says so. */
  async read(): Promise<boolean> {
    try {
      const another = this.#another;
      const { state } = await (another ?? this.#jsm).streams.info("SAMPLES");
      if (another !== undefined) {
        this.#jsm = another;
        if (this.#another === another) this.#another = undefined;
        this.#forget(state.first_seq);
      }
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

  /** Messages from this one on were never, as far as others know. */
  #forget(from: number): void {
    this.#next = Math.min(this.#next, from);
    for (const [id, messages] of this.published) {
      const left = messages.filter(({ seq }) => seq < from);
      if (left.length > 0) this.published.set(id, left);
      else this.published.delete(id);
    }
    for (const messages of this.messagesOf.values()) {
      for (const seq of messages) if (seq >= from) messages.delete(seq);
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

function managerOf(nc: NatsConnection): Promise<JetStreamManager> {
  return jetstreamManager(nc, { checkAPI: false, timeout: 2_000 });
}
