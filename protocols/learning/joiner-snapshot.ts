// A joiner's memory as JSON: restored, it goes on as if it had never stopped, and ignores whatever is delivered again.
import { pushHeap } from "../binary-heap.ts";
import { type FeedbackEvent, parseEvent } from "../feedback.ts";
import { createJoiner, endsBefore, type Entry, impressionKey, type JoinerOptions, type JoinerState, type Origin } from "./joiner.ts";

/** A stored joiner that cannot be read: where in it. Start empty and replay from the acknowledged positions instead. */
export class JoinerSnapshotError extends Error {
  override readonly name = "JoinerSnapshotError";
  readonly place: string;

  constructor(place: string) {
    super(`Cannot restore a joiner: ${place} is missing or malformed; start it empty and replay from the acknowledged positions`);
    this.place = place;
  }
}

/** The state as one JSON text. Options are not part of it: they may differ at the restart. */
export function snapshot(state: JoinerState): string {
  return JSON.stringify({
    format: 1,
    sources: [...state.sources].map(([source, { applied, newestTime, newestSequence, heardMs }]) => ({ source, applied, newestTime, newestSequence, heardMs })),
    pending: [...state.pending.values()].map(writeEntry),
    settled: [...state.settled.values()].map(writeEntry),
    held: [...state.held.values()],
    counts: state.counts,
  });
}

/** The state that `snapshot` wrote. Throws JoinerSnapshotError for anything else. */
export function restore(options: JoinerOptions, json: string): JoinerState {
  const root = record(parseJson(json), "the snapshot");
  if (root["format"] !== 1) throw new JoinerSnapshotError("format 1");
  const state = createJoiner(options);
  for (const value of list(root["sources"], "sources")) {
    const item = record(value, "sources");
    state.sources.set(text(item["source"], "sources.source"), {
      applied: number(item["applied"], "sources.applied"),
      newestTime: number(item["newestTime"], "sources.newestTime"),
      newestSequence: number(item["newestSequence"], "sources.newestSequence"),
      heardMs: number(item["heardMs"], "sources.heardMs"),
      closings: [],
      windows: [],
    });
  }
  for (const value of list(root["pending"], "pending")) {
    const entry = readEntry(value, "pending");
    const clock = state.sources.get(entry.origins[0]?.source ?? "");
    if (clock === undefined) throw new JoinerSnapshotError("pending.origins");
    state.pending.set(entry.key, entry);
    pushHeap(clock.windows, entry, endsBefore);
  }
  for (const value of list(root["settled"], "settled")) {
    const entry = readEntry(value, "settled");
    if (entry.label === undefined) throw new JoinerSnapshotError("settled.label");
    state.settled.set(entry.key, entry);
  }
  for (const value of list(root["held"], "held")) {
    const item = record(value, "held");
    const feedback = readEvent(item["feedback"], "held.feedback");
    if (feedback.type !== "feedback") throw new JoinerSnapshotError("held.feedback");
    state.held.set(impressionKey(feedback), { feedback, origin: readOrigin(item["origin"], "held.origin") });
  }
  const counts = record(root["counts"], "counts");
  for (const name of COUNTS) state.counts[name] = number(counts[name], `counts.${name}`);
  return state;
}

const COUNTS = ["positives", "negatives", "corrections", "overflows", "duplicates", "tooLate", "heldDropped"] as const;

function writeEntry({ impression, origins, label, feedbackOrigin }: Entry): unknown {
  return { impression, origins, label, feedbackOrigin };
}

function readEntry(value: unknown, place: string): Entry {
  const item = record(value, place);
  const impression = readEvent(item["impression"], `${place}.impression`);
  if (impression.type !== "impression") throw new JoinerSnapshotError(`${place}.impression`);
  const { label } = item;
  if (label !== undefined && label !== 0 && label !== 1) throw new JoinerSnapshotError(`${place}.label`);
  const feedbackOrigin = item["feedbackOrigin"];
  return {
    key: impressionKey(impression),
    impression,
    origins: list(item["origins"], `${place}.origins`).map((origin) => readOrigin(origin, `${place}.origins`)),
    label,
    feedbackOrigin: feedbackOrigin === undefined ? undefined : readOrigin(feedbackOrigin, `${place}.feedbackOrigin`),
  };
}

function readEvent(value: unknown, place: string): FeedbackEvent {
  const parsed = parseEvent(value, { nowMs: Infinity, path: place });
  if (parsed.kind === "problem") throw new JoinerSnapshotError(parsed.problem.path);
  return parsed.event;
}

function readOrigin(value: unknown, place: string): Origin {
  const item = record(value, place);
  return { source: text(item["source"], place), sequence: number(item["sequence"], place) };
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new JoinerSnapshotError("valid JSON");
    throw cause;
  }
}

function record(value: unknown, place: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new JoinerSnapshotError(place);
  return Object.fromEntries(Object.entries(value));
}

function list(value: unknown, place: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new JoinerSnapshotError(place);
  return value;
}

function number(value: unknown, place: string): number {
  if (typeof value !== "number") throw new JoinerSnapshotError(place);
  return value;
}

function text(value: unknown, place: string): string {
  if (typeof value !== "string") throw new JoinerSnapshotError(place);
  return value;
}
