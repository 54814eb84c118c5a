import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { type ShardVersion } from "../../protocols/sync/shard-version.ts";
import { type LinkConfig } from "../../runtime/link.ts";
import { type WorkloadOptions } from "./sync-workload.ts";

/** One end of the benched link: the node that writes, or the one that follows it. Plain data. */
export interface SyncEndConfig {
  readonly region: string;
  /** The text of the end that this one polls and pulls from, as long as it follows. */
  readonly peer: string | undefined;
  readonly table: TableSpec;
  readonly workload: WorkloadOptions;
  /** Keys by chance, or all in turn. */
  readonly order: "zipf" | "sweep";
  /** The workload's keys lie so far apart among the rows that are held from the start. */
  readonly keyStride: number;
  /** So many rows are held from the start, the same at both ends, as if both had loaded an image. */
  readonly rows: number;
  /** Shards without rows, held unchanged by both ends: what a poll looks over. */
  readonly idleShards: number;
  readonly pollWaitMs: number;
  readonly gapMs: number;
}

/** What an end counted since its start. */
export interface SyncEndCounts {
  /** Of message bodies, in all, to and from the other end. */
  readonly payloadInBytes: number;
  readonly payloadOutBytes: number;
  readonly frames: number;
  readonly polls: number;
  readonly rowsApplied: number;
  /** In the state machines, out of all that the process does. */
  readonly coreMs: number;
  /** Slots that the update cache looked at, and pulls that scanned the whole shard. */
  readonly visited: number;
  readonly scans: number;
}

/** What an end does: for the bench, over its process's channel, and for the other end. */
export interface SyncEndProtocol {
  /** Writes the stream's next updates in rounds, each pulled by the other end before the next begins. */
  readonly rounds: { request: { readonly updates: number; readonly round: number }; reply: { readonly ms: number } };
  /** Has the stream's next updates ready, for rounds of that size: the next that are asked for. */
  readonly draw: { request: { readonly updates: number; readonly round: number }; reply: { readonly rounds: number } };
  /** Every key once, in rounds likewise. */
  readonly load: { request: { readonly round: number }; reply: { readonly ms: number } };
  /** Writes the stream's next updates, whoever follows. */
  readonly write: { request: { readonly updates: number }; reply: { readonly version: ShardVersion } };
  /** Writes so many updates a second, in steps of `everyMs`. */
  readonly steady: {
    request: { readonly forMs: number; readonly perSecond: number; readonly everyMs: number };
    reply: { readonly updates: number; readonly version: ShardVersion };
  };
  /** Begins to poll the peer, or ends it. */
  readonly follow: { request: { readonly on: boolean }; reply: { readonly on: boolean } };
  /** Answered when this end has that version of the shard. */
  readonly until: { request: { readonly version: ShardVersion }; reply: { readonly ms: number } };
  /** Pulls once; answered when the pull is complete. */
  readonly "pull-once": { request: Record<string, never>; reply: { readonly ms: number; readonly rows: number } };
  readonly counts: { request: Record<string, never>; reply: SyncEndCounts };
  readonly contents: { request: Record<string, never>; reply: { readonly rows: number; readonly digest: string } };
  /** From the stamp to the merge here, of the rows applied since the last time that this was asked; looked at from then on. */
  readonly lag: { request: Record<string, never>; reply: { readonly p50Ms: number; readonly p99Ms: number } };

  // Between the ends: bodies are checked by the state machines.
  readonly poll: { request: unknown; reply: void };
  readonly changes: { request: unknown; reply: void };
  readonly pull: { request: unknown; reply: void };
  readonly more: { request: unknown; reply: void };
  readonly release: { request: unknown; reply: void };
  readonly refuse: { request: unknown; reply: void };
  readonly frame: { request: unknown; reply: void };

  // To itself.
  readonly due: { request: { readonly machine: "replica" | "poller"; readonly timer: string }; reply: void };
  readonly step: { request: Record<string, never>; reply: void };
}

/** What the process is started with, as the JSON of its one argument. */
export interface SyncProcessConfig {
  readonly end: SyncEndConfig;
  readonly link: LinkConfig;
}

/** What the parent sends: a message to the end, or what the process itself can tell. */
export interface SyncProcessAsk {
  readonly id: number;
  readonly message: string;
  readonly body: unknown;
}
