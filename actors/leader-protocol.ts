import { type Role } from "../protocols/model-state/role.ts";

/** What a node's leader accepts: from its shards, from peers' leaders, and from itself. */
export interface LeaderProtocol {
  /** A shard of this node has this version now. Told at each change and at its start, which `life` names: shard and leader start apart. */
  readonly "shard-changed": {
    request: { readonly shard: string; readonly life: string; readonly counter: number; readonly generator: string };
    reply: void;
  };
  /** A pull of a shard has ended. Of those that the leader did not ask for, or does not know any more, it takes no notice, here and in what follows. */
  readonly "shard-pulled": {
    request: {
      readonly shard: string;
      readonly pullId: string;
      readonly outcome: "complete" | "failed";
      readonly isLevel?: boolean;
    };
    reply: void;
  };
  /** A frame of a pull was applied: its size, and how many the whole answer has. */
  readonly "pull-frame": {
    request: { readonly shard: string; readonly pullId: string; readonly bytes: number; readonly frames: number };
    reply: void;
  };
  /** A pull asks again for what did not come. */
  readonly "pull-stalled": { request: { readonly shard: string; readonly pullId: string }; reply: void };
  /** What this node's region has to do. Whoever is primary pulls from nobody. */
  readonly role: { request: Role; reply: void };
  readonly status: {
    request: Record<string, never>;
    reply: {
      readonly leaders: readonly { readonly shard: string; readonly holder: string; readonly term: number }[];
      readonly pending: number;
      readonly links: readonly LinkLoad[];
    };
  };

  // Between leaders. Bodies are checked by protocols/wire before anything else sees them.
  readonly poll: { request: unknown; reply: void };
  readonly changes: { request: unknown; reply: void };

  // To itself.
  readonly due: { request: { readonly timer: string }; reply: void };
  readonly "lease-turn": { request: Record<string, never>; reply: void };
  readonly "lease-answer": { request: { readonly shard: string; readonly answer: LeaseAnswer }; reply: void };
}

/** What this node's pulls make of one link now. */
export interface LinkLoad {
  /** The region at its other end. */
  readonly peer: string;
  readonly pulls: {
    /** Frames that may be in flight, and the bytes that are. */
    readonly windowFrames: number;
    readonly bytesInFlight: number;
    readonly running: number;
    /** Shards whose pull over this link waits for its turn. */
    readonly waiting: number;
    /** What came while the window was in use; absent before there was so much. */
    readonly bytesPerSecond?: number;
    /** Round trip of a small answer, the peer's work on it included. */
    readonly roundTripMs?: number;
    /** The link's byte budget. */
    readonly budget?: number;
  };
}

/** What the key-value store said, or that it did not. */
export type LeaseAnswer =
  | { readonly kind: "record"; readonly record?: { readonly holder: string; readonly revision: number } }
  | { readonly kind: "written"; readonly revision: number }
  | { readonly kind: "not-written" }
  /** A look that had no answer. The next turn looks again: at once would be a loop for as long as the store is away. */
  | { readonly kind: "unread" };
