/*
 * What freshness costs: a steady stream of updates, and answers to polls that keep a longer and longer distance.
 */
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { figureOf } from "./sync-figure.ts";
import { SyncLink } from "./sync-link.ts";
import { SYNC_WORKLOAD } from "./sync-workload.ts";

const GAPS_MS = [10, 100, 1_000];
const FOR_MS = 10_000;
const UPDATES_PER_SECOND = 20_000;
const STEP_MS = 5;

export async function* measureGaps({ forMs = FOR_MS, progress, signal }: BenchOptions): AsyncGenerator<BenchFigure> {
  for (const gapMs of GAPS_MS) {
    if (signal.aborted) return;
    progress.write(`sync: ${UPDATES_PER_SECOND} updates a second, answers ${gapMs} ms apart\n`);
    await using link = await SyncLink.start({ rows: SYNC_WORKLOAD.keys, gapMs }, signal);
    const { writer, follower } = link;
    await follower.ask("follow", { on: true });
    await follower.ask("lag", {});
    const before = await link.counts();
    const { updates, version } = await writer.ask("steady", { forMs, perSecond: UPDATES_PER_SECOND, everyMs: STEP_MS });
    await follower.ask("until", { version });
    const after = await link.counts();
    const { p50Ms, p99Ms } = await follower.ask("lag", {});
    const name = `gap of ${gapMs} ms`;
    yield figureOf(`${name}: lag p50`, p50Ms, "ms");
    yield figureOf(`${name}: lag p99`, p99Ms, "ms");
    yield figureOf(
      `${name}: bytes on the link per update`,
      (after.serverToFollowerBytes +
        after.serverFromFollowerBytes -
        before.serverToFollowerBytes -
        before.serverFromFollowerBytes) /
        updates,
      "B",
    );
    yield figureOf(
      `${name}: rows on the link per update`,
      (after.follower.rowsApplied - before.follower.rowsApplied) / updates,
      "",
    );
    yield figureOf(
      `${name}: CPU of the writer per 1,000 updates`,
      (after.writerCpuMs - before.writerCpuMs) / (updates / 1_000),
      "ms",
    );
  }
}
