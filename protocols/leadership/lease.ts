/*
 * Who pulls a shard across the wide area for its region: a lease in the region's key-value store, taken and renewed by
 * compare-and-set. The record's revision is the term. Nobody's wall clock is compared with anybody else's: a lease is over when the
 * record has not changed for its whole duration on the observer's own clock, and its holder stops earlier, counting from when it *asked*
 * for the last renewal. Safety of synchronisation never rests on this (sync works with none, one or two leaders); it saves traffic.
 */

/** What one node knows of one lease. Times are milliseconds of the node's own clock. */
export interface LeaseState {
  readonly self: string;
  readonly durationMs: number;
  /** The record as last seen; absent before the first look and when there is none. */
  readonly seen?: { readonly holder: string; readonly revision: number; readonly sinceMs: number };
  /** Until when we may act as the holder. 0 when we do not hold it. */
  readonly heldUntilMs: number;
  /** A compare-and-set of ours whose answer has not come, and when we sent it. */
  readonly asking?: { readonly sentMs: number };
}

export type LeaseEvent =
  | { readonly kind: "tick" }
  /** The store's record; `holder` and `revision` absent when it has none. */
  | { readonly kind: "record"; readonly record?: { readonly holder: string; readonly revision: number } }
  /** Our compare-and-set took effect. */
  | { readonly kind: "written"; readonly revision: number }
  /** It lost against another writer, or failed, or had no answer in time: nothing may be concluded but that we do not know. */
  | { readonly kind: "not-written" };

export type LeaseEffect =
  | { readonly kind: "read" }
  /** Write ourselves as the holder if the record is still at `revision`; 0 means there is none. Must be answered once, by a deadline. */
  | { readonly kind: "write"; readonly revision: number };

/** A node that has not looked yet. */
export function newLease(options: { self: string; durationMs: number }): LeaseState {
  return { ...options, heldUntilMs: 0 };
}

/** Whether this node may act as the leader at `nowMs`. Ends before anyone else may take the lease, as clocks that run at the same speed see it. */
export function isHeld(state: LeaseState, nowMs: number): boolean {
  return nowMs < state.heldUntilMs;
}

/** The node that leads as far as this one knows, and the term; absent when the lease is over or nobody ever took it. */
export function leaderOf(state: LeaseState, nowMs: number): { holder: string; term: number } | undefined {
  const { seen } = state;
  if (seen === undefined) return undefined;
  const live = seen.holder === state.self ? isHeld(state, nowMs) : nowMs - seen.sinceMs < state.durationMs;
  return live ? { holder: seen.holder, term: seen.revision } : undefined;
}

/** One step. A `tick` is due a few times per duration; ticks come as often as the caller likes. */
export function stepLease(
  state: LeaseState,
  event: LeaseEvent,
  nowMs: number,
): { state: LeaseState; effects: readonly LeaseEffect[] } {
  switch (event.kind) {
    case "tick":
      return onTick(state, nowMs);
    case "record":
      return { state: onRecord(state, event.record, nowMs), effects: [] };
    case "written":
      return { state: onWritten(state, event.revision), effects: [] };
    case "not-written": {
      const { asking: _, ...rest } = state;
      return { state: rest, effects: [{ kind: "read" }] };
    }
  }
}

// The holder stops a fifth of a lease before others may begin, for clocks that run at slightly different speeds.
const HOLDER_SHARE = 0.8;
const RENEW_SHARE = 1 / 3;

function onTick(state: LeaseState, nowMs: number): { state: LeaseState; effects: readonly LeaseEffect[] } {
  // However long it takes: with a second question open, an answer could be taken for that of the later one, and count too long.
  if (state.asking !== undefined) return { state, effects: [] };
  const { seen } = state;
  if (seen === undefined) {
    return { state: { ...state, asking: { sentMs: nowMs } }, effects: [{ kind: "write", revision: 0 }] };
  }
  const ageMs = nowMs - seen.sinceMs;
  const due = seen.holder === state.self ? ageMs >= state.durationMs * RENEW_SHARE : ageMs >= state.durationMs;
  if (due) {
    return { state: { ...state, asking: { sentMs: nowMs } }, effects: [{ kind: "write", revision: seen.revision }] };
  }
  return { state, effects: seen.holder === state.self ? [] : [{ kind: "read" }] };
}

function onWritten(state: LeaseState, revision: number): LeaseState {
  const { asking, ...rest } = state;
  // An answer to nothing we asked, or one that was overtaken by what somebody wrote since.
  if (asking === undefined || revision <= (state.seen?.revision ?? 0)) return rest;
  // Counted from when we asked: the store may have written, and others may count, from any moment since.
  const { sentMs } = asking;
  const seen = { holder: state.self, revision, sinceMs: sentMs };
  return { ...rest, seen, heldUntilMs: sentMs + state.durationMs * HOLDER_SHARE };
}

function onRecord(
  state: LeaseState,
  record: { readonly holder: string; readonly revision: number } | undefined,
  nowMs: number,
): LeaseState {
  const { seen, ...rest } = state;
  // An unchanged revision keeps its age: that is what tells a live holder from a dead one.
  if (seen !== undefined && seen.revision === record?.revision) return state;
  // An older one was read before what we know, and came late. Only a store that was made anew stays at one for a whole lease.
  if (seen !== undefined && (record?.revision ?? 0) < seen.revision && nowMs - seen.sinceMs < state.durationMs) {
    return state;
  }
  if (record === undefined) return { ...rest, heldUntilMs: 0 };
  const heldUntilMs = record.holder === state.self ? state.heldUntilMs : 0;
  return { ...rest, seen: { ...record, sinceMs: nowMs }, heldUntilMs };
}
