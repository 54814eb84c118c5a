import { type StoredBlock } from "../protocols/wire/segment.ts";

/** Something was not written. What is on disk is as before, and a later try may succeed. */
export interface NotWritten {
  readonly kind: "failed";
  readonly code: "full" | "denied" | "io";
  readonly message: string;
}

/** What became of an image that was to be written: now on the disk, in so many bytes of its last segment. */
export type SaveOutcome = { readonly kind: "saved"; readonly bytes: number } | NotWritten;

/** One segment of an image, all of whose blocks can be read. */
export interface StoredSegment {
  readonly id: string;
  /** Of the file. */
  readonly bytes: number;
  readonly head: Uint8Array;
  readonly blocks: readonly StoredBlock[];
}

/** An image as it lies on disk: in segments, of which those from the first damaged one on are left out, or, from old versions, in one piece. */
export type StoredImage =
  | { readonly kind: "segments"; readonly segments: readonly StoredSegment[]; readonly isDamaged: boolean }
  | { readonly kind: "piece"; readonly bytes: Uint8Array };

/**
 * Images by name, each a whole segment and increments after it, in blocks. What was committed is on the disk at once and for good; a crash
 * at any byte leaves the image of the commit before. Served by `file-store.ts`.
 */
export interface FileStoreProtocol {
  /** Opens a new segment, in place of one that was not committed. Answered when the disk has room for one more name at a time. */
  readonly begin: {
    request: { readonly name: string };
    reply: { readonly kind: "begun"; readonly segment: string } | NotWritten;
  };
  /** Adds a block. Answered when it was copied and there is room for the next; blocks keep their order. */
  readonly append: {
    request: { readonly name: string; readonly segment: string; readonly block: Uint8Array };
    reply: { readonly kind: "taken" } | NotWritten;
  };
  /** Ends the segment: it is the image, where it is `whole`, or follows the segment `after`, which must be the image's last. */
  readonly commit: {
    request: {
      readonly name: string;
      readonly segment: string;
      readonly head: Uint8Array;
      readonly after: string | undefined;
    };
    reply: SaveOutcome;
  };
  /** Gives a segment up. */
  readonly abandon: { request: { readonly name: string; readonly segment: string }; reply: void };
  /** Newest first: the current image and the one before its whole segment, as far as they exist and can be read. Gives up what was begun. */
  readonly load: { request: { readonly name: string }; reply: { readonly images: readonly StoredImage[] } };
  /** Some blocks of a segment, unpacked; none where one is damaged or cannot be read. They may lie in `room`, which nobody else uses until the answer. */
  readonly read: {
    request: {
      readonly name: string;
      readonly segment: StoredSegment;
      readonly from: number;
      readonly to: number;
      readonly room?: Uint8Array<ArrayBuffer>;
    };
    reply: { readonly blocks: readonly Uint8Array[]; readonly problem: string | undefined };
  };
}
