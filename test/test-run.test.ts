/* The run of tests itself: what this repository adds to vitest is tried on small files in a folder of their own. */
import { execFile } from "node:child_process";
import { mkdtempDisposable, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const head =
  'import { test } from "vitest"; import { Worker } from "node:worker_threads"; import { spawn } from "node:child_process";';
const idle = 'new Worker("setInterval(() => {}, 1000)", { eval: true })';
const child = 'spawn(process.execPath, ["-e", "setTimeout(() => {}, 20000)"])';

test("a run ends with how many tests passed, failed and were skipped, on a line of its own", async () => {
  const clean = await run({
    "a.test.ts": `${head} test("a", () => {}); test("b", () => {}); test.skip("c", () => {});`,
  });
  expect(clean).toMatchObject({ status: 0, closing: "2 passed, 0 failed, 1 skipped" });
  const broken = await run({
    "fails.test.ts": `${head} test("a", () => {}); test("b", () => { throw new Error("as planned"); });`,
    "does-not-load.test.ts": 'import "./nowhere.ts";',
  });
  expect(broken).toMatchObject({ status: 1, closing: "1 passed, 2 failed" });
});

test("a file that leaves a thread or a process running fails, and one that ends them in time does not", async () => {
  const { output, closing } = await run({
    "thread.test.ts": `${head} test("a", () => { ${idle}; });`,
    "process.test.ts": `${head} test("a", () => { ${child}; });`,
    "ends.test.ts": `${head} test("a", () => { void ${idle}.terminate(); ${child}.kill(); });`,
  });
  expect(closing).toBe("3 passed, 2 failed");
  expect(output).toMatch(/thread\.test\.ts[^]*left running: thread \d+/);
  expect(output).toMatch(/process\.test\.ts[^]*left running: ProcessWrap/);
});

interface Run {
  readonly status: number;
  readonly output: string;
  /** The last line of standard output. */
  readonly closing: string | undefined;
}

async function run(files: Readonly<Record<string, string>>): Promise<Run> {
  await using folder = await mkdtempDisposable(join(tmpdir(), "freshet-test-run-"));
  await symlink(join(root, "node_modules"), join(folder.path, "node_modules"), "junction");
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder.path, name), text);
  await writeFile(
    join(folder.path, "vitest.config.ts"),
    `import { ClosingLineReporter } from ${JSON.stringify(join(root, "test", "closing-line-reporter.ts"))};
     export default { test: { pool: "forks", setupFiles: [${JSON.stringify(join(root, "test", "nothing-left-running.ts"))}],
       reporters: ["default", new ClosingLineReporter()] } };`,
  );
  const { promise, resolve, reject } = Promise.withResolvers<Run>();
  execFile(
    process.execPath,
    [join(root, "node_modules", "vitest", "vitest.mjs"), "run", "--maxWorkers=2"],
    { cwd: folder.path, timeout: 50_000, env: { ...process.env, NO_COLOR: "1" } },
    (error, stdout, stderr) => {
      const status = error === null ? 0 : error.code;
      if (typeof status !== "number") reject(new Error("Cannot run vitest", { cause: error }));
      else resolve({ status, output: stdout + stderr, closing: stdout.trimEnd().split("\n").at(-1) });
    },
  );
  // Awaited here, so that the folder outlives the run.
  return await promise;
}
