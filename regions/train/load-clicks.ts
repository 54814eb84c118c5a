import { createKeyBook, encodeSamples, type KeyBook } from "../../protocols/learning/sample-set.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { crc32c } from "../../protocols/wire/checksum.ts";
import { type DataReport } from "../data/data-report.ts";
import { openData } from "../data/open-data.ts";
import { REPLAY_DENSE } from "../data/replay.ts";
import { type ClickCounts, clickSamples } from "./click-samples.ts";
import { sampleChecksum } from "./load-samples.ts";
import { columnsOf } from "./read-samples.ts";

/** What clicks come to, as one reading of them has shown. No sample of them is held. */
export interface CountedClicks {
  readonly title: string;
  readonly counts: ClickCounts;
  readonly samples: number;
  /** When the first and the last label become known, milliseconds since the epoch. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Every key of them, in the order in which they come. */
  readonly book: KeyBook;
  readonly report: DataReport;
  /** Equal for equal samples: what a checkpoint belongs to. */
  readonly digest: string;
}

/** A model reads what clicks do not have. */
class UnfitModel extends Error {
  override readonly name = "UnfitModel";

  constructor(model: string, of: { readonly folder: string; readonly unknown: string; readonly known: string }) {
    super(
      `Cannot train model ${JSON.stringify(model)} on the clicks in ${JSON.stringify(of.folder)}: it reads ${of.unknown}, ` +
        `and a replay of them has ${of.known}`,
    );
  }
}

/** Throws `UnfitModel` where a model reads anything that a replay of the clicks does not give. */
export function refuseUnknown(
  model: ModelDeclaration,
  { folder, features }: { readonly folder: string; readonly features: readonly string[] },
): void {
  const texts = ["user", "item", ...features];
  const read = columnsOf(model);
  const unknown = [
    ...read.features.filter((name) => !texts.includes(name)),
    ...read.numbers.filter((name) => !REPLAY_DENSE.some((each) => each === name)).map((name) => `the number ${name}`),
  ];
  if (unknown.length === 0) return;
  const known = `${texts.join(", ")} and the numbers ${REPLAY_DENSE.join(" and ")}`;
  throw new UnfitModel(model.name, { folder, unknown: unknown.join(", "), known });
}

/** Reads all clicks of a folder once. `onBatch` hears how much is read, 0 to 1; undefined where it wanted no more. */
export async function countClicks(
  folder: string,
  given: {
    readonly model: ModelDeclaration;
    readonly seed: number;
    readonly batch: number;
    readonly signal: AbortSignal;
    readonly onProgress: (share: number) => void;
  },
): Promise<CountedClicks | undefined> {
  const { model, seed, batch, signal } = given;
  const data = await openData(folder);
  const book = createKeyBook(model);
  const counts = { clicks: 0, unknown: 0 };
  let [samples, firstMs, lastMs, digest] = [0, Number.NaN, Number.NaN, 0];
  let turnMs = performance.now();
  for await (const some of clickSamples(data, { seed, batch, counts })) {
    const checksum = sampleChecksum(encodeSamples(model, book, some));
    digest = crc32c(new TextEncoder().encode(`${digest} ${some.length} ${checksum}`));
    if (samples === 0) firstMs = some[0]?.timeMs ?? firstMs;
    lastMs = some.at(-1)?.timeMs ?? lastMs;
    samples += some.length;
    if (performance.now() - turnMs < TURN_MS) continue;
    given.onProgress(data.report.done);
    await new Promise((resolve) => setImmediate(resolve));
    turnMs = performance.now();
    if (signal.aborted) return undefined;
  }
  const { title, report } = data;
  return { title, counts, samples, firstMs, lastMs, book, report, digest: digest.toString(36) };
}

const TURN_MS = 200;
