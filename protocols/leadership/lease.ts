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
  /** It lost against another writer, or failed, or had no answer: nothing may be concluded but that we do not know. */
  | { readonly kind: "not-written" };

export type LeaseEffect =
  | { readonly kind: "read" }
  /** Write ourselves as the holder if the record is still at `revision`; 0 means there is none. */
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
export function stepLease(state: LeaseState, event: LeaseEvent, nowMs: number): { state: LeaseState; effects: readonly LeaseEffect[] } {
  switch (event.kind) {
    case "tick":
      return onTick(state, nowMs);
    case "record":
      return { state: onRecord(state, event.record, nowMs), effects: [] };
    case "written": {
      const sentMs = state.asking?.sentMs ?? nowMs;
      const { asking: _, ...rest } = state;
      // Counted from when we asked: the store may have written, and others may count, from any moment since.
      return {
        state: {
          ...rest,
          seen: { holder: state.self, revision: event.revision, sinceMs: sentMs },
          heldUntilMs: sentMs + state.durationMs * HOLDER_SHARE,
        },
        effects: [],
      };
    }
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
  if (state.asking !== undefined && nowMs - state.asking.sentMs < state.durationMs) return { state, effects: [] };
  const { seen } = state;
  if (seen === undefined) return { state: { ...state, asking: { sentMs: nowMs } }, effects: [{ kind: "write", revision: 0 }] };
  const ageMs = nowMs - seen.sinceMs;
  const due = seen.holder === state.self ? ageMs >= state.durationMs * RENEW_SHARE : ageMs >= state.durationMs;
  if (due) return { state: { ...state, asking: { sentMs: nowMs } }, effects: [{ kind: "write", revision: seen.revision }] };
  return { state, effects: seen.holder === state.self ? [] : [{ kind: "read" }] };
}

function onRecord(state: LeaseState, record: { holder: string; revision: number } | undefined, nowMs: number): LeaseState {
  if (record === undefined) {
    const { seen: _, ...rest } = state;
    return { ...rest, heldUntilMs: 0 };
  }
  // An unchanged revision keeps its age: that is what tells a live holder from a dead one.
  if (state.seen?.revision === record.revision) return state;
  const heldUntilMs = record.holder === state.self ? state.heldUntilMs : 0;
  return { ...state, seen: { ...record, sinceMs: nowMs }, heldUntilMs };
}
