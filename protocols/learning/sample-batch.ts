/*
 * One message of the SAMPLES stream: samples, and where the joiner stood after them, in one piece. Whoever reads the stream from the last
 * message's `keepFrom` on knows all that a restarted joiner needs; there is no second place that could disagree with it.
 */
import { type DelayCounts } from "./delay-model.ts";
import { type LabelledExample } from "./training-batch.ts";

/** A labelled example as it is published. `id` names it for ever; a correction follows a negative with the same request and item. */
export interface PublishedSample extends LabelledExample {
  readonly id: string;
  /** The region whose events brought the impression. */
  readonly source: string;
  /** When the item was shown, milliseconds since the epoch. */
  readonly time: number;
  readonly correction: boolean;
}

/** Where the joiner stands in one region's events. */
export interface SourcePosition {
  readonly source: string;
  /** No sample that was published, here or before, is of a later message. */
  readonly applied: number;
  /** A new joiner must read again from this message on, to know what is still open. */
  readonly needed: number;
  /** The source's clock: the newest event time it has shown. Absent before its first event. */
  readonly newestTime?: number;
  /** How late its positives came; absent before the first event. */
  readonly delays?: DelayCounts;
}

/**
 * What the events gave may not fit one message. All but the last of such a run state what is needed and the clocks from before it, and how far
 * events were taken in for it: a joiner that finds its predecessor cut off within a run takes those events in again, knows the samples that were
 * published, and lets go of none before.
 */
export interface SampleBatch {
  /** Messages of this stream that a new joiner must read, from here to the last. Never after the message itself. */
  readonly keepFrom: number;
  readonly positions: readonly SourcePosition[];
  readonly samples: readonly PublishedSample[];
  /**
   * The stream ends here and goes on, under the same numbers, in another region: whoever learned up to this message has learned all there
   * is here, and no joiner of another region appends to it.
   */
  readonly movedTo?: SampleMove;
}

/** Where the making of samples goes on, by which promotion. */
export interface SampleMove {
  readonly region: string;
  readonly term: number;
}
