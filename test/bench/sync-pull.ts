/*
 * Whether a pull of a few changed rows costs the same in a large shard as in a small one.
 */
import { type BenchFigure, type BenchOptions } from "./bench-figure.ts";
import { figureOf } from "./sync-figure.ts";
import { SyncLink } from "./sync-link.ts";
import { SYNC_WORKLOAD } from "./sync-workload.ts";

const FEW_ROWS = 10_000;
const MANY_ROWS = 10_000_000;
/** The rows that change, in turn, scattered over all: both shards' caches hold the same. */
const HOT_ROWS = 10_000;
const CHANGED = 1_000;
const PULLS = 200;
const WARM_UP = 50;
const ROUND_TRIP_MAX = 1.3;
const CORE_MAX = 3;

interface PullCost {
  readonly visited: number;
  readonly roundTripMs: number;
  readonly coreMs: number;
}

export async function* measurePull(options: BenchOptions): AsyncGenerator<BenchFigure> {
  const few = await costOfPulls(FEW_ROWS, options);
  if (options.signal.aborted) return;
  const many = await costOfPulls(MANY_ROWS, options);
  const name = `pull of ${CHANGED} of ${MANY_ROWS} rows`;
  const compared = `of ${FEW_ROWS}`;
  const ratio = many.visited / few.visited;
  yield {
    ...figureOf(`${name}: entries visited`, many.visited, ""),
    compared: `${compared}: ${few.visited}`,
    ratio,
    target: "equal",
    met: ratio === 1,
  };
  yield ratioFigure(`${name}: time with the round trip`, {
    few: few.roundTripMs,
    many: many.roundTripMs,
    max: ROUND_TRIP_MAX,
  });
  yield ratioFigure(`${name}: time in the core, both ends`, { few: few.coreMs, many: many.coreMs, max: CORE_MAX });
}

function ratioFigure(name: string, { few, many, max }: { few: number; many: number; max: number }): BenchFigure {
  const ratio = many / few;
  return {
    ...figureOf(name, many, "ms"),
    compared: `of ${FEW_ROWS}: ${few.toFixed(2)}`,
    ratio,
    target: `<= ${max}x`,
    met: ratio <= max,
  };
}

async function costOfPulls(rows: number, { progress, signal }: BenchOptions): Promise<PullCost> {
  progress.write(`sync: pulls from a shard of ${rows} rows\n`);
  await using link = await SyncLink.start(
    { workload: { ...SYNC_WORKLOAD, keys: HOT_ROWS }, order: "sweep", keyStride: rows / HOT_ROWS, rows },
    signal,
  );
  const costs: PullCost[] = [];
  for (let pull = 0; pull < PULLS; pull += 1) {
    await link.writer.ask("write", { updates: CHANGED });
    const [writerBefore, followerBefore] = [await link.writer.ask("counts", {}), await link.follower.ask("counts", {})];
    const { ms } = await link.follower.ask("pull-once", {});
    const [writerAfter, followerAfter] = [await link.writer.ask("counts", {}), await link.follower.ask("counts", {})];
    if (pull < WARM_UP) continue;
    costs.push({
      visited: writerAfter.visited - writerBefore.visited,
      roundTripMs: ms,
      coreMs: writerAfter.coreMs - writerBefore.coreMs + (followerAfter.coreMs - followerBefore.coreMs),
    });
  }
  return {
    visited: median(costs.map(({ visited }) => visited)),
    roundTripMs: median(costs.map(({ roundTripMs }) => roundTripMs)),
    coreMs: median(costs.map(({ coreMs }) => coreMs)),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
