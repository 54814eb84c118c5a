import { access } from "node:fs/promises";
import { basename, join } from "node:path";
import { type LabelledExample } from "../../protocols/learning/training-batch.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { CLICK_FILES } from "../data/data-errors.ts";
import { type DataReport, noteBroken } from "../data/data-report.ts";
import { readCsv } from "../data/read-csv.ts";

/** The parts of a labelled data set. There may be no `test`. */
export const PARTS = ["train", "valid", "test"] as const;
export type Part = (typeof PARTS)[number];

/** A folder without the files that training needs. */
export class NoSamples extends Error {
  override readonly name = "NoSamples";

  constructor(folder: string, why: string) {
    super(
      `Cannot train on ${JSON.stringify(folder)}: ${why}. It must hold train.csv and valid.csv, and may hold test.csv, each also as .csv.gz,\n` +
        `whose first line names a column "label" (0 or 1) and one for each table's key, each dense feature and each of the "slices" of the model;\n` +
        `or clicks: ${CLICK_FILES.join(", or ")}`,
    );
  }
}

/** Samples held at once; about 300 bytes each while they are read. */
const SAMPLES_MAX = 20_000_000;

/** Whether a folder has samples to train on, in their own file. */
export async function hasSamples(folder: string): Promise<boolean> {
  return (await isThere(join(folder, "train.csv"))) || (await isThere(join(folder, "train.csv.gz")));
}

/** Where each part lies. Throws `NoSamples` where one that is needed is missing. */
export async function findParts(folder: string): Promise<ReadonlyMap<Part, string>> {
  const found = new Map<Part, string>();
  for (const part of PARTS) {
    for (const name of [`${part}.csv`, `${part}.csv.gz`]) {
      const path = join(folder, name);
      if (!found.has(part) && (await isThere(path))) found.set(part, path);
    }
    if (!found.has(part) && part !== "test") throw new NoSamples(folder, `there is no ${part}.csv or ${part}.csv.gz`);
  }
  return found;
}

/** A sample, and the line of its file. */
export interface FileSample extends LabelledExample {
  readonly line: number;
}

/**
 * Reads one file's samples, some at a time. Lines that are no samples are counted and left out. An empty cell of a number is a number that is missing, as in
 * an event.
 */
export async function* readSamples(
  path: string,
  { model, report }: { readonly model: ModelDeclaration; readonly report: DataReport },
): AsyncGenerator<readonly FileSample[]> {
  const { features, numbers } = columnsOf(model);
  const lists = new Set(model.tables.flatMap(({ key, sequence }) => (sequence === undefined ? [] : [key])));
  const columns = ["label", ...features, ...numbers];
  const file = basename(path);
  for await (const rows of readCsv(path, { columns, report })) {
    const samples: FileSample[] = [];
    for (const { line, fields } of rows) {
      const [label = "", ...rest] = fields;
      const given = numbers
        .map((name, at) => [name, (rest[features.length + at] ?? "").trim()] as const)
        .filter(([, text]) => text !== "");
      const unfit = given.flatMap(([name, text]) => problemOfNumber(name, text) ?? []).at(0);
      const why =
        label !== "0" && label !== "1"
          ? `label ${JSON.stringify(label.slice(0, 40))} is neither 0 nor 1`
          : (unfit ?? (report.rows >= SAMPLES_MAX ? `more than ${SAMPLES_MAX} samples` : undefined));
      if (why !== undefined) {
        noteBroken(report, { file, line, why });
        continue;
      }
      report.rows += 1;
      const named = new Map(
        features.map((name, at) => {
          const text = rest[at] ?? "";
          return [name, lists.has(name) ? text.replaceAll("|", "\n") : text];
        }),
      );
      samples.push({
        user: named.get("user") ?? "",
        item: named.get("item") ?? "",
        features: Object.fromEntries(named),
        dense: Object.fromEntries(given.map(([name, text]) => [name, Number(text)])),
        label: Number(label),
        weight: 1,
        line,
      });
    }
    if (samples.length > 0) yield samples;
  }
}

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

function problemOfNumber(name: string, text: string): string | undefined {
  if (!DECIMAL.test(text)) return `${name} is ${JSON.stringify(text.slice(0, 40))}, which is no decimal number`;
  // Models compute with 32-bit numbers; events with larger ones are refused as well.
  if (Number.isFinite(Math.fround(Number(text)))) return undefined;
  return `${name} is ${text.slice(0, 40)}, which is larger than a 32-bit number may be (3.4e38)`;
}

/** What of a sample the model reads, or is judged by: texts and numbers. */
export function columnsOf({ tables, dense, derived = [], slices = [] }: ModelDeclaration): {
  readonly features: readonly string[];
  readonly numbers: readonly string[];
} {
  const made = new Set(derived.map(({ name }) => name));
  const crossed = derived.flatMap((feature) => (feature.kind === "crossed" ? feature.of : []));
  const texts = [...tables.map(({ key }) => key), ...crossed, ...slices].filter((name) => !made.has(name));
  const bucketised = derived.flatMap((feature) => (feature.kind === "bucketised" ? [feature.of] : []));
  return { features: [...new Set(texts)], numbers: [...new Set([...dense, ...bucketised])] };
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
