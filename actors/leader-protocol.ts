/** What a node's leader accepts: from its shards, from peers' leaders, and from itself. */
export interface LeaderProtocol {
  /** A shard of this node has this version now. Told at each change and at its start. */
  readonly "shard-changed": {
    request: { readonly shard: string; readonly counter: number; readonly generator: string };
    reply: void;
  };
  /** A pull that the leader asked a shard for has ended. */
  readonly "shard-pulled": {
    request: { readonly shard: string; readonly outcome: "complete" | "failed" };
    reply: void;
  };
  readonly status: {
    request: Record<string, never>;
    reply: {
      readonly leaders: readonly { readonly shard: string; readonly holder: string; readonly term: number }[];
      readonly pending: number;
    };
  };

  // Between leaders. Bodies are checked by protocols/wire before anything else sees them.
  readonly poll: { request: unknown; reply: void };
  readonly changes: { request: unknown; reply: void };

  // To itself.
  readonly due: { request: { readonly timer: string }; reply: void };
  readonly "lease-turn": { request: Record<string, never>; reply: void };
  readonly "lease-answer": { request: { readonly shard: string; readonly answer: LeaseAnswer }; reply: void };
  /** A pull was asked for and its shard has not said that it ended. */
  readonly overdue: { request: { readonly shard: string }; reply: void };
}

/** What the key-value store said, or that it did not. */
export type LeaseAnswer =
  | { readonly kind: "record"; readonly record?: { readonly holder: string; readonly revision: number } }
  | { readonly kind: "written"; readonly revision: number }
  | { readonly kind: "not-written" }
  /** A look that had no answer. The next turn looks again: at once would be a loop for as long as the store is away. */
  | { readonly kind: "unread" };
