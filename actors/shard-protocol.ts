import { type NodeName } from "../protocols/model-state/members.ts";
import { type Role } from "../protocols/model-state/role.ts";
import { type QuantileSketch } from "../protocols/quantile-sketch.ts";
import { type Address, type Outcome } from "../runtime/actor.ts";
import { type SharedTable } from "../runtime/compute/table/table-reader.ts";
import { type NotWritten, type SaveOutcome } from "../runtime/file-store-protocol.ts";
import { type PackedPush } from "./packed-push.ts";
import { type EpochLook, type SharedEpochs } from "./shard-epochs.ts";
import { type ScoreAnswer } from "./urgency-scores.ts";

/** Rows of one table asked for by key. */
export interface KeyList {
  readonly table: number;
  readonly keys: BigUint64Array;
}

/** One gradient per key: keys x dim floats, each the sum over the batch. */
export interface GradientPart extends KeyList {
  readonly gradients: Float32Array;
  /** The values that the gradients were computed at, as `gather` gave them; where delays are to be compensated. */
  readonly read?: Float32Array;
}

/** An item that stood in a batch: how often it was clicked there (0 creates its catalogue row only), and when last. */
export interface Sighting {
  readonly item: string;
  readonly key: bigint;
  readonly clicks: number;
  readonly timeMs: number;
}

/** One trainer's gradients of one batch for one shard. `batch` is the position of its last sample, `previous` that of the batch before. */
export interface Push {
  readonly trainer: string;
  readonly batch: number;
  readonly previous: number;
  readonly parts: readonly GradientPart[];
  /** Of items whose catalogue rows live in this shard; others have no effect. */
  readonly sightings: readonly Sighting[];
  /** The `steps` of the gather that the gradients are of. */
  readonly readAt?: number;
  /** Lambda of delay compensation (protocols/learning/optimizer.ts, `compensateDelay`); absent or 0 for none. */
  readonly compensation?: number;
}

export type PushOutcome =
  /** It took effect, or had before. `durable` is the trainer's position in the image on disk, `late` how many steps were between reading and writing. */
  | { readonly kind: "applied"; readonly durable: number; readonly late: number }
  /** The shard stands elsewhere than `previous`: it, or the trainer, restarted. Nothing took effect. */
  | { readonly kind: "elsewhere"; readonly applied: number; readonly durable: number }
  /** A gradient that must not enter. Nothing took effect. */
  | { readonly kind: "refused"; readonly reason: string };

/** Rows that were read. */
export interface Gathered {
  readonly values: readonly Float32Array[];
  /** 1 for each row that was ever trained. */
  readonly found: readonly Uint8Array[];
  /** How many steps of trainers took effect here since the shard's start. */
  readonly steps: number;
  /** What all these rows were read under. */
  readonly look: EpochLook;
  /** Where it was asked for: of each row the epoch of who wrote it, below 0 where there is no row. */
  readonly epochs?: readonly Int32Array[];
}

/** Rows of one table: values one after another. */
export interface RowList extends KeyList {
  readonly values: Uint8Array;
}

/** Rows that changed, for an index that follows them. */
export interface RowsChanged {
  readonly shard: number;
  /** Which subscription this belongs to, and the running number of the message in it: a hole means that something was dropped. */
  readonly token: string;
  readonly sequence: number;
  readonly lists: readonly RowList[];
}

export interface ShardStatus {
  readonly shard: number;
  readonly rows: number;
  /** Absent while rows change faster than it can be made. */
  readonly digest?: string;
  readonly primary: boolean;
  readonly refused: number;
  /** What is not settled yet: entries of the knowledge, and deletions held. And up to which t all is, microseconds; 0 for nothing. */
  readonly unsettled: { readonly entries: number; readonly tombstones: number };
  readonly settled: number;
  /** Freshness of the rows that came from elsewhere, from the stamp at the primary to the merge here, milliseconds. */
  readonly lag: QuantileSketch;
  /** Why the last image could not be written, if it was not. */
  readonly notWritten: NotWritten | undefined;
}

/** One row as a person reads it. */
export interface RowView {
  readonly found: boolean;
  readonly key: string;
  /** When it was stamped, microseconds since the epoch, and by whom. */
  readonly version?: { readonly t: number; readonly writer: string };
  readonly values?: readonly number[];
  /** What the optimizer keeps beside the values, laid out as protocols/learning/optimizer.ts says. Full replicas hold it. */
  readonly state?: readonly number[];
  readonly catalogue?: {
    readonly item: string;
    readonly firstSeenMs: number;
    /** Absent before the first click. */
    readonly popularity?: number;
    readonly freshClicks: number;
  };
}

export type SucceedOutcome =
  /** Its rows are others, for now or for good. */
  | { readonly kind: "differs" }
  /** It has the positions; the image on disk is still without them. */
  | { readonly kind: "saving" }
  | { readonly kind: "succeeded" };

/** What a shard replica accepts. */
export interface ShardProtocol {
  /** Values of rows, keys x dim floats per list; a key without a row has the default row of its table. */
  readonly gather: {
    /** `epochs`: also of each row the epoch of who wrote it. */
    request: { readonly lists: readonly KeyList[]; readonly epochs?: true };
    reply: Gathered;
  };
  /**
   * The tables' memory, for actors of this process: what is read there is as new as what `gather` gives, and disturbs nobody. Another `life` is of
   * another start of the shard, which the memory of the one before says nothing about. Whoever has the memory of a life says so, and is not given it again: the
   * collector of a thread counts each memory that it is given at its whole size.
   */
  readonly share: {
    request: { readonly known?: string };
    reply: {
      readonly life: string;
      /** Absent where the life is the one that is known. */
      readonly tables?: readonly (readonly SharedTable[])[];
      /** One number, kept up to date: the `steps` of `gather`. */
      readonly steps: Int32Array;
      readonly epochs: SharedEpochs;
    };
  };
  /** Applies one batch of one trainer, once. Only a primary does, and none that lacks the epoch of its role: it refuses, and is to be asked again later. */
  readonly push: { request: PackedPush; reply: PushOutcome };
  /** Where a trainer stands on this shard; 0 before its first batch. Refused like a push where rows of the role's epoch are lacking. */
  readonly position: {
    request: { readonly trainer: string };
    /** `known` are the positions of all trainers that the shard ever heard of. */
    reply: { readonly applied: number; readonly durable: number; readonly known: ReadonlyMap<string, number> };
  };
  /** What this node's region has to do. Told again and again; before the first, the shard takes no gradients. */
  readonly role: { request: Role; reply: void };
  /**
   * Lets go of what all members know, and asks them where they stand; whoever is not the primary does nothing. `ifBehind`: it is not time for that, and only a
   * primary that lacks the epoch of its role asks.
   */
  readonly settle: { request: { readonly members: readonly NodeName[]; readonly ifBehind?: true }; reply: void };
  /**
   * How far this shard is with what is left to learn: with what its rows are (protocols/sync/replica.ts, `contentOf`), once its image on disk has all up to
   * `seal`. Before that it could restart, and write again under new versions what another region goes on from.
   */
  readonly standing: {
    request: { readonly trainers: readonly string[]; readonly seal: number };
    reply: { readonly durable: number; readonly content?: string };
  };
  /** Goes on in another region's place, whose rows were these when its trainers had learned all up to `seal`. */
  readonly succeed: {
    request: { readonly trainers: readonly string[]; readonly seal: number; readonly content: string };
    reply: SucceedOutcome;
  };
  /** Goes on in the place of a region that is lost or cut off: begins the epoch, on disk when this is answered. Repeating it changes nothing. */
  readonly lead: { request: { readonly epoch: number }; reply: Record<string, never> };
  /** Sends every row of these tables, then each change. Repeating it with the same token only keeps it alive. */
  readonly subscribe: { request: { readonly tables: readonly number[]; readonly token: string }; reply: void };
  /** Asks a peer's replica for what this one lacks. Told by the leader; a pull that runs already is left alone. `burst` bytes may come unasked, and then what is granted; without it the pull paces itself. */
  readonly synchronise: {
    request: { readonly peer: Address; readonly pullId: string; readonly burst?: number; readonly stands?: boolean };
    reply: void;
  };
  /** The pull of this id, if it stands, is to be answered now. */
  readonly hurry: { request: { readonly pullId: string }; reply: void };
  /** The pull of this id, if it runs, may ask for `upTo` frames in all. */
  readonly grant: { request: { readonly pullId: string; readonly upTo: number }; reply: void };
  /** The pull of this id, if it runs, is to end. */
  readonly "give-up": { request: { readonly pullId: string }; reply: void };
  /** Told by a leader that has just started: what runs was asked for by the start of it before, and ends. Its pulls would be refused meanwhile. */
  readonly "led-anew": { request: Record<string, never>; reply: void };
  readonly status: { request: Record<string, never>; reply: ShardStatus };
  /** Looks one row up by its table's name and the text of its key, in JSON: for people, over NATS. */
  readonly row: { request: { readonly table: string; readonly key: string }; reply: RowView };

  // Between replicas. Bodies are checked by protocols/wire before anything else sees them.
  readonly pull: { request: unknown; reply: void };
  readonly more: { request: unknown; reply: void };
  readonly release: { request: unknown; reply: void };
  readonly refuse: { request: unknown; reply: void };
  readonly frame: { request: unknown; reply: void };
  readonly survey: { request: unknown; reply: void };
  readonly report: { request: unknown; reply: void };
  readonly orphans: { request: unknown; reply: void };

  // To itself.
  readonly due: { request: { readonly timer: string }; reply: void };
  /** From itself: the digest goes on. */
  readonly digest: { request: Record<string, never>; reply: void };
  readonly save: { request: Record<string, never>; reply: void };
  readonly scored: { request: ScoreAnswer; reply: void };
  readonly saved: { request: { readonly outcome: Outcome<SaveOutcome> }; reply: void };
  /** All that is here was written, or could not be. */
  readonly "settle-on": {
    request: { readonly request: ShardProtocol["settle"]["request"]; readonly isReady: boolean };
    reply: void;
  };
  /** The disk took no image. */
  readonly "try-again": { request: Record<string, never>; reply: void };
}
