/*
 * The column that a table's keys are made of: users, items, a feature, or what a model derives of them.
 */
import { type DerivedFeature } from "../model.ts";
import { type ExampleColumns } from "./example-columns.ts";
import { placesOf } from "./column-head.ts";
import { lengthAt, type TextColumn, unitBytes } from "./text-column.ts";
import { valueAt } from "./number-column.ts";

/** The texts under a name; undefined where no sample has any, which is as if all had the empty one. `derived` are in their order: each sees those before it. */
export function keyColumn(
  columns: ExampleColumns,
  name: string,
  derived: readonly DerivedFeature[] = [],
): TextColumn | undefined {
  const at = derived.findIndex((feature) => feature.name === name);
  const feature = derived[at];
  if (feature !== undefined) {
    return feature.kind === "bucketised"
      ? bucketised(columns, feature)
      : crossed(
          feature.of.map((of) => keyColumn(columns, of, derived.slice(0, at))),
          columns.size,
        );
  }
  if (name === "user") return columns.user;
  if (name === "item") return columns.item;
  return columns.features.get(name);
}

/** The number of the range that each number is in, as a text; a missing number has none. */
function bucketised(
  { dense }: ExampleColumns,
  { of, bounds }: Extract<DerivedFeature, { kind: "bucketised" }>,
): TextColumn | undefined {
  const column = dense.get(of);
  if (column === undefined) return undefined;
  const { size, gaps, runs, values } = column;
  const texts = new TextsWriter(values);
  for (let value = 0; value < values; value += 1) {
    const number = valueAt(column, value);
    const above = bounds.findIndex((bound) => number < bound);
    texts.ascii(String(above < 0 ? bounds.length : above));
    texts.end();
  }
  return { size, gaps, runs, values, ...texts.finish(false) };
}

/** With the length before each text, no two combinations are written alike. */
function crossed(parts: readonly (TextColumn | undefined)[], size: number): TextColumn {
  const isWide = parts.some((part) => part?.isWide);
  const texts = new TextsWriter(size);
  const readers = parts.map((part) => part && { part, places: placesOf(part), starts: startsOf(part) });
  for (let at = 0; at < size; at += 1) {
    for (const reader of readers) {
      const value = reader?.places[at] ?? 0;
      if (reader === undefined || value === reader.part.values) {
        texts.ascii("0:", isWide);
        continue;
      }
      const length = lengthAt(reader.part, value);
      texts.ascii(`${length}:`, isWide);
      texts.units(reader.part, { at: reader.starts[value] ?? 0, length }, isWide);
    }
    texts.end();
  }
  return { size, gaps: undefined, runs: undefined, values: size, ...texts.finish(isWide) };
}

/** Where each text's units begin, in bytes. */
function startsOf(column: TextColumn): Uint32Array {
  const starts = new Uint32Array(column.values);
  let at = 0;
  for (let value = 0; value < column.values; value += 1) {
    starts[value] = at;
    at += lengthAt(column, value) * unitBytes(column);
  }
  return starts;
}

/** Texts as they are made, with lengths of four bytes. */
class TextsWriter {
  readonly #lengths: DataView;
  #units = new Uint8Array(256);
  #bytes = 0;
  #from = 0;
  #texts = 0;

  constructor(textsMax: number) {
    this.#lengths = new DataView(new ArrayBuffer(4 * textsMax));
  }

  ascii(text: string, isWide = false): void {
    this.#reserve(2 * text.length);
    for (let at = 0; at < text.length; at += 1) this.#put(text.charCodeAt(at), isWide);
  }

  units(
    { units, isWide: isFromWide }: TextColumn,
    { at, length }: { readonly at: number; readonly length: number },
    isWide: boolean,
  ): void {
    this.#reserve(2 * length);
    for (let unit = 0; unit < length; unit += 1) {
      const from = isFromWide ? at + 2 * unit : at + unit;
      this.#put((units[from] ?? 0) | (isFromWide ? (units[from + 1] ?? 0) << 8 : 0), isWide);
    }
  }

  /** The text that was begun is whole. */
  end(): void {
    this.#lengths.setUint32(4 * this.#texts, this.#bytes - this.#from, true);
    this.#texts += 1;
    this.#from = this.#bytes;
  }

  finish(isWide: boolean): Pick<TextColumn, "lengths" | "lengthBytes" | "units" | "isWide"> {
    const lengths = new Uint8Array(this.#lengths.buffer);
    if (isWide) {
      for (let text = 0; text < this.#texts; text += 1) {
        this.#lengths.setUint32(4 * text, this.#lengths.getUint32(4 * text, true) / 2, true);
      }
    }
    return { lengths, lengthBytes: 4, units: this.#units.subarray(0, this.#bytes), isWide };
  }

  #put(unit: number, isWide: boolean): void {
    this.#units[this.#bytes] = unit & 0xff;
    if (isWide) this.#units[this.#bytes + 1] = unit >> 8;
    this.#bytes += isWide ? 2 : 1;
  }

  #reserve(more: number): void {
    if (this.#bytes + more <= this.#units.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#units.length, this.#bytes + more));
    grown.set(this.#units);
    this.#units = grown;
  }
}
