import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Click, problemOf } from "./click.ts";
import { type DataReport, noteBroken } from "./data-report.ts";
import { readCsv } from "./read-csv.ts";

/** The files that make a folder MovieLens. */
export const MOVIELENS_FILES = ["ratings.csv", "movies.csv"] as const;

/** The features of a film and of a moment. */
export const MOVIELENS_FEATURES = ["genre", "decade", "hour"] as const;

/** The lowest rating that counts as a click. */
const CLICK_RATING_MIN = 4;

const RATINGS_MAX = 40_000_000;
const MOVIES_MAX = 1_000_000;
const BATCH = 4_096;

/** What is known of each film, by its id: its first genre and its decade. */
export async function readMovies(
  folder: string,
  report: DataReport,
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const movies = new Map<string, Readonly<Record<string, string>>>();
  const path = join(folder, "movies.csv");
  report.bytesTotal += (await stat(path)).size;
  for await (const rows of readCsv(path, { columns: ["movieId", "title", "genres"], report })) {
    for (const { line, fields } of rows) {
      const [movie = "", title = "", genres = ""] = fields;
      if (movies.size >= MOVIES_MAX) {
        noteBroken(report, { file: "movies.csv", line, why: `more than ${MOVIES_MAX} films` });
      } else movies.set(movie, { genre: genres.split("|", 1)[0]?.slice(0, 64) ?? "", decade: decadeOf(title) });
    }
  }
  return movies;
}

/** The ratings of 4 and more, as clicks in time order; equal times in the file's order. Holds all ratings, packed. */
export async function* readRatings(folder: string, report: DataReport): AsyncGenerator<readonly Click[]> {
  const path = join(folder, "ratings.csv");
  report.bytesTotal += (await stat(path)).size;
  let columns = new Float64Array(3 * 65_536);
  let count = 0;
  for await (const rows of readCsv(path, { columns: ["userId", "movieId", "rating", "timestamp"], report })) {
    for (const { line, fields } of rows) {
      const [user = "", item = "", rating = "", seconds = ""] = fields;
      const time = Number(seconds) * 1_000;
      const why =
        problemOfRating({ user, item, rating, time }) ??
        (count >= RATINGS_MAX ? `more than ${RATINGS_MAX} ratings` : undefined);
      if (why !== undefined) {
        noteBroken(report, { file: "ratings.csv", line, why });
        continue;
      }
      report.rows += 1;
      if (Number(rating) < CLICK_RATING_MIN) {
        report.notClicks += 1;
        continue;
      }
      if (3 * count === columns.length) {
        const wider = new Float64Array(2 * columns.length);
        wider.set(columns);
        columns = wider;
      }
      columns.set([time, Number(user), Number(item)], 3 * count);
      count += 1;
    }
  }

  function at(index: number, column: number): number {
    return columns[3 * index + column] ?? 0;
  }
  const order = Uint32Array.from({ length: count }, (_, index) => index).sort(
    (one, other) => at(one, 0) - at(other, 0) || one - other,
  );
  for (let start = 0; start < count; start += BATCH) {
    report.done = start / count;
    yield Array.from(order.subarray(start, start + BATCH), (index) => {
      const time = at(index, 0);
      return {
        time,
        user: String(at(index, 1)),
        item: String(at(index, 2)),
        context: { hour: String(new Date(time).getUTCHours()) },
      };
    });
  }
  report.done = 1;
}

function problemOfRating(row: {
  readonly user: string;
  readonly item: string;
  readonly rating: string;
  readonly time: number;
}): string | undefined {
  if (!INTEGER.test(row.user)) return `userId ${JSON.stringify(row.user.slice(0, 40))} is not a whole number`;
  if (!INTEGER.test(row.item)) return `movieId ${JSON.stringify(row.item.slice(0, 40))} is not a whole number`;
  const rating = Number(row.rating);
  if (row.rating.trim() === "" || !(rating >= 0 && rating <= 5)) {
    return `rating ${JSON.stringify(row.rating.slice(0, 40))} is not between 0 and 5`;
  }
  return problemOf({ ...row, context: {} });
}

// Without leading zeros and small enough for a float, so that the text can be made again from the number.
const INTEGER = /^(?:0|[1-9]\d{0,14})$/;

function decadeOf(title: string): string {
  const year = /\((\d{3})\d\)\s*$/.exec(title)?.[1];
  return year === undefined ? "unknown" : `${year}0s`;
}
