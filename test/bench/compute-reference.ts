import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { errorCode } from "../../runtime/error-code.ts";

const run = promisify(execFile);

/** The model in C, compiled for this machine. */
export interface Reference extends AsyncDisposable {
  /** CPU microseconds of a batch, and its mean loss. */
  measure(
    what: "train" | "infer",
    options: { readonly size: number; readonly signal: AbortSignal },
  ): Promise<{ readonly us: number; readonly loss: number }>;
}

/** Compiles compute-reference.c with gcc; gives why not where there is none. */
export async function compileReference(signal: AbortSignal): Promise<Reference | { readonly why: string }> {
  const folder = await mkdtemp(join(tmpdir(), "freshet-reference-"));
  const program = join(folder, "reference");
  const source = join(import.meta.dirname, "compute-reference.c");
  try {
    await run("gcc", ["-O3", "-march=native", source, "-o", program, "-lm"], { signal });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if (signal.aborted) throw error;
    return { why: errorCode(error) === "ENOENT" ? "there is no gcc" : `gcc failed: ${String(error).slice(0, 500)}` };
  }
  return {
    async measure(what, { size, signal: stop }) {
      const { stdout } = await run(program, [what, String(size)], { signal: stop });
      const [us = Number.NaN, loss = Number.NaN] = stdout.trim().split(" ").map(Number);
      return { us, loss };
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
