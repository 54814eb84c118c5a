/*
 * A million live updates to one follower in rounds, then three hundred thousand while it is away, and what it takes to catch up.
 */
import { type TableSpec } from "../../protocols/sync/row-store.ts";
import { type ScreenOutput } from "../../regions/demo/screen.ts";
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { type LinkCounts, SYNC_TABLE, SyncLink } from "./sync-link.ts";
import { SYNC_WORKLOAD } from "./sync-workload.ts";
import { AWAY_UPDATES, LIVE_UPDATES, type PeerCost, ROUND } from "./peer-work.ts";
import { requireEqual } from "./sync-equal.ts";
import { figureOf } from "./sync-figure.ts";

/** The same numbers, half as long. Its state would be the exact numbers: the ends of this bench hold none. */
const HALF_TABLE: TableSpec = {
  ...SYNC_TABLE,
  valueBytes: SYNC_TABLE.valueBytes / 2,
  stateBytes: SYNC_TABLE.valueBytes,
  precision: "f16",
};

/** Freshet's own part of `bench sync-peers`: the same work as the peers do. */
export async function measureOurs({ signal }: BenchOptions): Promise<PeerCost> {
  await using link = await SyncLink.start({}, signal);
  // The peers' writers draw as they go.
  const { live } = await runLive(link, { isDrawn: false });
  const { cost } = await runCatchUp(link);
  return {
    peer: "freshet",
    liveBytes: live.bytesDown,
    writerS: live.writerS,
    replicaS: live.followerS,
    catchUpBytes: cost.bytesDown,
    isEqual: true,
  };
}

/** Loads all rows, then a million updates; throws unless both ends are equal then. */
async function runLive(link: SyncLink, options: { readonly isDrawn: boolean }): Promise<Live> {
  await link.follower.ask("follow", { on: true });
  await link.writer.ask("load", { round: ROUND });
  return runRounds(link, options);
}

/** A million updates, drawn beforehand or as they are written; throws unless both ends are equal then. */
async function runRounds(link: SyncLink, { isDrawn }: { readonly isDrawn: boolean }): Promise<Live> {
  const { writer } = link;
  if (isDrawn) await writer.ask("draw", { updates: LIVE_UPDATES, round: ROUND });
  const before = await link.counts();
  const { ms } = await writer.ask("rounds", { updates: LIVE_UPDATES, round: ROUND });
  const live = difference(before, await link.counts());
  await requireEqual(link);
  return { live, ms };
}

/** Updates while the follower is away, and what it takes to bring it back; throws unless both ends are equal then. */
async function runCatchUp(link: SyncLink): Promise<{ readonly cost: Cost; readonly seconds: number }> {
  const { writer, follower } = link;
  await follower.ask("follow", { on: false });
  const { version } = await writer.ask("write", { updates: AWAY_UPDATES });
  const before = await link.counts();
  const beganMs = performance.now();
  await follower.ask("follow", { on: true });
  await follower.ask("until", { version });
  const seconds = (performance.now() - beganMs) / 1000;
  const cost = difference(before, await link.counts());
  await requireEqual(link);
  return { cost, seconds };
}

export async function* measureLive({ progress, signal }: BenchOptions): AsyncGenerator<BenchFigure> {
  await using link = await SyncLink.start({}, signal);
  progress.write(`sync: ${LIVE_UPDATES} live updates of ${SYNC_WORKLOAD.keys} rows\n`);
  const { live, ms } = await runLive(link, { isDrawn: true });
  yield* describe("live", live, { bytes: 34e6, writerS: 0.6, followerS: 0.25 });
  yield figureOf("live: updates per second", LIVE_UPDATES / (ms / 1000), "1/s");
  yield figureOf("live: rows on the link", live.rows, "rows");
  yield figureOf("live: bytes per row on the link", live.bytesDown / live.rows, "B");
  if (signal.aborted) return;

  yield* measureCatchUp(link, { name: "catch-up", bytesMax: 78, progress });
  if (signal.aborted) return;
  const { live: later } = await runRounds(link, { isDrawn: true });
  yield figureOf("live, the next million: CPU of the writer", later.writerS, "s");
  yield figureOf("live, the next million: CPU of the follower", later.followerS, "s");
}

/** The same catch-up of a table whose numbers take 16 bits. */
export async function* measureHalf({ progress, signal }: BenchOptions): AsyncGenerator<BenchFigure> {
  await using link = await SyncLink.start({ table: HALF_TABLE }, signal);
  await link.follower.ask("follow", { on: true });
  await link.writer.ask("load", { round: ROUND });
  yield* measureCatchUp(link, { name: "catch-up of f16 rows", bytesMax: 46, progress });
}

async function* measureCatchUp(
  link: SyncLink,
  { name, bytesMax, progress }: { readonly name: string; readonly bytesMax: number; readonly progress: ScreenOutput },
): AsyncGenerator<BenchFigure> {
  progress.write(`sync: ${name} after ${AWAY_UPDATES} updates\n`);
  const { cost, seconds } = await runCatchUp(link);
  yield* describe(name, cost, {});
  yield figureOf(`${name}: rows`, cost.rows, "rows");
  yield figureOf(`${name}: bytes per row on the link`, cost.bytesDown / cost.rows, "B", { atMost: bytesMax });
  yield figureOf(`${name}: time`, seconds, "s");
}

interface Live {
  readonly live: Cost;
  readonly ms: number;
}

interface Cost {
  readonly bytesDown: number;
  readonly bytesUp: number;
  readonly payloadDown: number;
  readonly writerS: number;
  readonly followerS: number;
  readonly writerCoreS: number;
  readonly followerCoreS: number;
  readonly rows: number;
}

function difference(before: LinkCounts, after: LinkCounts): Cost {
  return {
    bytesDown: after.serverToFollowerBytes - before.serverToFollowerBytes,
    bytesUp: after.serverFromFollowerBytes - before.serverFromFollowerBytes,
    payloadDown: after.follower.payloadInBytes - before.follower.payloadInBytes,
    writerS: (after.writerCpuMs - before.writerCpuMs) / 1000,
    followerS: (after.followerCpuMs - before.followerCpuMs) / 1000,
    writerCoreS: (after.writer.coreMs - before.writer.coreMs) / 1000,
    followerCoreS: (after.follower.coreMs - before.follower.coreMs) / 1000,
    rows: after.follower.rowsApplied - before.follower.rowsApplied,
  };
}

function* describe(
  name: string,
  cost: Cost,
  target: { readonly bytes?: number; readonly writerS?: number; readonly followerS?: number },
): Generator<BenchFigure> {
  yield figureOf(`${name}: bytes to the follower, by the server`, cost.bytesDown, "B", { atMost: target.bytes });
  yield figureOf(`${name}: bytes to the follower, payload`, cost.payloadDown, "B");
  yield figureOf(`${name}: bytes from the follower, by the server`, cost.bytesUp, "B");
  yield figureOf(`${name}: CPU of the writer`, cost.writerS, "s", { atMost: target.writerS });
  yield figureOf(`${name}: CPU of the follower`, cost.followerS, "s", { atMost: target.followerS });
  yield figureOf(`${name}: elapsed in the writer's core`, cost.writerCoreS, "s");
  yield figureOf(`${name}: elapsed in the follower's core`, cost.followerCoreS, "s");
}
