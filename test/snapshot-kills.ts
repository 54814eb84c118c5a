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
  /** Processes whose start was judged. One that was still starting when the run was ended is none of them. */
  kills: number;
  /** Starts whose rows were those of their position, which was no older than what had been told to be durable. */
  verified: number;
  /** What was wrong with the others. */
  readonly wrong: string[];
  /** Batches that took effect, of all folders. */
  batches: number;
}

/** What one process said, and what ended the wait for more: its news, the end of the run, the time it has to start, or its own end. */
interface Life {
  /** The batch that it began with, once it had found its rows to be those of that batch. */
  readonly restored: number | undefined;
  /** The last batch that it told to be durable. */
  readonly durable: number;
  /** What it said of itself that is wrong. */
  readonly problem: string | undefined;
  readonly waitEnd: "news" | "interrupted" | "late" | "ended";
}

type Verdict =
  | { readonly kind: "whole" }
  | { readonly kind: "wrong"; readonly why: string }
  /** The run was over before there was anything to judge. */
  | { readonly kind: "none" };

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
      const life = await live(folder.path, { lifeMs: nextFloat(random) * LIFE_MS, signal });
      const verdict = judgeStart(life, durable);
      if (verdict.kind === "none") break;
      if (verdict.kind === "whole") report.verified += 1;
      else report.wrong.push(verdict.why);
      report.batches += Math.max(0, life.durable - durable);
      // Of one that did not start nothing is known: what was durable before it still has to be there.
      if (life.restored !== undefined) ({ durable } = life);
      report.kills += 1;
      progress(report);
    }
  }
  return report;
}

/** Whether a process began with all that those before it in its folder had told to be durable. */
export function judgeStart({ restored, problem, waitEnd }: Life, durable: number): Verdict {
  if (problem !== undefined) return { kind: "wrong", why: problem };
  if (restored === undefined) {
    if (waitEnd === "interrupted") return { kind: "none" };
    const within = waitEnd === "ended" ? "before it ended by itself" : `within ${START_MS_MAX / 1000} s`;
    return { kind: "wrong", why: `it did not start ${within}` };
  }
  if (restored >= durable) return { kind: "whole" };
  return { kind: "wrong", why: `${durable} batches were durable, and ${restored} are there` };
}

/** One life of the process, which is over soon when the signal aborts. */
async function live(
  folder: string,
  { lifeMs, signal }: { readonly lifeMs: number; readonly signal: AbortSignal },
): Promise<Life> {
  // A group of its own: Ctrl-C goes to the run, which ends it.
  const child = spawn(process.execPath, [PROCESS, folder], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  const ended = once(child, "close");
  const said: { restored: number | undefined; durable: number; problem: string | undefined } = {
    restored: undefined,
    durable: 0,
    problem: undefined,
  };
  const wait = Promise.withResolvers<Life["waitEnd"]>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const [word, number] = line.split(" ");
    if (word === "restored") said.restored = Number(number);
    if (word === "wrong") said.problem = line;
    if (word === "restored" || word === "durable") said.durable = Number(number);
    if (word !== "restored") wait.resolve("news");
  });
  void ended.then(() => wait.resolve("ended"));
  const late = setTimeout(() => wait.resolve("late"), START_MS_MAX);
  function interrupt(): void {
    wait.resolve("interrupted");
  }
  signal.addEventListener("abort", interrupt);
  const waitEnd = await wait.promise;
  clearTimeout(late);
  signal.removeEventListener("abort", interrupt);
  if (waitEnd === "news") await delay(lifeMs);
  child.kill("SIGKILL");
  await ended;
  return { ...said, waitEnd };
}
