import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type Mutant } from "./mutant.ts";

/** Which file's `checkLaws` to run, and the bug to plant before. */
export interface LawsTask {
  readonly laws: string;
  readonly mutant: Mutant;
}

/** Runs the laws of a file with each of these bugs planted, each in a thread of its own, two at a time; gives the names of those that the laws do not see. */
export async function survivors(laws: URL, mutants: readonly Mutant[]): Promise<string[]> {
  const waiting = [...mutants];
  const survived: string[] = [];
  async function work(): Promise<void> {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      if ((await hunt(laws, mutant)) === undefined) survived.push(mutant.name);
    }
  }
  await Promise.all([work(), work()]);
  return survived;
}

/** What the laws say is wrong. */
async function hunt(laws: URL, mutant: Mutant): Promise<string | undefined> {
  const task: LawsTask = { laws: laws.href, mutant };
  const worker = new Worker(new URL("laws-worker.ts", import.meta.url), { workerData: task });
  const message: readonly unknown[] = await once(worker, "message");
  await worker.terminate();
  const [problem] = message;
  return typeof problem === "string" ? problem : undefined;
}
