import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { nextFloat, type Random } from "../protocols/random.ts";
import { temporaryFolder } from "./file-store-support.ts";

const PROCESS = fileURLToPath(new URL("snapshot-process.ts", import.meta.url));
/** Each folder is for so many kills: what a start computes anew grows with the batches. */
const KILLS_A_FOLDER = 25;
/** A process lives so long after it was told of something durable. */
const LIFE_MS = 150;
const START_MS_MAX = 60_000;

/** What became of processes that were killed while they learned and wrote images. */
export interface KillReport {
  kills: number;
  /** Starts whose rows were those of their position, which was no older than what had been told to be durable. */
  verified: number;
  /** What was wrong with the others. */
  readonly wrong: string[];
  /** Batches that took effect, of all folders. */
  batches: number;
}

/** Kills so many processes, each at a moment drawn by chance. */
export async function killWriters(options: {
  readonly kills: number;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly progress: (report: KillReport) => void;
}): Promise<KillReport> {
  const { kills, random, signal, progress } = options;
  const report: KillReport = { kills: 0, verified: 0, wrong: [], batches: 0 };
  while (report.kills < kills && !signal.aborted) {
    await using folder = await temporaryFolder();
    let durable = 0;
    for (let kill = 0; kill < KILLS_A_FOLDER && report.kills < kills && !signal.aborted; kill += 1) {
      const life = await live(folder.path, nextFloat(random) * LIFE_MS);
      if (life.restored === undefined) {
        report.wrong.push(life.problem ?? `it did not start within ${START_MS_MAX / 1000} s`);
      } else if (life.restored < durable) {
        report.wrong.push(`${durable} batches were durable, and ${life.restored} are there`);
      } else report.verified += 1;
      report.batches += Math.max(0, life.durable - durable);
      ({ durable } = life);
      report.kills += 1;
      progress(report);
    }
  }
  return report;
}

/** One life of the process: what it restored, and what it last told to be durable. */
async function live(
  folder: string,
  lifeMs: number,
): Promise<{ restored: number | undefined; durable: number; problem: string | undefined }> {
  const child = spawn(process.execPath, [PROCESS, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  const life: { restored: number | undefined; durable: number; problem: string | undefined } = {
    restored: undefined,
    durable: 0,
    problem: undefined,
  };
  const news = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [word, number] = line.split(" ");
    if (word === "restored") life.restored = Number(number);
    if (word === "wrong") life.problem = line;
    if (word === "restored" || word === "durable") life.durable = Number(number);
    if (word !== "restored") news.resolve();
  });
  await Promise.race([news.promise, ended, delay(START_MS_MAX, undefined, { ref: false })]);
  await delay(lifeMs);
  child.kill("SIGKILL");
  await ended;
  return life;
}
