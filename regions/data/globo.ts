import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Click, problemOf } from "./click.ts";
import { type DataReport, noteBroken } from "./data-report.ts";
import { readCsv } from "./read-csv.ts";
import { type Arrivals, inTimeOrder } from "./time-order.ts";

/** Names of the files of the Globo.com clicks, one an hour. */
export const GLOBO_FILE = /^clicks_hour_\d+\.csv(?:\.gz)?$/;

/** The features of a click's moment. */
export const GLOBO_FEATURES = ["environment", "device", "os", "country", "region", "referrer"] as const;

const COLUMNS = [
  "user_id",
  "click_article_id",
  "click_timestamp",
  "click_environment",
  "click_deviceGroup",
  "click_os",
  "click_country",
  "click_region",
  "click_referrer_type",
];

// A file holds the sessions that began in its hour, so its clicks reach into later hours, for a few sessions by days.
// Hours with hardly a session begin late: an hour of slack covers what the published files do.
const SLACK_MS = 3_600_000;
const PENDING_MAX = 1_000_000;

/** The clicks of a folder of hourly files, in time order. */
export function readGlobo(
  folder: string,
  options: { readonly files: readonly string[]; readonly report: DataReport },
): AsyncGenerator<readonly Click[]> {
  return inTimeOrder(arrivals(folder, options), { pendingMax: PENDING_MAX, report: options.report });
}

async function* arrivals(
  folder: string,
  options: { readonly files: readonly string[]; readonly report: DataReport },
): AsyncGenerator<Arrivals<Click>> {
  const { report } = options;
  const paths = options.files.toSorted(byNumber).map((file) => join(folder, file));
  for (const path of paths) report.bytesTotal += (await stat(path)).size;
  let until = Number.NEGATIVE_INFINITY;
  for (const path of paths) {
    let first = Number.POSITIVE_INFINITY;
    for await (const rows of readCsv(path, { columns: COLUMNS, report })) {
      const clicks: Click[] = [];
      for (const { line, fields } of rows) {
        const [
          user = "",
          item = "",
          time = "",
          environment = "",
          device = "",
          os = "",
          country = "",
          region = "",
          referrer = "",
        ] = fields;
        const click: Click = {
          time: toTime(time),
          user,
          item,
          context: { environment, device, os, country, region, referrer },
        };
        const why = problemOf(click);
        if (why === undefined) {
          first = Math.min(first, click.time);
          clicks.push(click);
        } else {
          noteBroken(report, { file: basename(path), line, why });
        }
      }
      report.rows += clicks.length;
      report.done = report.bytesRead / report.bytesTotal;
      yield { rows: clicks, until };
    }
    if (Number.isFinite(first)) until = Math.max(until, first - SLACK_MS);
    yield { rows: [], until };
  }
}

function toTime(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

function byNumber(one: string, other: string): number {
  return numberIn(one) - numberIn(other);
}

function numberIn(file: string): number {
  return Number(/\d+/.exec(file)?.[0] ?? 0);
}
