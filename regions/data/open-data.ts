import { readdir } from "node:fs/promises";
import { type Click } from "./click.ts";
import { NoUsableData, UnknownDataFormat } from "./data-errors.ts";
import { describeBroken, type DataReport, emptyReport } from "./data-report.ts";
import { GLOBO_FEATURES, GLOBO_FILE, readGlobo } from "./globo.ts";
import { MOVIELENS_FEATURES, MOVIELENS_FILES, readMovies, readRatings } from "./movielens.ts";

/** A data set in a folder, ready to be read once. */
export interface DataSet {
  readonly kind: "globo" | "movielens";
  /** How to call it in front of people. */
  readonly title: string;
  /** Names of the categorical features that its impressions have. */
  readonly features: readonly string[];
  /** How far back popularity looks: about as long as it takes many users to come by. */
  readonly popularityMs: number;
  /** Kept up to date by `clicks`. */
  readonly report: DataReport;
  /** All clicks in time order, in batches of bounded size. Fails with `NoUsableData` at the end when there was none. */
  readonly clicks: () => AsyncGenerator<readonly Click[]>;
  /** What is known of an item whenever it is shown. */
  readonly featuresOf: (item: string) => Readonly<Record<string, string>>;
}

/** Finds out which data set a folder holds. Nothing of the clicks is read yet. */
export async function openData(folder: string): Promise<DataSet> {
  const names = await listFolder(folder);
  const report = emptyReport();
  const hours = names.filter((name) => GLOBO_FILE.test(name));
  if (hours.length > 0) {
    return {
      kind: "globo",
      title: "news clicks of Globo.com",
      features: GLOBO_FEATURES,
      popularityMs: 3_600_000,
      report,
      clicks: () => refuseNone(folder, { clicks: readGlobo(folder, { files: hours, report }), report }),
      featuresOf: () => NOTHING,
    };
  }
  if (MOVIELENS_FILES.every((name) => names.includes(name))) {
    const movies = await readMovies(folder, report);
    return {
      kind: "movielens",
      title: "film ratings of MovieLens (4 stars and more are clicks)",
      features: MOVIELENS_FEATURES,
      // Raters come one after the other, years apart: what was popular within an hour is what one of them chose.
      popularityMs: 365 * 86_400_000,
      report,
      clicks: () => refuseNone(folder, { clicks: readRatings(folder, report), report }),
      featuresOf: (item) => movies.get(item) ?? UNKNOWN_MOVIE,
    };
  }
  const found =
    names.length === 0 ? "it is empty" : `it has ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", ..." : ""}`;
  throw new UnknownDataFormat(folder, found);
}

const NOTHING = {};
const UNKNOWN_MOVIE = { genre: "unknown", decade: "unknown" };

async function listFolder(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") throw new UnknownDataFormat(folder, "there is no such folder");
    if (code === "ENOTDIR") throw new UnknownDataFormat(folder, "it is a file, not a folder");
    if (code === "EACCES") throw new UnknownDataFormat(folder, "reading it is not permitted");
    throw error;
  }
}

async function* refuseNone(
  folder: string,
  options: { readonly clicks: AsyncIterable<readonly Click[]>; readonly report: DataReport },
): AsyncGenerator<readonly Click[]> {
  let some = false;
  for await (const batch of options.clicks) {
    some ||= batch.length > 0;
    yield batch;
  }
  if (some) return;
  const { rows, broken, firstBroken } = options.report;
  const first = firstBroken[0] === undefined ? "" : `, the first ${describeBroken(firstBroken[0])}`;
  throw new NoUsableData(folder, `no click in ${rows} rows; ${broken} lines are broken${first}`);
}
