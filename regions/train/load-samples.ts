import { basename } from "node:path";
import {
  createKeyBook,
  encodeSamples,
  joinSamples,
  type KeyBook,
  type SampleSet,
} from "../../protocols/learning/sample-set.ts";
import { type ModelDeclaration } from "../../protocols/model.ts";
import { crc32c } from "../../protocols/wire/checksum.ts";
import { type DataReport, emptyReport } from "../data/data-report.ts";
import { findParts, NoSamples, PARTS, type Part, readSamples } from "./read-samples.ts";
import { SampleSlicer, type SampleSlices } from "./sample-slices.ts";

/** A data set in numbers. */
export interface LoadedSamples {
  readonly book: KeyBook;
  /** How many keys of each table the samples to train have: the first of the book's. */
  readonly trainKeys: readonly number[];
  readonly train: SampleSet;
  /** The file of the samples to train, and the line of each. */
  readonly trainFile: string;
  readonly trainLines: Uint32Array;
  readonly valid: SampleSet;
  readonly test: SampleSet | undefined;
  /** Of the test part. */
  readonly slices: SampleSlices;
  readonly report: DataReport;
  /** Equal for equal samples: what a checkpoint belongs to. */
  readonly digest: string;
}

/** Reads all parts of a folder. Keys are numbered in the order of train, valid, test. */
export async function loadSamples(
  folder: string,
  { model, say }: { readonly model: ModelDeclaration; readonly say: (line: string) => void },
): Promise<LoadedSamples> {
  const paths = await findParts(folder);
  const book = createKeyBook(model);
  const report = emptyReport();
  const sets = new Map<Part, SampleSet>();
  let slicer = new SampleSlicer(model, book);
  let trainKeys: readonly number[] = [];
  const trainLines: number[] = [];
  for (const part of PARTS) {
    const path = paths.get(part);
    if (path === undefined) continue;
    say(`Reading ${path}`);
    const pieces: SampleSet[] = [];
    for await (const samples of readSamples(path, { model, report })) {
      const piece = encodeSamples(model, book, samples);
      pieces.push(piece);
      if (part === "train") for (const { line } of samples) trainLines.push(line);
      if (part === "test") slicer.add(samples, piece);
    }
    sets.set(part, joinSamples(pieces));
    if (part !== "train") continue;
    slicer = new SampleSlicer(model, book);
    trainKeys = book.map(({ size }) => size);
  }
  const [train, valid] = [sets.get("train"), sets.get("valid")];
  if (train === undefined || valid === undefined || train.size === 0 || valid.size === 0) {
    const without = basename(paths.get(train?.size === 0 ? "train" : "valid") ?? "valid.csv");
    throw new NoSamples(folder, `${report.rows} lines are samples, ${report.broken} are not; ${without} has none`);
  }
  const all = [train, valid, ...(sets.has("test") ? [sets.get("test") ?? valid] : [])];
  const digest = all.map((set) => `${set.size}-${sampleChecksum(set)}`).join(".");
  return {
    book,
    trainKeys,
    train,
    trainFile: basename(paths.get("train") ?? ""),
    trainLines: Uint32Array.from(trainLines),
    valid,
    test: sets.get("test"),
    slices: slicer.slices,
    report,
    digest,
  };
}

/** Equal for equal samples. */
export function sampleChecksum({ rows, starts, dense, labels }: SampleSet): string {
  return [rows, ...(starts === undefined ? [] : [starts]), dense, labels]
    .map(({ buffer, byteOffset, byteLength }) => crc32c(new Uint8Array(buffer, byteOffset, byteLength)).toString(36))
    .join("-");
}
