/*
 * A thread that tries the laws of one file, with a bug planted before what they look at is loaded. Posts what is wrong, or nothing.
 */
import { parentPort, workerData } from "node:worker_threads";
import fc from "fast-check";
import { type LawsTask } from "./hunt-laws.ts";
import { plant } from "./plant.ts";

// The thread that makes this one gives it such a task, and the file that it names exports this.
function isTask(data: unknown): data is LawsTask {
  return typeof data === "object" && data !== null && "laws" in data && "mutant" in data;
}

function hasLaws(module: unknown): module is { checkLaws(): void | Promise<void> } {
  return typeof module === "object" && module !== null && "checkLaws" in module;
}

const task: unknown = workerData;
if (!isTask(task)) throw new TypeError("Cannot try laws: the thread was given no task");
plant(task.mutant);
// That a bug is seen is all that matters: the same each time, and nobody looks at a smaller example.
fc.configureGlobal({ seed: 1, endOnFailure: true });
const laws: unknown = await import(task.laws);
if (!hasLaws(laws)) throw new TypeError(`Cannot try laws: ${task.laws} has no checkLaws`);
try {
  await laws.checkLaws();
  parentPort?.postMessage(undefined);
} catch (error) {
  parentPort?.postMessage(error instanceof Error ? error.message : String(error));
}
