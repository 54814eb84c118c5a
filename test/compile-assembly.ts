import { buildAssembly } from "../runtime/compute/build.ts";

/** vitest calls it once, before any test file. */
export async function setup(): Promise<void> {
  await buildAssembly();
}
