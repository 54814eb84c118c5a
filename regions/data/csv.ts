/** One record of a CSV text (RFC 4180), or a stretch that is none. `line` is the line it begins on, from 1. */
export type CsvRecord =
  | { readonly kind: "record"; readonly line: number; readonly fields: readonly string[] }
  | { readonly kind: "broken"; readonly line: number; readonly why: string };

/** The longest record; a quote that is never closed is given up after as much. */
export const RECORD_CHARS_MAX = 65_536;

/**
 * Splits a text that arrives in pieces into its records, holding no more than one piece and one record.
 * Takes quoted fields with commas, quotes and line breaks, both line ends, a byte order mark; leaves out empty lines.
 * After a broken record it goes on with the next line. An iteration gives the records of one piece.
 */
export async function* parseCsv(pieces: AsyncIterable<string>): AsyncGenerator<readonly CsvRecord[]> {
  let rest = "";
  let line = 1;
  let first = true;
  let skips = false;
  for await (const piece of pieces) {
    rest = first && piece.startsWith("\uFEFF") ? piece.slice(1) : rest + piece;
    first = false;
    if (skips) {
      // What is left of a line that was too long is no record of its own.
      const lineEnd = rest.indexOf("\n");
      rest = lineEnd === -1 ? "" : rest.slice(lineEnd + 1);
      if (lineEnd === -1) continue;
      line += 1;
    }
    const split = splitRecords(rest, line, false);
    rest = rest.slice(split.end);
    ({ line, skips } = split);
    yield split.records;
  }
  yield splitRecords(rest, line, true).records;
}

interface Split {
  readonly records: readonly CsvRecord[];
  /** Where the first record begins that may go on in the next piece. */
  readonly end: number;
  readonly line: number;
  /** The text ends within a line that is too long to be a record. */
  readonly skips: boolean;
}

function splitRecords(text: string, firstLine: number, final: boolean): Split {
  const records: CsvRecord[] = [];
  let line = firstLine;
  let start = 0;
  let quote = text.indexOf('"');
  while (start < text.length) {
    if (quote !== -1 && quote < start) quote = text.indexOf('"', start);
    const newline = text.indexOf("\n", start);
    const lineEnd = newline === -1 ? text.length : newline;
    const record: Reading =
      quote === -1 || quote > lineEnd
        ? { kind: "fields", fields: withoutReturn(text.slice(start, lineEnd)).split(","), end: lineEnd }
        : readQuoted(text, start);
    const complete = record.kind === "broken" || (record.kind === "fields" && (final || record.end < text.length));
    const length = (record.kind === "fields" ? record.end : text.length) - start;
    if (complete && (record.kind === "broken" || length <= RECORD_CHARS_MAX)) {
      const end = record.kind === "fields" ? record.end : lineEnd;
      if (record.kind === "broken") records.push({ kind: "broken", line, why: record.why });
      else if (record.fields.length > 1 || record.fields[0] !== "") {
        records.push({ kind: "record", line, fields: record.fields });
      }
      line += linesIn(text, start, end + 1);
      start = end + 1;
    } else if (!final && length <= RECORD_CHARS_MAX) {
      break;
    } else if (newline === -1 && !final) {
      // Too long and no line end in sight.
      records.push({ kind: "broken", line, why: `longer than ${RECORD_CHARS_MAX} characters` });
      return { records, end: text.length, line, skips: true };
    } else {
      records.push({
        kind: "broken",
        line,
        why: record.kind === "open" ? "a quote that is never closed" : `longer than ${RECORD_CHARS_MAX} characters`,
      });
      start = lineEnd + 1;
      line += 1;
    }
  }
  return { records, end: Math.min(start, text.length), line, skips: false };
}

type Reading =
  | { readonly kind: "fields"; readonly fields: readonly string[]; readonly end: number }
  | { readonly kind: "broken"; readonly why: string }
  | { readonly kind: "open" };

// A record with quotes in it: fields until a line end outside quotes, or the end of the text.
function readQuoted(text: string, start: number): Reading {
  const fields: string[] = [];
  let at = start;
  for (;;) {
    if (text[at] !== '"') {
      const end = fieldEnd(text, at);
      fields.push(text.slice(at, end));
      at = end;
    } else {
      const close = closingQuote(text, at + 1);
      if (close === -1) return { kind: "open" };
      fields.push(text.slice(at + 1, close).replaceAll('""', '"'));
      at = close + 1;
    }
    if (text[at] === "\r" && (at + 1 === text.length || text[at + 1] === "\n")) at += 1;
    if (at >= text.length || text[at] === "\n") return { kind: "fields", fields, end: at };
    if (text[at] !== ",") return { kind: "broken", why: "text after a closing quote" };
    at += 1;
  }
}

function closingQuote(text: string, from: number): number {
  let at = from;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote === -1 || text[quote + 1] !== '"') return quote;
    at = quote + 2;
  }
}

function fieldEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== "," && text[at] !== "\n" && !(text[at] === "\r" && text[at + 1] === "\n")) {
    at += 1;
  }
  return at;
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

function linesIn(text: string, start: number, end: number): number {
  let lines = 0;
  for (let at = text.indexOf("\n", start); at !== -1 && at < end; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines;
}
