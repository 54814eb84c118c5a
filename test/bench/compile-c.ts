import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { errorCode } from "../../runtime/error-code.ts";

const execute = promisify(execFile);

/** A program in C, compiled for this machine. */
export interface CompiledProgram extends AsyncDisposable {
  /** The numbers that it prints. */
  run(arguments_: readonly string[], options: { readonly signal: AbortSignal }): Promise<readonly number[]>;
}

/** Compiles a file of this folder with gcc; gives why not where there is none. */
export async function compileC(file: string, signal: AbortSignal): Promise<CompiledProgram | { readonly why: string }> {
  const folder = await mkdtemp(join(tmpdir(), "freshet-reference-"));
  const program = join(folder, "reference");
  const source = join(import.meta.dirname, file);
  try {
    await execute("gcc", ["-O3", "-march=native", source, "-o", program, "-lm"], { signal });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    if (signal.aborted) throw error;
    return { why: errorCode(error) === "ENOENT" ? "there is no gcc" : `gcc failed: ${String(error).slice(0, 500)}` };
  }
  return {
    async run(arguments_, options) {
      const { stdout } = await execute(program, [...arguments_], options);
      return stdout.trim().split(" ").map(Number);
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
