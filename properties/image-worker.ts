/*
 * A thread that tries the laws of images, with a bug planted before what they look at is loaded. Posts what is wrong, or nothing.
 */
import { parentPort, workerData } from "node:worker_threads";
import { IMAGE_MUTANTS } from "./mutants-image.ts";
import { plant } from "./plant.ts";

const name: unknown = workerData;
const mutant = IMAGE_MUTANTS.find((each) => each.name === name);
if (mutant !== undefined) plant(mutant);
const { checkMoments } = await import("./image-laws.ts");
const { tryCrashes, tryDamage } = await import("./image-crashes.ts");
parentPort?.postMessage(await firstProblem());

async function firstProblem(): Promise<string | undefined> {
  try {
    const problem = (await tryCrashes()).problem ?? (await tryDamage());
    if (problem === undefined) checkMoments();
    return problem;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
