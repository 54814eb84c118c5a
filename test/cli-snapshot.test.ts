import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parquetReadObjects } from "hyparquet";
import { expect, test } from "vitest";
import * as z from "zod";
import { floatsOf } from "../protocols/sync/precision.ts";
import { lockStateFolder } from "../runtime/state-lock.ts";
import { temporaryFolder } from "./file-store-support.ts";
import { freshet } from "./run-freshet.ts";
import { replicaAfter } from "./snapshot-model.ts";

const PROCESS = fileURLToPath(new URL("snapshot-process.ts", import.meta.url));
const summary = z.object({ shard: z.string(), segments: z.number(), positions: z.record(z.string(), z.number()) });
const row = z.object({
  key: z.bigint(),
  item: z.string().nullable(),
  t: z.bigint(),
  writer: z.string(),
  values: z.array(z.number()),
});

test("images of a shard that goes on writing are listed, checked, backed up, restored elsewhere, and exported as they were", async () => {
  await using folder = await temporaryFolder();
  const [state, copy, file] = ["state", "copy", "backup.tar"].map((name) => join(folder.path, name));
  if (state === undefined || copy === undefined || file === undefined) throw new RangeError("Cannot happen");
  {
    await using writer = await startWriter(join(state, "shards"));
    await writer.durable(3);
    // First: all batches until then are computed anew below.
    expect((await freshet(["backup", state, file])).out).toContain("1 shards, ");
    const listed = await freshet(["snapshot", "ls", state]);
    expect(listed).toMatchObject({ code: 0, err: "" });
    expect(listed.out).toMatch(/^clicks-0 +\d+\.\d [kM]B +whole \+ \d+ increments .* full  t at \d+\n$/);
    expect(await freshet(["snapshot", "verify", state])).toMatchObject({ code: 0, err: "" });
  }
  // Nothing of the backup stays behind.
  expect((await readdir(join(state, "shards"))).filter((name) => name.startsWith("backup-"))).toEqual([]);
  expect((await freshet(["backup", state, file])).err).toContain(`Cannot back up to '${file}': it is there already`);

  expect((await freshet(["restore", file, copy])).out).toMatch(/^clicks-0 +whole {2}\d+ rows/);
  expect((await freshet(["restore", file, copy])).err).toContain("its 'shards' has images. Move them away first");
  const described = await freshet(["snapshot", "ls", copy, "--json"]);
  const batches = summary.parse(JSON.parse(described.out)).positions["t"] ?? 0;
  expect(batches).toBeGreaterThanOrEqual(3);

  expect(await freshet(["snapshot", "export", copy, join(folder.path, "rows")])).toMatchObject({ code: 0, err: "" });
  const { store } = replicaAfter(batches);
  for (const [table, name] of [
    [1, "users"],
    [2, "items"],
  ] as const) {
    const bytes = await readFile(join(folder.path, "rows", `clicks-0.${name}.parquet`)).catch(() => undefined);
    if (bytes === undefined) {
      expect(store.rows(table)).toBe(0);
      continue;
    }
    const buffer = new Uint8Array(bytes).buffer;
    const rows = z.array(row).parse(await parquetReadObjects({ file: buffer }));
    expect(rows).toHaveLength(store.rows(table));
    const keys = BigUint64Array.from(rows, ({ key }) => key);
    const named = rows.filter(({ item }) => item !== null);
    expect(named.length > 0).toBe(name === "items"); // numbers of users are no items
    expect(named.filter(({ key, item }) => item !== String(key))).toEqual([]);
    const expected = floatsOf(store.tables[table] ?? { precision: "f32", dim: 1 }, store.read(table, keys).values);
    expect(rows.flatMap(({ values }) => values)).toEqual([...expected]);
  }
  // The process itself says that the rows are those of its first batches.
  await using again = await startWriter(join(copy, "shards"));
  expect(await again.restored).toBe(`restored ${batches}`);
}, 120_000);

test("what is damaged is named, by verify, export and restore; and nothing is restored under a node that runs", async () => {
  await using folder = await temporaryFolder();
  const state = join(folder.path, "state");
  {
    await using writer = await startWriter(join(state, "shards"));
    await writer.durable(2);
  }
  const backup = join(folder.path, "backup.tar");
  await freshet(["backup", state, backup]);
  {
    await using held = new AsyncDisposableStack();
    held.use(await lockStateFolder(join(folder.path, "used"), { owner: "a test" }));
    const refused = await freshet(["restore", backup, join(folder.path, "used")]);
    expect([refused.code, refused.err]).toEqual([
      1,
      expect.stringContaining(`process ${process.pid} ('a test') is using it`),
    ]);
  }
  const archive = await readFile(backup);
  const files = [...archive.toString("latin1").matchAll(/image-clicks-0\.(?:current|[0-9a-f]{16}\.segment)/g)];
  const headers = files.filter(({ index }) => index % 512 === 0); // its list has these names too
  expect(headers.length).toBeGreaterThan(1);
  // One of them; every other: backup.test.ts.
  for (const { index } of headers.slice(-1)) {
    const damaged = Buffer.from(archive);
    // A file's bytes come after its header, in blocks of 512; what fills up the last block is nobody's.
    const at = index + 512 + 20;
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    await writeFile(backup, damaged);
    const restored = await freshet(["restore", backup, join(folder.path, "new")]);
    expect([restored.code, restored.err]).toEqual([1, expect.stringContaining("shard 'clicks-0' in it is damaged: ")]);
  }
  await writeFile(backup, "no archive at all");
  expect((await freshet(["restore", backup, join(folder.path, "new")])).err).toContain(
    `Cannot restore from '${backup}': it is no backup, or damaged: if it was copied here, copy it again\n  because: `,
  );
  expect(await readdir(join(folder.path, "new"))).not.toContain("shards");

  const shards = join(state, "shards");
  for (const name of (await readdir(shards)).filter((each) => each.endsWith(".segment"))) {
    const bytes = await readFile(join(shards, name));
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    await writeFile(join(shards, name), bytes);
  }
  const verified = await freshet(["snapshot", "verify", state]);
  expect([verified.code, verified.out]).toEqual([1, expect.stringContaining("DAMAGED")]);
  expect((await freshet(["snapshot", "export", state, join(folder.path, "rows")])).code).toBe(1);
  expect((await freshet(["snapshot", "ls", join(folder.path, "none")])).err).toContain("there is no such folder");
  expect((await freshet(["snapshot", "verify", state, "--shard", "clicks-7"])).err).toContain("there are clicks-0");
  expect((await freshet(["snapshot"])).code).toBe(2);
  const manifests = (await readdir(shards)).filter((name) => /\.(?:current|previous)$/.test(name));
  for (const name of manifests) await writeFile(join(shards, name), "no manifest");
  const listed = await freshet(["snapshot", "ls", state]);
  expect([listed.code, listed.out]).toEqual([
    1,
    expect.stringMatching(/^clicks-0 +- {2}unreadable .*\n {2}damaged: current: /),
  ]);
}, 120_000);

/** A shard that learns and writes images all the time, until it is killed. */
async function startWriter(
  folder: string,
): Promise<AsyncDisposable & { readonly restored: Promise<string>; durable(batches: number): Promise<void> }> {
  const child = spawn(process.execPath, [PROCESS, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  const restored = Promise.withResolvers<string>();
  let last = 0;
  const told = new Set<() => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (!line.startsWith("durable")) restored.resolve(line);
    last = Number(line.split(" ")[1]);
    for (const each of told) each();
  });
  return {
    restored: restored.promise,
    async durable(batches) {
      const enough = Promise.withResolvers<void>();
      told.add(() => {
        if (last >= batches) enough.resolve();
      });
      await Promise.race([enough.promise, ended]);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
