import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";

const root = join(import.meta.dirname, "..");
const dependencies = z.record(z.string(), z.string()).default({});

const lockfile = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      integrity: z.string().optional(),
      resolved: z.string().optional(),
      inBundle: z.boolean().default(false),
      dependencies,
      optionalDependencies: dependencies,
      devDependencies: dependencies,
    }),
  ),
});

const { packages } = lockfile.parse(JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")));

test("package-lock.json holds every package, those of other platforms too, so npm ci works on each", () => {
  const missing: string[] = [];
  let optional = 0;
  for (const [path, entry] of Object.entries(packages)) {
    optional += Object.keys(entry.optionalDependencies).length;
    const named = { ...entry.dependencies, ...entry.optionalDependencies, ...entry.devDependencies };
    for (const name of Object.keys(named)) if (find(name, path) === undefined) missing.push(`${path} needs ${name}`);
  }
  expect(missing).toEqual([]);
  // The linters and the bundler bring a native package for each platform.
  expect(optional).toBeGreaterThan(50);
});

test("package-lock.json checks what is installed by version and hash, and names no registry", () => {
  const loose = Object.entries(packages).filter(
    ([path, { version, integrity, resolved, inBundle }]) =>
      path !== "" && !inBundle && (version === undefined || integrity === undefined || resolved !== undefined),
  );
  expect(loose.map(([path]) => path)).toEqual([]);
});

test("package.json pins exact versions, the ones in the lockfile", () => {
  const { dependencies: runtime, optionalDependencies, devDependencies } = packages[""] ?? {};
  for (const [name, version] of Object.entries({ ...runtime, ...optionalDependencies, ...devDependencies })) {
    expect(packages[`node_modules/${name}`]?.version, name).toBe(version);
  }
});

/** Where Node would find `name` from the package at `path`: in its own node_modules, or in one above. */
function find(name: string, path: string): string | undefined {
  for (let above = path; ; above = above.slice(0, Math.max(0, above.lastIndexOf("node_modules/") - 1))) {
    const candidate = `${above === "" ? "" : `${above}/`}node_modules/${name}`;
    if (candidate in packages) return candidate;
    if (above === "") return undefined;
  }
}
