/*
 * Every rule on layers, determinism and style is proved on files that break it: test/lint-fixtures is laid out like the
 * repository, linted with the repository's own settings in a folder of its own, and each line must give exactly the
 * rules that its `// expect` comment names. A line without one must give none.
 */
import { execFile } from "node:child_process";
import { cp, mkdtempDisposable, readdir, readFile, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";

const root = join(import.meta.dirname, "..");
const fixtures = join(import.meta.dirname, "lint-fixtures");

const lintReport = z.object({
  diagnostics: z.array(
    z.object({
      code: z.string().default("(unused-directive)"),
      filename: z.string(),
      labels: z.array(z.object({ span: z.object({ line: z.number() }) })),
    }),
  ),
});

test("oxlint finds in every fixture what is expected of it, line by line, and nothing else", async () => {
  const expected = await expectations();
  expect(expected.size).toBeGreaterThan(50);
  expect([...(await findings())].toSorted()).toEqual([...expected].toSorted());
});

test("oxlint leaves the fixtures and the packages alone in an ordinary run", async () => {
  const files = (await oxlint(["--debug=files"], root)).split("\n").filter((line) => line !== "");
  expect(files).toContain("test/lint-rules.test.ts");
  expect(files.filter((file) => file.includes("node_modules") || file.includes("lint-fixtures"))).toEqual([]);
});

/** What the comments ask for: `file:line rule`. */
async function expectations(): Promise<Set<string>> {
  const expected = new Set<string>();
  for (const file of await readdir(fixtures, { recursive: true })) {
    if (!file.endsWith(".ts")) continue;
    const lines = (await readFile(join(fixtures, file), "utf8")).split("\n");
    for (const [index, line] of lines.entries()) {
      const rules = line.split("// expect ").at(1)?.split(" ") ?? [];
      for (const rule of rules) expected.add(`${file.replaceAll(sep, "/")}:${index + 1} ${rule}`);
    }
  }
  return expected;
}

/** What oxlint says, in the same form. The folder holds the fixtures at its top, so the settings' own globs apply. */
async function findings(): Promise<Set<string>> {
  await using folder = await mkdtempDisposable(join(tmpdir(), "freshet-lint-"));
  await cp(fixtures, folder.path, { recursive: true });
  for (const name of [".oxlintrc.json", "tsconfig.json"]) await cp(join(root, name), join(folder.path, name));
  await symlink(join(root, "node_modules"), join(folder.path, "node_modules"), "junction");
  const report = lintReport.parse(JSON.parse(await oxlint(["--format=json"], folder.path)));
  return new Set(
    report.diagnostics.map(({ code, filename, labels }) => {
      const file = relative(folder.path, join(folder.path, filename)).replaceAll(sep, "/");
      return `${file}:${labels[0]?.span.line ?? 0} ${code}`;
    }),
  );
}

/** Standard output, whatever the exit status: problems are what we came for. */
async function oxlint(options: readonly string[], folder: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile(
    process.execPath,
    [join(root, "node_modules", "oxlint", "bin", "oxlint"), ...options],
    { cwd: folder, maxBuffer: 16 * 2 ** 20, timeout: 60_000 },
    (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== "number") reject(error);
      else if (stdout === "") reject(new Error(`Cannot lint ${folder}: ${stderr}`));
      else resolve(stdout);
    },
  );
  return promise;
}
