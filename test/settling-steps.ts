/*
 * A primary and its members, one of them real: members' reports are made by hand, or asked for.
 */
import { expect } from "vitest";
import { SYNC_LIMITS, type SyncLimits } from "../protocols/limits.ts";
import { type Horizon } from "../protocols/sync/horizon.ts";
import { type Replica, type ReplicaEffect, type ReplicaStart, stepReplica } from "../protocols/sync/replica.ts";
import { type Report } from "../protocols/sync/settling.ts";
import { parseWriterId, type WriterId } from "../protocols/sync/version.ts";
import { buildReport, parseReport } from "../protocols/wire/survey.ts";
import { mergeRow, NOW, PULL, replicaOf, T } from "./replica-steps.ts";

export const LIMITS: SyncLimits = { ...SYNC_LIMITS, entriesKept: 0 };
export const P = parseWriterId("0.p.n.x");
export const M = parseWriterId("0.m.n.x");
export const L = parseWriterId("0.l.n.x");
export const Q = parseWriterId("0.q.n.x");

type Times = Readonly<Record<string, number>>;

/** Times after T by writer. */
export function known(times: Times): Map<WriterId, number> {
  return new Map(Object.entries(times).map(([writer, t]) => [parseWriterId(`0.${writer}.n.x`), T + t]));
}

export function start(options: Partial<ReplicaStart> = {}): Replica {
  return replicaOf({ writer: P, limits: LIMITS, ...options });
}

export function settle(replica: Replica, members: readonly string[] = ["m"], isAloof = false): ReplicaEffect[] {
  return stepReplica(replica, { kind: "settle", members, isAloof, pullId: PULL }, NOW);
}

interface Said {
  readonly from?: string;
  readonly writer?: WriterId;
  readonly round?: number;
  readonly asker?: WriterId;
  readonly knowledge?: ReadonlyMap<WriterId, number>;
  readonly upTo?: number;
  readonly strays?: number;
  readonly horizon?: Horizon;
}

export function report(
  replica: Replica,
  { from = "m", writer = M, round, asker = P, knowledge = known({}), upTo = T + 9, strays = 0, horizon }: Said,
): ReplicaEffect[] {
  const body = buildReport(
    { asker, round: round ?? replica.survey?.round ?? 1 },
    { writer, horizon: horizon ?? replica.horizon, knowledge, upTo, strays },
  );
  return stepReplica(replica, { kind: "message", from, message: "report", body }, NOW);
}

/** Two rounds in which the member says the same. */
export function settleTwice(replica: Replica, ...said: readonly Said[]): ReplicaEffect[] {
  const members = said.map(({ from = "m" }) => from);
  let effects: ReplicaEffect[] = [];
  for (let round = 0; round < 2; round += 1) {
    settle(replica, members);
    effects = said.flatMap((each) => report(replica, each));
  }
  return effects;
}

interface Held {
  readonly key: bigint;
  readonly t: number;
  readonly writer: WriterId;
}

/** A row that is early. */
export function hold({ store, early, stamper }: Replica, row: Held): void {
  for (const slot of mergeRow(store, row)) early.add(slot);
  stamper.greatestSeen = Math.max(stamper.greatestSeen, row.t);
}

/** What a member reports to the primary. */
export function survey(
  member: Replica,
  primary: object = {},
): (Report & { readonly asker: WriterId; readonly round: number }) | undefined {
  const body = { asker: P, round: 3, ...primary };
  const effects = stepReplica(member, { kind: "message", from: "p", message: "survey", body }, NOW);
  const said = effects.find((effect) => effect.kind === "send" && effect.message === "report");
  expect(said).toMatchObject({ to: "p" });
  return said?.kind === "send" ? parseReport(said.body) : undefined;
}
