import { type JetStreamManager } from "@nats-io/jetstream";
import { createInbox, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { readerConfig } from "./jetstream-declare.ts";
import { type StreamMessage } from "./stream-protocol.ts";

export interface ReadResult {
  readonly messages: readonly StreamMessage[];
  readonly firstSeq: number;
  readonly lastSeq: number;
}

export interface ReadRequest {
  readonly fromSeq: number;
  readonly max: number;
  readonly waitMs: number;
}

/** How long the bounds of a stream are believed when nothing says otherwise. */
const BOUNDS_FOR_MS = 1000;
/** A server that answers nothing at all is given up this much after it should have. */
const GRACE_MS = 3000;
const BYTES_MAX = 16 * 1024 * 1024;

/**
 * Reads one stream in order over one connection, through a consumer that the server keeps. Reading on where the last read ended costs one round
 * trip; elsewhere a new consumer is made. One read at a time.
 */
export class StreamReader {
  readonly #nc: NatsConnection;
  readonly #jsm: JetStreamManager;
  readonly #stream: string;
  readonly #inboxPrefix: string;
  #consumer: string | undefined;
  #nextSeq = 0;
  #bounds = { firstSeq: 0, lastSeq: 0, atMs: -Infinity };

  constructor(options: { nc: NatsConnection; jsm: JetStreamManager; stream: string; inboxPrefix: string }) {
    this.#nc = options.nc;
    this.#jsm = options.jsm;
    this.#stream = options.stream;
    this.#inboxPrefix = options.inboxPrefix;
  }

  /** Whether it still stands on this connection. */
  isOn(nc: NatsConnection): boolean {
    return this.#nc === nc && !nc.isClosed();
  }

  async read({ fromSeq, max, waitMs }: ReadRequest): Promise<ReadResult> {
    const from = Math.max(1, fromSeq);
    let messages: StreamMessage[] = [];
    for (let attempt = 0; attempt < 2; attempt++) {
      if (this.#consumer === undefined || this.#nextSeq !== from) await this.#begin(from);
      try {
        messages = await this.#pull(max, waitMs);
        break;
      } catch (error) {
        this.#consumer = undefined;
        if (!(error instanceof ConsumerGone) || attempt === 1) throw error;
      }
    }
    const last = messages.at(-1);
    if (last !== undefined) this.#nextSeq = last.seq + 1;
    const gap = messages[0] !== undefined && messages[0].seq !== from;
    if (last === undefined || gap || performance.now() - this.#bounds.atMs > BOUNDS_FOR_MS) await this.#refresh();
    return { messages, firstSeq: this.#bounds.firstSeq, lastSeq: Math.max(this.#bounds.lastSeq, last?.seq ?? 0) };
  }

  async forget(): Promise<void> {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer === undefined || this.#nc.isClosed()) return;
    // The server forgets it by itself a minute later.
    await this.#jsm.consumers.delete(this.#stream, consumer).catch(() => undefined);
  }

  async #begin(from: number): Promise<void> {
    await this.forget();
    const { name } = await this.#jsm.consumers.add(this.#stream, readerConfig(from));
    this.#consumer = name;
    this.#nextSeq = from;
  }

  async #refresh(): Promise<void> {
    const { state } = await this.#jsm.streams.info(this.#stream);
    this.#bounds = { firstSeq: state.first_seq, lastSeq: state.last_seq, atMs: performance.now() };
  }

  /** What is there at once; or, if nothing is, the first to come and what is there with it. */
  async #pull(max: number, waitMs: number): Promise<StreamMessage[]> {
    const now = await this.#request({ batch: max, no_wait: true, max_bytes: BYTES_MAX }, GRACE_MS);
    if (now.length > 0 || waitMs <= 0) return now;
    const first = await this.#request({ batch: 1, expires: waitMs * 1e6 }, waitMs + GRACE_MS);
    if (first.length === 0 || max === 1) return first;
    return [...first, ...(await this.#request({ batch: max - 1, no_wait: true, max_bytes: BYTES_MAX }, GRACE_MS))];
  }

  #request(
    request: { batch: number; no_wait?: true; expires?: number; max_bytes?: number },
    giveUpMs: number,
  ): Promise<StreamMessage[]> {
    const inbox = createInbox(this.#inboxPrefix);
    const messages: StreamMessage[] = [];
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => finish(new ConsumerGone(this.#stream, "the server did not answer")), giveUpMs);
      const subscription = this.#nc.subscribe(inbox, {
        callback: (error, msg) => {
          if (error !== null) return finish(error);
          const status = statusOf(msg);
          if (status === undefined) {
            messages.push(storedMessage(msg));
            if (messages.length === request.batch) finish();
          } else if (status === 404 || status === 408) finish(); // nothing there, or nothing came in time
          else if (status === 409 && messages.length > 0) finish(); // the next would be over the limit of bytes
          else if (status !== 100) {
            finish(new ConsumerGone(this.#stream, `${status} ${msg.headers?.description ?? ""}`));
          }
        },
      });
      function finish(error?: Error): void {
        clearTimeout(timer);
        if (!subscription.isClosed()) subscription.unsubscribe();
        if (error === undefined) resolve(messages);
        else reject(error);
      }
      void subscription.closed.then(
        () => finish(messages.length > 0 ? undefined : new ConsumerGone(this.#stream, "the connection was closed")),
        (error: unknown) => finish(error instanceof Error ? error : undefined),
      );
      this.#nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#consumer ?? ""}`, JSON.stringify(request), {
        reply: inbox,
      });
    });
  }
}

/** The server no longer has our consumer, or never answered: a new one may do. */
export class ConsumerGone extends Error {
  override readonly name = "ConsumerGone";

  constructor(stream: string, why: string) {
    super(`Cannot read from stream '${stream}': ${why}`);
  }
}

/** The status of a message that the server itself sent; stored messages have none. */
function statusOf({ headers, reply, data }: Msg): number | undefined {
  if (reply?.startsWith("$JS.ACK.") === true) return undefined;
  return headers === undefined || headers.code === 0 ? (data.length === 0 ? 408 : undefined) : headers.code;
}

/** Its place in the stream is in the subject that acknowledges it. */
function storedMessage({ reply = "", data }: Msg): StreamMessage {
  const tokens = reply.split(".");
  // Later servers put the domain and the account's hash before the stream.
  const at = tokens.length === 9 ? 5 : 7;
  return { seq: Number(tokens[at]), timeMs: Number(tokens[at + 2]) / 1e6, body: new Uint8Array(data) };
}
