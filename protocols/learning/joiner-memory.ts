/*
 * How many bytes of the JavaScript heap a joiner's memory takes, by estimate: what an entry takes is told by its texts, so that a bound in bytes
 * holds for impressions with no feature as for those with 64. test/learning-joiner-memory.test.ts holds the estimate against the heap.
 */
import { type Feedback } from "../feedback.ts";
import { type Entry, type Held, type JoinerState, type Shown } from "./joiner-state.ts";

/**
 * Entries of all kinds, whatever they weigh. A Map holds 2^24 at most, and needs room beside what it holds for what was deleted: with half of
 * that it can always be written anew in place.
 */
export const JOINER_ENTRIES_MAX = 8_000_000;

/** An entry's own fields with their numbers, its place in a map whose room has just doubled, and in the heap of windows. */
const ENTRY_BYTES = 330;
const HELD_BYTES = 140;
/** A name's place in a map, and its label. */
const NAME_BYTES = 80;
/** An impression without its texts, features and numbers. */
const SHOWN_BYTES = 100;
const FEEDBACK_BYTES = 100;
/** A map of the other sources that told of an entry, with few of them. */
const OTHERS_BYTES = 256;
const TEXT_BYTES = 20;
/** An object with fields, a field of an object, and a number in it. */
const OBJECT_BYTES = 60;
const FIELD_BYTES = 10;
const NUMBER_BYTES = 16;

/** What all the joiner remembers takes. It is kept up to date entry by entry; this adds it up anew. */
export function memoryOf({ pending, settled, recalled, past, held }: JoinerState): number {
  let bytes = 0;
  for (const entries of [pending, settled, recalled]) for (const entry of entries.values()) bytes += entryBytes(entry);
  for (const waiting of held.values()) bytes += heldBytes(waiting);
  for (const key of past.keys()) bytes += nameBytes(key);
  return bytes;
}

export function entryBytes({ key, impression, positive, others }: Omit<Entry, "bytes">): number {
  return (
    ENTRY_BYTES +
    textBytes(key) +
    (impression === undefined ? 0 : shownBytes(impression)) +
    (positive === undefined ? 0 : feedbackBytes(positive.feedback)) +
    (others === undefined ? 0 : OTHERS_BYTES)
  );
}

export function heldBytes({ feedback, others }: Held): number {
  const { request, item } = feedback;
  const keyBytes = textBytes(request) + textBytes(item);
  return HELD_BYTES + keyBytes + feedbackBytes(feedback) + (others === undefined ? 0 : OTHERS_BYTES);
}

export function nameBytes(key: string): number {
  return NAME_BYTES + textBytes(key);
}

function shownBytes({ request, user, item, features, dense }: Shown): number {
  let bytes = SHOWN_BYTES + textBytes(request) + textBytes(user) + textBytes(item);
  const texts = Object.values(features);
  const numbers = Object.keys(dense).length;
  // Names are the same texts for all impressions.
  if (texts.length > 0) bytes += OBJECT_BYTES;
  for (const text of texts) bytes += FIELD_BYTES + textBytes(text);
  return bytes + (numbers > 0 ? OBJECT_BYTES : 0) + numbers * (FIELD_BYTES + NUMBER_BYTES);
}

function feedbackBytes({ kind, request, item }: Feedback): number {
  return FEEDBACK_BYTES + textBytes(kind) + textBytes(request) + textBytes(item);
}

/** A text with a character beyond Latin-1 takes two bytes for each. */
function textBytes(text: string): number {
  return TEXT_BYTES + (WIDE.test(text) ? 2 : 1) * text.length;
}

const WIDE = /[\u0100-\uFFFF]/;
