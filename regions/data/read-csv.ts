import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { messageOf } from "../../protocols/wire/error-message.ts";
import { parseCsv } from "./csv.ts";
import { UnreadableDataFile } from "./data-errors.ts";
import { type DataReport, noteBroken } from "./data-report.ts";

/** A row of a CSV file: the fields of the columns asked for, in the order they were asked for, and its line. */
export interface CsvRow {
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * Reads the named columns of a CSV file with a header, packed when its name ends in .gz, a piece at a time.
 * Rows of another width than the header's are counted as broken. A file without these columns or with one of
 * them twice, or one that ends before its time, is an `UnreadableDataFile`; the rows before the end have been given out by then.
 */
export async function* readCsv(
  path: string,
  options: { readonly columns: readonly string[]; readonly report: DataReport },
): AsyncGenerator<readonly CsvRow[]> {
  const { columns, report } = options;
  const file = basename(path);
  let header: { readonly width: number; readonly at: readonly number[] } | undefined;
  for await (const records of parseCsv(readText(path, report))) {
    const rows: CsvRow[] = [];
    for (const record of records) {
      if (record.kind === "broken" && header === undefined) {
        throw new UnreadableDataFile(
          path,
          `its first line must name the columns ${columns.join(", ")}, and is no record: ${record.why}`,
        );
      } else if (record.kind === "broken") {
        noteBroken(report, { file, line: record.line, why: record.why });
      } else if (header === undefined) {
        header = { width: record.fields.length, at: findColumns(path, { header: record.fields, columns }) };
      } else if (record.fields.length === header.width) {
        rows.push({ line: record.line, fields: header.at.map((index) => record.fields[index] ?? "") });
      } else {
        noteBroken(report, {
          file,
          line: record.line,
          why: `${record.fields.length} fields instead of ${header.width}`,
        });
      }
    }
    if (rows.length > 0) yield rows;
  }
  if (header === undefined) {
    throw new UnreadableDataFile(path, `it is empty; its first line must name the columns ${columns.join(", ")}`);
  }
}

async function* readText(path: string, report: DataReport): AsyncGenerator<string> {
  const file = createReadStream(path);
  file.on("data", (chunk) => (report.bytesRead += chunk.length));
  // The error reaches the loop below through the last stream.
  const bytes: AsyncIterable<Uint8Array> = path.endsWith(".gz")
    ? pipeline(file, createGunzip(), () => undefined)
    : file;
  const decoder = new TextDecoder();
  try {
    for await (const chunk of bytes) yield decoder.decode(chunk, { stream: true });
  } catch (error) {
    throw new UnreadableDataFile(path, explain(error), { cause: error });
  }
  yield decoder.decode();
}

function explain(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "Z_BUF_ERROR") return "it ends in the middle; fetch or pack it again";
  if (code === "Z_DATA_ERROR") return "it is not gzip, or damaged; fetch or pack it again";
  if (code === "EACCES" || code === "EPERM") return "reading it is not permitted";
  if (code === "EISDIR") return "it is a folder";
  return messageOf(error);
}

function findColumns(
  path: string,
  options: { readonly header: readonly string[]; readonly columns: readonly string[] },
): readonly number[] {
  const header = options.header.map((name) => name.trim());
  const missing = options.columns.filter((name) => !header.includes(name));
  if (missing.length > 0) {
    throw new UnreadableDataFile(
      path,
      `its first line must name the columns ${options.columns.join(", ")}; missing are ${missing.join(", ")}`,
    );
  }
  const twice = options.columns.find((name) => header.indexOf(name) !== header.lastIndexOf(name));
  if (twice !== undefined) {
    const [one, other] = [header.indexOf(twice) + 1, header.lastIndexOf(twice) + 1];
    throw new UnreadableDataFile(
      path,
      `its first line names ${JSON.stringify(twice)} twice, as columns ${one} and ${other}; give one of them another name`,
    );
  }
  return options.columns.map((name) => header.indexOf(name));
}
