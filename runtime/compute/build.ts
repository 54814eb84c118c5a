/*
 * Compiles the subjects of assembly/ to WebAssembly: `npm install` runs this (`prepare`), and so does every run of the tests. A subject is a
 * file assembly/NAME.ts with its parts in assembly/NAME/; it becomes built/NAME.wasm, and built/NAME-relaxed.wasm for engines with relaxed
 * SIMD (fused multiply-add). What is up to date, judged by the bytes of all it is made of, is left alone.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { errorCode } from "../error-code.ts";

const help = `node runtime/compute/build.ts [--force]

Compiles runtime/compute/assembly to WebAssembly in runtime/compute/built, unless what is there is up to date.
  --force  compiles it again`;

/** One memory of up to 4 GiB comes from outside, shared between threads; no allocator, no garbage, no imports but the memory. */
const COMMON: readonly string[] = (
  "--runtime stub --use abort= --importMemory --sharedMemory --noExportMemory --initialMemory 1 --maximumMemory 65536 " +
  "--enable simd --enable threads --optimizeLevel 3 --shrinkLevel 0 --converge --noAssert --noColors " +
  // Vectors pass between our own functions only, so that not every embedder can take them from an export does not matter.
  "--disableWarning 112"
).split(" ");

const BUILDS = [
  { suffix: "", options: [] },
  { suffix: "-relaxed", options: ["--enable", "relaxed-simd"] },
];

/** A subject's sources do not compile. */
class BuildFailed extends Error {
  override readonly name = "BuildFailed";

  constructor(subject: string, why: string, options?: ErrorOptions) {
    super(`Cannot compile runtime/compute/assembly/${subject}.ts: ${why}`, options);
  }
}

/** Brings built/ up to date; gives the subjects that were compiled. Any number of processes may do so at the same time. */
export async function buildAssembly({
  force = false,
  folder = import.meta.dirname,
}: {
  readonly force?: boolean;
  /** Holds assembly/ and built/. */
  readonly folder?: string;
} = {}): Promise<readonly string[]> {
  const folders = { sources: join(folder, "assembly"), built: join(folder, "built") };
  await mkdir(folders.built, { recursive: true });
  const compiled: string[] = [];
  for (const file of await readdir(folders.sources)) {
    if (!file.endsWith(".ts")) continue;
    const subject = file.slice(0, -".ts".length);
    const digest = await digestOf(folders.sources, subject);
    const stamp = join(folders.built, `${subject}.sha256`);
    if (!force && (await textOf(stamp)) === digest && (await isBuilt(folders.built, subject))) continue;
    // Without its stamp, a build that ends half-way is done again.
    await rm(stamp, { force: true });
    await Promise.all(BUILDS.map((build) => compileSubject(folders, subject, build)));
    await writeFile(stamp, digest);
    compiled.push(subject);
  }
  return compiled;
}

async function compileSubject(
  folders: { readonly sources: string; readonly built: string },
  subject: string,
  { suffix, options }: { readonly suffix: string; readonly options: readonly string[] },
): Promise<void> {
  const temporary = `${subject}${suffix}.wasm.${process.pid}`;
  const said = await runCompiler(
    [`${subject}.ts`, "--outFile", relative(folders.sources, join(folders.built, temporary)), ...COMMON, ...options],
    folders.sources,
  );
  // What the compiler warns of (a shadowed name, a lossy conversion) is as good as wrong in code that nothing else checks.
  if (said !== "") {
    await rm(join(folders.built, temporary), { force: true });
    throw new BuildFailed(subject, said);
  }
  await rename(join(folders.built, temporary), join(folders.built, `${subject}${suffix}.wasm`));
}

/** Runs the compiler in a process of its own: its types would declare AssemblyScript's globals everywhere. Gives what it complains of. */
async function runCompiler(options: readonly string[], folder: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile(process.execPath, [compiler(), ...options], { cwd: folder }, (error, _, said) => {
    if (error !== null && typeof error.code !== "number") reject(error);
    else {
      // Says only that the passes over the code, repeated while it gets smaller, made it larger in the end.
      const rest = said.replace("Last converge was suboptimal.", "").trim();
      resolve(error !== null && rest === "" ? error.message : rest);
    }
  });
  return promise;
}

function compiler(): string {
  try {
    return createRequire(import.meta.url).resolve("assemblyscript/bin/asc.js");
  } catch (error) {
    throw new BuildFailed("*", "the package assemblyscript is not installed; run npm install", { cause: error });
  }
}

/** What a subject is made of: its own files, those that subjects share, this file and the compiler. */
async function digestOf(sources: string, subject: string): Promise<string> {
  const hash = createHash("sha256");
  const version = join(dirname(compiler()), "..", "package.json");
  for (const file of [import.meta.filename, version, join(sources, `${subject}.ts`)]) {
    hash.update(await readFile(file));
  }
  for (const folder of [subject, "common"]) {
    for (const file of await filesUnder(join(sources, folder))) {
      hash.update(relative(sources, file)).update(await readFile(file));
    }
  }
  return hash.digest("hex");
}

async function filesUnder(folder: string): Promise<readonly string[]> {
  try {
    const files = await readdir(folder, { recursive: true });
    return files
      .filter((file) => file.endsWith(".ts"))
      .toSorted()
      .map((file) => join(folder, file));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

async function isBuilt(folder: string, subject: string): Promise<boolean> {
  const files = await readdir(folder);
  return BUILDS.every(({ suffix }) => files.includes(`${subject}${suffix}.wasm`));
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { force: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
  });
  if (values.help) console.log(help);
  else {
    const startedMs = performance.now();
    try {
      const compiled = await buildAssembly(values);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      if (compiled.length > 0) console.log(`Compiled ${compiled.join(", ")} to WebAssembly in ${seconds} s`);
    } catch (error) {
      if (!(error instanceof BuildFailed)) throw error;
      console.error(error.message);
      process.exitCode = 1;
    }
  }
}
