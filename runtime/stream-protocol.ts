/*
 * Streams and key-value records as an actor, so that behaviours that hold no socket can use them. The actor of kind `stream` lives in
 * the link worker (jetstream.ts). Its id is the node's name.
 */

/** One stored message. `seq` grows by one with each append and never comes back. */
export interface StreamMessage {
  readonly seq: number;
  readonly timeMs: number;
  readonly body: Uint8Array;
}

/** A key-value record and the revision to write against. */
export interface StoredRecord {
  readonly value: string;
  readonly revision: number;
}

export type WriteOutcome =
  | { readonly kind: "written"; readonly revision: number }
  /** Somebody else wrote first. */
  | { readonly kind: "conflict" };

export type AppendOutcome =
  | { readonly kind: "appended"; readonly seq: number; readonly duplicate: boolean }
  /** `expectedLastSequence` was not the last: another writer appended. */
  | { readonly kind: "conflict" };

export interface StreamProtocol {
  /** Appends to a stream of the own region; answered once the server has stored it. */
  readonly append: {
    request: {
      readonly stream: string;
      readonly body: Uint8Array;
      readonly msgId?: string;
      /** The last message that the stream is to hold; 0 means that it is to hold none. */
      readonly expectedLastSequence?: number;
    };
    reply: AppendOutcome;
  };
  /**
   * Reads from `fromSeq` on, of the own region's stream or over the link of a peer's; waits up to `waitMs` for the first message.
   * `firstSeq` is the oldest that the stream still holds: above `fromSeq`, messages were lost to its limits.
   */
  readonly read: {
    request: {
      readonly region: string;
      readonly stream: string;
      readonly fromSeq: number;
      readonly max: number;
      readonly waitMs: number;
    };
    reply: { readonly messages: readonly StreamMessage[]; readonly firstSeq: number; readonly lastSeq: number };
  };
  /** The last message of a stream; absent when it is empty. */
  readonly last: {
    request: { readonly region: string; readonly stream: string };
    reply: { readonly message?: StreamMessage };
  };
  /** Deletes all messages before `beforeSeq` of a stream of the own region. */
  readonly purge: {
    request: { readonly stream: string; readonly beforeSeq: number };
    reply: { readonly purged: number };
  };
  /** Deletes a stream of the own region with all that it holds; its numbers begin with 1 again. */
  readonly reset: { request: { readonly stream: string }; reply: Record<string, never> };
  /** The own region's streams and buckets whose last writes, two at least, the server did not answer lately, over the connection of now. */
  readonly unanswered: { request: Record<string, never>; reply: { readonly streams: readonly string[] } };
  readonly "kv-get": {
    request: { readonly bucket: string; readonly key: string };
    reply: { readonly record?: StoredRecord };
  };
  /** Writes if the record is at `revision`; 0 means that there must be none. */
  readonly "kv-write": {
    request: { readonly bucket: string; readonly key: string; readonly value: string; readonly revision: number };
    reply: WriteOutcome;
  };
}
