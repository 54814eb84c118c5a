import fc from "fast-check";
import { expect, test } from "vitest";
import { type CsvRecord, parseCsv, RECORD_CHARS_MAX } from "../regions/data/csv.ts";

async function parse(pieces: readonly string[]): Promise<CsvRecord[]> {
  const records: CsvRecord[] = [];
  for await (const some of parseCsv(arrive(pieces))) records.push(...some);
  return records;
}

async function* arrive(pieces: readonly string[]): AsyncGenerator<string> {
  yield* pieces;
}

function fieldsOf(records: readonly CsvRecord[]): (readonly string[] | string)[] {
  return records.map((record) => (record.kind === "record" ? record.fields : record.why));
}

test("parseCsv() takes quotes, commas and line breaks inside quotes, both line ends and a byte order mark", async () => {
  const text =
    '\uFEFFid,title\r\n1,"Lighthouse, The"\r\n\r\n2,"a ""quiet"" mile"\n3,"two\r\nlines"\n4,plain "quote"\n5,""\n6,last';
  const records = await parse([text]);
  expect(fieldsOf(records)).toEqual([
    ["id", "title"],
    ["1", "Lighthouse, The"],
    ["2", 'a "quiet" mile'],
    ["3", "two\r\nlines"],
    ["4", 'plain "quote"'],
    ["5", ""],
    ["6", "last"],
  ]);
  expect(records.map(({ line }) => line)).toEqual([1, 2, 4, 5, 7, 8, 9]);
});

test("parseCsv() gives any table back, however it is cut into pieces", async () => {
  const field = fc.string({ unit: fc.constantFrom("a", "b", ",", '"', "\n", "\r", " ", "é"), maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 8 }),
      fc.array(fc.nat(200), { maxLength: 6 }),
      fc.constantFrom("\n", "\r\n"),
      async (table, cuts, lineEnd) => {
        function quote(text: string): string {
          return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
        }
        const text = table.map((row) => row.map(quote).join(",") + lineEnd).join("");
        const at = [
          0,
          ...cuts.map((cut) => Math.min(cut, text.length)).toSorted((one, other) => one - other),
          text.length,
        ];
        const pieces = at.slice(1).map((end, index) => text.slice(at[index], end));
        expect(fieldsOf(await parse(pieces))).toEqual(table);
      },
    ),
  );
});

test("parseCsv() reports what is no record and goes on with the next line", async () => {
  expect(fieldsOf(await parse(['a,b\n"x"y,1\nc,d\n']))).toEqual([["a", "b"], "text after a closing quote", ["c", "d"]]);
  const open = await parse(['a,b\n"never closed,1\nc,d\n']);
  expect(fieldsOf(open)).toEqual([["a", "b"], "a quote that is never closed", ["c", "d"]]);
  expect(open[1]?.line).toBe(2);
});

test("parseCsv() never holds more than a record's limit", async () => {
  const long = "x".repeat(RECORD_CHARS_MAX / 2);
  // One line, however long and however cut, is one broken record, and its tail is none.
  for (const tail of ["", "1,2", '"1","2"']) {
    const records = await parse(["a,b\n", long, long, long, long, long, long, `${tail}\nc,d\n`]);
    expect(records).toEqual([
      { kind: "record", line: 1, fields: ["a", "b"] },
      { kind: "broken", line: 2, why: `longer than ${RECORD_CHARS_MAX} characters` },
      { kind: "record", line: 3, fields: ["c", "d"] },
    ]);
  }

  const quoted = await parse(['a,b\n"', `${"y".repeat(99)}\n`.repeat(RECORD_CHARS_MAX / 100), "z,1\n", "c,d\n"]);
  expect(quoted[1]).toMatchObject({ kind: "broken", line: 2, why: "a quote that is never closed" });
  expect(quoted.at(-1)).toMatchObject({ fields: ["c", "d"] });
});
