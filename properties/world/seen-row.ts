import { mixUint32 } from "../../protocols/random.ts";
import { type Known, type Settled } from "../../protocols/sync/horizon.ts";
import { type Replica } from "../../protocols/sync/replica.ts";
import { type Version, type WriterId } from "../../protocols/sync/version.ts";

/** A row as it was last seen at a replica. Lists of these are by key. */
export interface SeenRow {
  readonly version: Version;
  readonly value: number;
  readonly found: number;
}

/** One write as it was made. */
export interface Update {
  readonly key: number;
  readonly version: Version;
  /** 0 for a deletion. */
  readonly value: number;
  readonly deleted: boolean;
}

/** How many rows knowledge does not cover. */
export function countAhead(
  rows: readonly (SeenRow | undefined)[],
  { knowledge, horizon }: Pick<Replica, "knowledge" | "horizon">,
): number {
  let ahead = 0;
  for (const row of rows) {
    if (row === undefined || row.version.t <= settledBy(horizon, row.version.writer)) continue;
    if (row.version.t > (knowledge.get(row.version.writer) ?? 0)) ahead += 1;
  }
  return ahead;
}

/** Whether two replicas hold the same. */
export function sameRows(a: readonly (SeenRow | undefined)[], b: readonly (SeenRow | undefined)[]): boolean {
  for (let key = 0; key < Math.max(a.length, b.length); key += 1) {
    const one = a[key];
    const other = b[key];
    if (one === other) continue;
    if (one === undefined || other === undefined || !sameVersion(one.version, other.version)) return false;
    if (one.value !== other.value || one.found !== other.found) return false;
  }
  return true;
}

export function listRows(rows: readonly (SeenRow | undefined)[]): string {
  return rows.map((row) => row && `${text(row.version)}=${row.value}${row.found}`).join();
}

/** Equal for equal knowledge, and else different but once in 2^53: so rarely may two replicas be compared that know different things. */
export function hashKnowledge({ knowledge, horizon }: Pick<Replica, "knowledge" | "horizon">): number {
  const { epoch, settled, expired } = horizon;
  let low = mixUint32(mixUint32(1 + epoch, settled % 0x1_0000_0000), settled / 0x1_0000_0000);
  const gone = expired.get(0) ?? 0;
  // Into both halves: of one alone too few bits are left, and two expiries of one knowledge were once taken for the same.
  low = mixUint32(mixUint32(low, gone % 0x1_0000_0000), gone / 0x1_0000_0000);
  let high = mixUint32(low, gone % 0x1_0000_0000);
  for (const [writer, t] of knowledge) {
    let name = writer.length;
    for (let at = 0; at < writer.length; at += 1) name = (Math.imul(name, 31) + writer.charCodeAt(at)) | 0;
    const first = mixUint32(mixUint32(name, t % 0x1_0000_0000), t / 0x1_0000_0000);
    low = (low + first) >>> 0;
    high = (high + mixUint32(first, name)) >>> 0;
  }
  return (high >>> 11) * 0x1_0000_0000 + low;
}

export function sameVersion(a: Version, b: Version): boolean {
  return a.t === b.t && a.writer === b.writer;
}

export function text(version: Version | undefined): string {
  return version === undefined ? "nothing" : `(${version.t}, ${version.writer})`;
}

/** Whether `a` comes before `b`: by epoch, then t, then writer. */
export function isOlder(a: Version, b: Version): boolean {
  if (a.writer === b.writer) return a.t < b.t;
  const epochs = epochIn(a.writer) - epochIn(b.writer);
  if (epochs !== 0) return epochs < 0;
  return a.t === b.t ? a.writer < b.writer : a.t < b.t;
}

/** The number that a writer id begins with; nearly all have one digit, and this is asked of each row after each step. */
export function epochIn(writer: WriterId): number {
  return writer[1] === "." ? writer.charCodeAt(0) - 48 : Number.parseInt(writer, 10);
}

/** Up to which t what a writer stamped is settled: all of it, where it is of an earlier epoch. */
export function settledBy({ epoch, settled }: Settled, writer: WriterId): number {
  const epochs = epochIn(writer) - epoch;
  if (epochs < 0) return Infinity;
  return epochs > 0 ? 0 : settled;
}

/** Whether `a` knows all that `b` knows. */
export function knowsAll(a: Known, b: Known): boolean {
  if (a.epoch < b.epoch || (a.epoch === b.epoch && a.settled < b.settled)) return false;
  for (const [writer, t] of b.knowledge) {
    if (t > Math.max(settledBy(a, writer), a.knowledge.get(writer) ?? 0)) return false;
  }
  return true;
}
