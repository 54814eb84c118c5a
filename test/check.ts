import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs, stripVTControlCharacters } from "node:util";
import { z } from "zod";

interface Check {
  readonly name: string;
  /** The package that brings the command. */
  readonly from: string;
  readonly command: string;
  readonly options: readonly string[];
  /** What to do about a failure, where the tool does not say. */
  readonly hint?: string;
}

interface Outcome {
  readonly passed: boolean;
  readonly output: string;
}

const root = join(import.meta.dirname, "..");

const checks: readonly Check[] = [
  { name: "types", from: "typescript", command: "tsc", options: ["--noEmit", "--pretty", "false"] },
  { name: "lint", from: "oxlint", command: "oxlint", options: ["--format=unix"] },
  {
    name: "format",
    from: "oxfmt",
    command: "oxfmt",
    options: ["--check", "."],
    hint: "npm run format puts this right",
  },
  { name: "unused", from: "knip", command: "knip", options: ["--no-progress", "--no-config-hints"] },
];

const help = `npm run check [-- NAME...]

Checks the whole repository without running it, and shows what is wrong with it:
${checks.map(({ name, command, options }) => `  ${name.padEnd(8)}${command} ${options.join(" ")}`).join("\n")}
All of them run, whatever fails; with names, only those. Ends with status 1 if any failed.`;

process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { help: { type: "boolean", short: "h", default: false } },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const unknown = positionals.filter((wanted) => !checks.some(({ name }) => name === wanted));
  if (unknown.length > 0) {
    console.error(
      `Cannot check '${unknown.join("', '")}': the checks are ${checks.map(({ name }) => name).join(", ")}`,
    );
    return 2;
  }
  let failed = 0;
  for (const check of checks) {
    if (positionals.length > 0 && !positionals.includes(check.name)) continue;
    const startedMs = performance.now();
    const { passed, output } = await run(check);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(`${passed ? "ok    " : "failed"}  ${check.name.padEnd(8)}${seconds} s`);
    if (passed) continue;
    failed += 1;
    console.log(output.trimEnd().replaceAll(/^/gm, "  "));
    if (check.hint !== undefined) console.log(`  ${check.hint}`);
  }
  return failed === 0 ? 0 : 1;
}

/** Runs a tool on this very Node, from its package and not through a shell, so that it is the same on every system. */
async function run({ from, command, options }: Check): Promise<Outcome> {
  const folder = join(root, "node_modules", from);
  const { bin } = z
    .object({ bin: z.record(z.string(), z.string()) })
    .parse(JSON.parse(await readFile(join(folder, "package.json"), "utf8")));
  const program = bin[command];
  if (program === undefined) throw new Error(`Cannot run ${command}: the package ${from} has no such command`);
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const child = spawn(process.execPath, [join(folder, program), ...options], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  child.once("error", reject);
  child.once("close", (code) => resolve({ passed: code === 0, output: stripVTControlCharacters(output) }));
  return promise;
}
