/*
 * A replica whose pulls are driven step by step: events, the frames of a peer that are made by hand, and what was done for them. `restart` gives another one.
 */
import { expect } from "vitest";
import { SYNC_LIMITS, type SyncLimits } from "../protocols/limits.ts";
import { NO_HORIZON } from "../protocols/sync/horizon.ts";
import { type Replica, type ReplicaEffect, type ReplicaStart, stepReplica } from "../protocols/sync/replica.ts";
import { parseWriterId, type WriterId } from "../protocols/sync/version.ts";
import { encodeFrame } from "../protocols/wire/frame-codec.ts";
import { type AnswerEnd } from "../protocols/wire/frame.ts";
import { mergeRow, columnsOf, NOW, PULL, replicaOf, T, TABLES, writeRows } from "./replica-steps.ts";

export const LIMITS: SyncLimits = { ...SYNC_LIMITS, frameBytes: 30, windowFrames: 2, retriesMax: 3, waitsMax: 4 };
export const OURS = parseWriterId("0.a.n.x");
export const THEIRS = parseWriterId("0.b.n.x");
export const OTHERS = parseWriterId("0.c.n.x");
export const NEXT = "2".repeat(32);
export const ANSWER = { responder: THEIRS, number: 1 };

interface Row {
  readonly key: bigint;
  readonly t: number;
  readonly writer?: WriterId;
}

interface Sent {
  readonly pullId?: string;
  readonly index?: number;
  readonly frames?: number;
  readonly answer?: typeof ANSWER;
  readonly rows?: readonly Row[];
  readonly replaces?: boolean;
  readonly urgent?: number;
  readonly end?: Partial<AnswerEnd>;
}

/** What is done to the replica, and what comes to it: of peer "b", and by the pull `PULL`, where nothing else is said. */
class Stepped {
  replica = start({});

  restart(options: Partial<ReplicaStart> = {}): void {
    this.replica = start(options);
  }

  step(event: Parameters<typeof stepReplica>[1]): ReplicaEffect[] {
    return stepReplica(this.replica, event, NOW).filter(
      (effect) => effect.kind !== "timer" || effect.name !== "orphans",
    );
  }

  pull(options: { peer?: string; pullId?: string; burst?: number; stands?: boolean }): ReplicaEffect[] {
    return this.step({ kind: "pull", peer: "b", pullId: PULL, ...options });
  }

  timeOut(): ReplicaEffect[] {
    return this.step({ kind: "timer", name: `pull ${PULL}` });
  }

  /** Nothing comes any more, until our pull ends. */
  giveOut(peer = "b"): void {
    let effects: ReplicaEffect[] = [];
    for (let turn = 0; this.replica.pull !== undefined && turn < 20; turn += 1) effects = this.timeOut();
    expect(last(effects)).toEqual({ ...failed("no-answer"), peer });
  }

  write(key: bigint): void {
    writeRows(this.replica, [key]);
  }

  merge({ key, t, writer = THEIRS }: Row): void {
    const slots = [...mergeRow(this.replica.store, { key, t, writer })];
    expect(slots).toHaveLength(1);
    for (const slot of slots) this.replica.early.add(slot);
  }

  receive(sent: Sent, from = "b"): ReplicaEffect[] {
    return this.step({ kind: "message", from, message: "frame", body: this.frameOf(sent) });
  }

  frameOf({
    pullId,
    index = 0,
    frames = 1,
    answer = ANSWER,
    rows = [],
    replaces = false,
    urgent,
    end,
  }: Sent): Uint8Array {
    const writers = [...new Set(rows.map(({ writer = THEIRS }) => writer))];
    return encodeFrame({
      declaration: this.replica.declaration,
      pullId: pullId ?? this.replica.pull?.asksAs ?? PULL,
      answer,
      index,
      frames,
      ...(urgent !== undefined && { urgent }),
      hasState: true,
      replaces,
      tables: TABLES,
      writers,
      batches:
        rows.length === 0
          ? []
          : [
              columnsOf(
                rows,
                rows.map(({ writer = THEIRS }) => writers.indexOf(writer)),
              ),
            ],
      end: end && {
        knowledge: new Map([[THEIRS, T + 9]]),
        horizon: NO_HORIZON,
        version: { counter: 3, generator: THEIRS },
        early: false,
        applied: new Map(),
        ...end,
      },
    });
  }

  refuse(reason: string, { pullId = PULL, from = "b" } = {}): ReplicaEffect[] {
    return this.step({ kind: "message", from, message: "refuse", body: { pullId, reason } });
  }

  versionOf(key: bigint): { readonly writer: WriterId } | undefined {
    return this.replica.store.versionOf(0, key);
  }
}

export const us = new Stepped();

function start(options: Partial<ReplicaStart>): Replica {
  return replicaOf({ writer: OURS, limits: LIMITS, ...options });
}

export function row(key: bigint): Row {
  return { key, t: T + (Number(key) % 10) };
}

export function more(frames: readonly number[]): ReplicaEffect {
  return { kind: "send", to: "b", message: "more", body: { pullId: PULL, answer: ANSWER, frames } };
}

export function failed(
  reason: "no-answer" | "given-up" | "behind" | "declaration" | "serving" | "full" | "gone",
): ReplicaEffect {
  return { kind: "pulled", peer: "b", pullId: PULL, outcome: "failed", reason };
}

export function stale(why: string, from = "b"): ReplicaEffect {
  return { kind: "refused", reason: "stale", from, detail: `a frame or refusal ${why}` };
}

export function last(effects: readonly ReplicaEffect[]): ReplicaEffect | undefined {
  return effects.at(-1);
}
