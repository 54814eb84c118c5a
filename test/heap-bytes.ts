import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What this thread's heap holds, in bytes, once what nobody needs is collected. */
export async function heapBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  for (let round = 0; round < 4; round++) {
    runInNewContext("gc()");
    await turn();
  }
  return process.memoryUsage().heapUsed;
}
