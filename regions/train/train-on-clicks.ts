import { WrongUsage } from "../cli/command.ts";
import { describeBroken } from "../data/data-report.ts";
import { type DataSet, openData } from "../data/open-data.ts";
import { clickSamples } from "./click-samples.ts";
import { describeRefusal } from "./describe-refusal.ts";
import { type CountedClicks, countClicks, refuseUnknown } from "./load-clicks.ts";
import { NoSamples } from "./read-samples.ts";
import { describeDamage, describeProgress } from "./run-terminal.ts";
import { openStreamCheckpoints } from "./stream-checkpoint.ts";
import { qualityOf, streamFigures, streamPage, type StreamReport } from "./stream-report.ts";
import { WINDOWS_MAX } from "./stream-quality.ts";
import { runStream } from "./stream-run.ts";
import { type PreparedRun } from "./train-request.ts";
import { refuseTightBudgets } from "./unfit-tables.ts";

/** As a region's trainer has it. */
const BATCH = 256;
/** How many windows the clicks' time is parted into. */
const WINDOWS = 100;

/** Learns a folder's clicks, each once, in time order. Gives the exit code. */
export async function trainOnClicks(
  { request, layout, rules, out, backend, terminal, signal }: PreparedRun,
  { features }: DataSet,
): Promise<number> {
  const { say, progress } = terminal;
  const { model } = layout;
  const { data: folder } = request;
  const { seed } = request.settings;
  const batch = request.batch ?? BATCH;
  refuseUnknown(model, { folder, features });
  say(`Reading the clicks in ${folder}`);
  const data = await countClicks(folder, {
    model,
    seed,
    batch,
    signal,
    onProgress: (share) => progress(`reading  ${Math.floor(100 * share)} %`),
  });
  if (data === undefined) {
    say("Stopped before anything was learned");
    return 1;
  }
  describeClicks(data, say);
  if (data.samples === 0) throw new NoSamples(folder, `none of its ${data.counts.clicks} clicks makes a request`);
  refuseTightBudgets(layout, { book: data.book, trainKeys: data.book.map(({ size }) => size) });
  const windowMs = windowOf(data, request.windowMs);
  const settings = { batch, seed, windowMs };
  const run = JSON.stringify(["clicks", layout.digest, ...rules, data.digest, batch, seed, windowMs, request.backend]);
  const ran = await runStream({
    layout,
    book: data.book,
    batches: clickSamples(await openData(folder), { seed, batch, counts: { clicks: 0, unknown: 0 } }),
    batchMax: batch,
    backend,
    startMs: data.firstMs,
    windowMs,
    checkpoints: openStreamCheckpoints(out, { run, onDamage: (why) => say(describeDamage(why)) }),
    saveMs: request.saveMs,
    signal,
    onResume(done) {
      if (done < data.samples) say(`Goes on after ${done} samples`);
      else say("It was learned to its end before; --restart begins anew");
    },
    onReread: (share) => progress(`reading what was learned before  ${Math.floor(100 * share)} %`),
    onProgress: (done, perSecond) => progress(describeProgress({ done, samples: data.samples, perSecond })),
    onWindow: (window) =>
      say(`${new Date(window.at).toISOString()}  ${window.samples} samples  ${streamFigures(window)}`),
    onRefused(refused, samples) {
      function place(sample: number, feature: string): string {
        const { request: id = "", item = "", user = "" } = samples[sample] ?? {};
        return `the ${feature} of item ${JSON.stringify(item)} in ${id}, of user ${JSON.stringify(user)}`;
      }
      say(describeRefusal(layout, { refused, place }));
    },
  });
  const report: StreamReport = {
    model,
    data: {
      folder,
      title: data.title,
      clicks: data.counts.clicks,
      unknown: data.counts.unknown,
      samples: data.samples,
      from: new Date(data.firstMs).toISOString(),
      to: new Date(data.lastMs).toISOString(),
      keys: Object.fromEntries(model.tables.map(({ name }, at) => [name, data.book[at]?.size ?? 0])),
      broken: data.report.broken,
      late: data.report.late,
    },
    settings,
    backend: request.backend,
    ...qualityOf(ran.quality),
    refused: { batches: ran.at.refusedBatches, samples: ran.at.refusedSamples },
    done: ran.at.done,
    isOver: ran.isOver,
    rows: Object.fromEntries(model.tables.map(({ name }, at) => [name, ran.rows[at] ?? 0])),
    samplesPerSecond: ran.seconds === 0 ? 0 : ran.samples / ran.seconds,
  };
  if (ran.isOver) say(`all samples  ${streamFigures(report.quality)}`);
  else say("Stopped; the same command goes on from here");
  await terminal.report(out, report, streamPage(report));
  return ran.isOver ? 0 : 1;
}

/** Throws `WrongUsage` where the windows that were asked for are too many. */
function windowOf({ firstMs, lastMs }: CountedClicks, wantedMs: number | undefined): number {
  const spanMs = lastMs + 1 - firstMs;
  const leastMs = Math.ceil(spanMs / WINDOWS_MAX);
  if (wantedMs === undefined) return Math.ceil(spanMs / WINDOWS);
  if (wantedMs >= leastMs) return wantedMs;
  throw new WrongUsage(
    "train",
    `--window is ${wantedMs}ms; allowed: at least ${Math.ceil(leastMs / 1000)}s, a thousandth of the clicks' time, which is from ${new Date(firstMs).toISOString()} to ${new Date(lastMs).toISOString()}`,
  );
}

function describeClicks({ title, counts, samples, report }: CountedClicks, say: (line: string) => void): void {
  say(`${title}: ${counts.clicks} clicks, ${counts.unknown} of which make no request; ${samples} samples`);
  const { broken, firstBroken, late } = report;
  if (broken > 0) say(`${broken} lines were left out:`);
  for (const line of firstBroken) say(`  ${describeBroken(line)}`);
  if (late > 0) say(`${late} clicks that come too long after later ones were left out`);
}
