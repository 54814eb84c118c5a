/*
 * The ledger of what was verified, one JSON object a line, and the seeds that once failed.
 */
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";

/** One batch of worlds. `commit` ends in `+` when the working tree differs from it. */
export interface LedgerLine {
  readonly commit: string;
  readonly start: number;
  readonly seeds: number;
  readonly events: number;
  readonly simulatedHours: number;
  readonly failures: readonly number[];
}

const FAILING = new URL("./world/failing-seeds.json", import.meta.url);

/** The commit that is checked out here; `unknown` outside a repository. */
export function currentCommit(): string {
  try {
    const cwd = new URL("..", import.meta.url);
    const commit = execFileSync("git", ["rev-parse", "--short=12", "HEAD"], { cwd, encoding: "utf8", stdio: "pipe" });
    const changes = execFileSync("git", ["status", "--porcelain", "--", "protocols", "properties"], {
      cwd,
      encoding: "utf8",
      stdio: "pipe",
    });
    return `${commit.trim()}${changes === "" ? "" : "+"}`;
  } catch (error) {
    if (error instanceof Error) return "unknown";
    throw error;
  }
}

export function appendLedger(file: string, line: LedgerLine): void {
  appendFileSync(file, `${JSON.stringify(line)}\n`);
}

/** The first seed at or after `start` that the ledger does not say was run at this commit. A line cut short is passed over. */
export function nextSeed(file: string, options: { readonly commit: string; readonly start: number }): number {
  let next = options.start;
  for (const { start, seeds } of readLedger(file, options.commit).sort((a, b) => a.start - b.start)) {
    if (start <= next) next = Math.max(next, start + seeds);
  }
  return next;
}

function readLedger(file: string, ofCommit: string): { readonly start: number; readonly seeds: number }[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .flatMap((text) => {
      const line = parse(text);
      if (typeof line !== "object" || line === null) return [];
      if (!("commit" in line && "start" in line && "seeds" in line) || line.commit !== ofCommit) return [];
      const { start, seeds } = line;
      return typeof start === "number" && typeof seeds === "number" ? [{ start, seeds }] : [];
    });
}

/** Seeds that failed once, each of which the tests run for ever. */
export function failingSeeds(): number[] {
  const read = parse(readFileSync(FAILING, "utf8"));
  return Array.isArray(read) ? read.filter((seed) => typeof seed === "number") : [];
}

/** Keeps more failing seeds. */
export function keepFailingSeeds(seeds: readonly number[]): void {
  const kept = [...new Set([...failingSeeds(), ...seeds])].sort((a, b) => a - b);
  writeFileSync(FAILING, `${JSON.stringify(kept)}\n`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
