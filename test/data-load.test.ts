import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkData } from "../regions/data/check.ts";
import { type Click } from "../regions/data/click.ts";
import { NoUsableData, UnknownDataFormat, UnreadableDataFile } from "../regions/data/data-errors.ts";
import { emptyReport } from "../regions/data/data-report.ts";
import { type DataSet, openData } from "../regions/data/open-data.ts";
import { inTimeOrder } from "../regions/data/time-order.ts";

const FIXTURES = join(import.meta.dirname, "fixtures", "data");
const HEADER =
  "user_id,session_id,session_start,session_size,click_article_id,click_timestamp,click_environment,click_deviceGroup,click_os,click_country,click_region,click_referrer_type";
const ROW = "1,1,1600000000000,1,7,1600000000000,4,1,17,1,5,2";

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "freshet-data-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function readAll(data: DataSet): Promise<Click[]> {
  const clicks: Click[] = [];
  for await (const batch of data.clicks()) clicks.push(...batch);
  return clicks;
}

function expectTimeOrder(clicks: readonly Click[]): void {
  expect(clicks.map(({ time }) => time)).toEqual(clicks.map(({ time }) => time).toSorted((one, other) => one - other));
}

test("openData() reads MovieLens in time order, films with quoted titles, broken lines counted with file and line", async () => {
  const data = await openData(join(FIXTURES, "movielens"));
  const clicks = await readAll(data);
  const ratings = (await readFile(join(FIXTURES, "movielens", "ratings.csv"), "utf8"))
    .split("\r\n")
    .filter((line) => /^\d+,\d+,[\d.]+,\d+$/.test(line));
  expect(data.kind).toBe("movielens");
  expect(data.report).toMatchObject({ rows: 120, broken: 3, late: 0 });
  expect(clicks.length).toBe(ratings.filter((line) => Number(line.split(",")[2]) >= 4).length);
  expect(data.report.rows - data.report.notClicks).toBe(clicks.length);
  expectTimeOrder(clicks);
  expect(data.featuresOf("2")).toEqual({ genre: "Drama", decade: "2000s" });
  expect(data.featuresOf("7")).toEqual({ genre: "Comedy", decade: "1990s" });
  expect(data.featuresOf("9")).toEqual({ genre: "(no genres listed)", decade: "unknown" });
  expect(data.featuresOf("404")).toEqual({ genre: "unknown", decade: "unknown" });
  expect(data.report.firstBroken.map(({ file, line }) => `${file}:${line}`)).toEqual([
    "ratings.csv:12",
    "ratings.csv:22",
    "ratings.csv:32",
  ]);
});

test("openData() reads Globo.com's hours in time order, packed or not, with a straggler of days", async () => {
  await using folder = await temporaryFolder();
  for (const name of await readdir(join(FIXTURES, "globo"))) {
    await writeFile(join(folder.path, `${name}.gz`), gzipSync(await readFile(join(FIXTURES, "globo", name))));
  }
  const plain = await openData(join(FIXTURES, "globo"));
  const packed = await openData(folder.path);
  const clicks = await readAll(plain);
  expect(await readAll(packed)).toEqual(clicks);
  expectTimeOrder(clicks);
  expect(clicks.length).toBe(plain.report.rows);
  expect(plain.report).toMatchObject({ broken: 2, late: 0, done: 1 });
  expect(plain.report.firstBroken.map(({ file, line }) => `${file}:${line}`)).toEqual([
    "clicks_hour_001.csv:5",
    "clicks_hour_001.csv:7",
  ]);
  expect(clicks.at(-1)).toMatchObject({
    user: "3",
    item: "101",
    context: { environment: "4", device: "1", os: "17", country: "1", region: "5", referrer: "2" },
  });
});

test("openData() says what it expects and where it is found when a folder is empty, missing, a file or something else", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "file.txt");
  await mkdir(join(folder.path, "empty"));
  for (const path of [folder.path, join(folder.path, "empty"), join(folder.path, "missing"), file]) {
    const failure: unknown = await openData(path).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UnknownDataFormat);
    expect(String(failure)).toMatch(/Globo\.com[\s\S]*GroupLens/);
    await writeFile(file, "x");
  }
});

test("a truncated, a damaged, an empty and a foreign file are named, with what is wrong", async () => {
  const whole = gzipSync(`${HEADER}\n${`${ROW}\n`.repeat(2_000)}`);
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ["clicks_hour_000.csv.gz", whole.subarray(0, whole.length - 20), /clicks_hour_000\.csv\.gz.*ends in the middle/],
    ["clicks_hour_000.csv.gz", Buffer.from("no gzip at all"), /not gzip/],
    ["clicks_hour_000.csv", Buffer.from(""), /is empty.*user_id/],
    ["clicks_hour_000.csv", Buffer.from("a,b\n1,2\n"), /missing are user_id/],
    ["clicks_hour_000.csv", Buffer.from(`${HEADER},${"x".repeat(200_000)}\n`), /user_id.*no record: longer than 65536/],
    [
      "clicks_hour_000.csv",
      Buffer.from(`${HEADER},click_os\n${ROW},3\n`),
      /names "click_os" twice, as columns 9 and 13; give one of them another name/,
    ],
  ];
  for (const [name, content, message] of cases) {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, name), content);
    const failure: unknown = await readAll(await openData(folder.path)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UnreadableDataFile);
    expect(String(failure)).toMatch(message);
  }
});

test("a data set without one usable line is refused with the first of its broken lines", async () => {
  await using folder = await temporaryFolder();
  await writeFile(
    join(folder.path, "clicks_hour_000.csv"),
    `${HEADER}\n1,2,3\n${ROW.replace("1600000000000,4", "16e11,4")}\n`,
  );
  const failure: unknown = await readAll(await openData(folder.path)).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(NoUsableData);
  expect(String(failure)).toContain("2 lines are broken, the first clicks_hour_000.csv:2: 3 fields instead of 12");
});

test("checkData() counts what is there and gives 0, 1 for broken lines, 2 for unusable folders", async () => {
  const lines: string[] = [];
  expect(await checkData(join(FIXTURES, "movielens"), (line) => lines.push(line))).toBe(1);
  expect(lines.join("\n")).toMatch(
    /rows +120, \d+ of them no clicks[\s\S]*by \d users[\s\S]*3 lines left out[\s\S]*ratings\.csv:12: 3 fields instead of 4/,
  );
  expect(await checkData(join(FIXTURES, "nowhere"), (line) => lines.push(line))).toBe(2);
  await using folder = await temporaryFolder();
  await cp(join(FIXTURES, "globo", "clicks_hour_000.csv"), join(folder.path, "clicks_hour_000.csv"));
  expect(await checkData(folder.path, () => undefined)).toBe(0);
});

test("openData() keeps the order where an hour's first session comes later than the next hour's, and ties as the file has them", async () => {
  await using folder = await temporaryFolder();
  const hour = 1_600_002_000_000;
  function row(item: number, time: number): string {
    return `1,1,${time},1,${item},${time},4,1,17,1,5,2\n`;
  }
  await writeFile(
    join(folder.path, "clicks_hour_9.csv"),
    `${HEADER}\n${row(3, hour + 3_000_000)}${row(4, hour + 3_000_000)}`,
  );
  await writeFile(
    join(folder.path, "clicks_hour_10.csv"),
    `${HEADER}\n${row(2, hour + 2_000_000)}${row(5, hour + 3_000_000)}`,
  );
  await writeFile(join(folder.path, "clicks_hour_8.csv"), `${HEADER}\n${row(1, hour + 1_000_000)}`);
  const data = await openData(folder.path);
  expect((await readAll(data)).map(({ item }) => item)).toEqual(["1", "2", "3", "4", "5"]);
  expect(data.report.late).toBe(0);

  await using films = await temporaryFolder();
  await writeFile(join(films.path, "movies.csv"), "movieId,title,genres\n1,A,B\n");
  await writeFile(
    join(films.path, "ratings.csv"),
    "userId,movieId,rating,timestamp\n1,9,4,1000000000\n1,2,5,1000000000\n1,5,4,999999999\n1,3,5,1000000000\n",
  );
  expect((await readAll(await openData(films.path))).map(({ item }) => item)).toEqual(["5", "9", "2", "3"]);
});

test("inTimeOrder() gives every row once and in order, holding no more than its limit, and counts what came too late", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ times: fc.array(fc.nat(100), { maxLength: 12 }), until: fc.nat(100) }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 200 }),
      async (arrivals, pendingMax) => {
        const report = emptyReport();
        async function* arrive(): AsyncGenerator<{ rows: { time: number; id: number }[]; until: number }> {
          let id = 0;
          for (const { times, until } of arrivals) {
            expect(id - rows.length - report.late).toBeLessThanOrEqual(pendingMax);
            yield { rows: times.map((time) => ({ time, id: id++ })), until };
          }
        }
        const rows: { time: number; id: number }[] = [];
        for await (const batch of inTimeOrder(arrive(), { pendingMax, report })) rows.push(...batch);
        const total = arrivals.reduce((sum, { times }) => sum + times.length, 0);
        expect(rows.length + report.late).toBe(total);
        expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
        // Equal times keep the order they came in.
        expect(rows).toEqual(rows.toSorted((one, other) => one.time - other.time || one.id - other.id));
        // Claims that hold, and room enough, lose nothing.
        const honest = arrivals.every(({ until }, index) =>
          arrivals.slice(index + 1).every(({ times }) => times.every((time) => time >= until)),
        );
        if (honest && total <= pendingMax) expect(report.late).toBe(0);
      },
    ),
    { numRuns: 500 },
  );
});
