import { compileC } from "./compile-c.ts";

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
  const program = await compileC("compute-reference.c", signal);
  if ("why" in program) return program;
  return {
    async measure(what, { size, signal: stop }) {
      const [us = Number.NaN, loss = Number.NaN] = await program.run([what, String(size)], { signal: stop });
      return { us, loss };
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}
