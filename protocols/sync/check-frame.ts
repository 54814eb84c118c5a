import { type Frame, type FrameSection } from "../wire/frame.ts";
import { latestOf } from "./horizon.ts";
import { positionsAfter } from "./positions.ts";
import { areFinite, areFloatsFinite } from "./precision.ts";
import { type Refusal, type Replica } from "./replica-state.ts";
import { isPlausible } from "./stamper.ts";
import { type WriterId } from "./version.ts";

/** Why a decoded frame must be refused whole, before any of it is applied; undefined when it is good. */
export function checkFrame(
  replica: Replica,
  frame: Frame,
  nowMs: number,
): { readonly reason: Refusal; readonly detail: string } | undefined {
  const { store } = replica;
  if (frame.declaration !== replica.declaration) {
    return { reason: "declaration", detail: "the peer's tables differ from ours" };
  }
  if (frame.hasState !== store.hasState) {
    return { reason: "state", detail: frame.hasState ? "unwanted optimizer state" : "no optimizer state" };
  }
  for (const section of frame.sections) {
    const problem = checkSection(replica, { frame, section, nowMs });
    if (problem !== undefined) return problem;
  }
  for (const [writer, t] of frame.end?.knowledge ?? []) {
    const problem = checkVersion(replica, { writer, t, nowMs });
    if (problem !== undefined) return problem;
  }
  const latest = frame.end === undefined ? 0 : latestOf(frame.end.horizon);
  if (!isPlausible(latest, { nowMs, jumpMs: replica.limits.jumpMs })) {
    return { reason: "time", detail: `a horizon at t ${latest} is too far ahead of our clock` };
  }
  return checkRoom(replica, frame);
}

function checkSection(
  replica: Replica,
  { frame, section, nowMs }: { frame: Frame; section: FrameSection; nowMs: number },
): { reason: Refusal; detail: string } | undefined {
  const spec = replica.store.tables[section.table];
  if (spec === undefined || section.valueBytes !== spec.valueBytes || section.stateBytes !== spec.stateBytes) {
    return { reason: "declaration", detail: `rows of table ${section.table} have another shape` };
  }
  if (!areFinite(spec, section.values)) {
    return { reason: "not-finite", detail: `values of table '${spec.name}'` };
  }
  if (section.state !== undefined && !areFloatsFinite(section.state)) {
    return { reason: "not-finite", detail: `state of table '${spec.name}'` };
  }
  const latest = new Float64Array(frame.writers.length);
  for (let row = 0; row < section.t.length; row += 1) {
    const writer = section.writers[row] ?? 0;
    latest[writer] = Math.max(latest[writer] ?? 0, section.t[row] ?? 0);
  }
  for (const [index, writer] of frame.writers.entries()) {
    const problem = checkVersion(replica, { writer, t: latest[index] ?? 0, nowMs });
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkVersion(
  replica: Replica,
  { writer, t, nowMs }: { writer: WriterId; t: number; nowMs: number },
): { reason: Refusal; detail: string } | undefined {
  if (writer === replica.writer) {
    return t <= replica.stamper.last
      ? undefined
      : { reason: "minted", detail: `t ${t} in our name, of which the last is ${replica.stamper.last}` };
  }
  return isPlausible(t, { nowMs, jumpMs: replica.limits.jumpMs })
    ? undefined
    : { reason: "time", detail: `t ${t} of ${writer} is too far ahead of our clock` };
}

/** Refuses before anything is interned what would not fit: of positions what would be left of ours beside them, as an image with more would be refused. */
function checkRoom(replica: Replica, frame: Frame): { reason: Refusal; detail: string } | undefined {
  const { store, knowledge } = replica;
  const { writersMax, trainersMax } = replica.limits;
  if (frame.end !== undefined && positionsAfter(replica, frame.end, { isCopy: frame.replaces }).size > trainersMax) {
    return { reason: "full", detail: `positions of more than ${trainersMax} trainers` };
  }
  const end = frame.end?.knowledge;
  // Even if all of it were new it would fit: so it is almost always.
  if (store.writers.length + frame.writers.length <= writersMax && knowledge.size + (end?.size ?? 0) <= writersMax) {
    return undefined;
  }
  const writers = new Set([...store.writers, ...frame.writers]);
  const known = new Set([...knowledge.keys(), ...(end?.keys() ?? [])]);
  if (writers.size <= writersMax && known.size <= writersMax) return undefined;
  return { reason: "full", detail: `more than ${writersMax} writers` };
}
