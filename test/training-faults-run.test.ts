import { spawn } from "node:child_process";
import { watch } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createRandom, nextBelow } from "../protocols/random.ts";
import { freshet, type Ran } from "./run-freshet.ts";
import { madeData, model } from "./training-support.ts";

/*
 * Training on files where something goes wrong: samples that must not be learned from, and a process that is killed.
 */

const CONFIG = { region: "lab", training: "lab", models: [{ ...model, negativesKept: 0.5 }] };

async function commandFor(folder: string, more: readonly string[]): Promise<readonly string[]> {
  const config = join(folder, "lab.jsonc");
  await writeFile(config, JSON.stringify(CONFIG));
  return ["train", "--config", config, "--data", folder, ...more];
}

/** A report without what depends on the machine. */
async function reportIn(folder: string): Promise<string> {
  const text = await readFile(join(folder, "report.json"), "utf8");
  return text.replace(/"samplesPerSecond": .*/, "");
}

test("a batch with too large a gradient is passed over, with the line of its sample, and counted in the report; where all are, the run ends", async () => {
  await using folder = await madeData();
  const file = join(folder.path, "train.csv");
  const lines = (await readFile(file, "utf8")).split("\n");
  // Line 501; one of the two is predicted as it is not.
  lines.splice(500, 0, "1,5,5,1,3e38", "0,5,5,1,3e38");
  await writeFile(file, lines.join("\n"));
  const args = await commandFor(folder.path, ["--out", join(folder.path, "out"), "--passes", "2", "--batch", "50"]);
  const ran = await freshet([...args, "--json"]);
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.err).toMatch(
    /pass 1 {2}a batch was not learned from: the gradient of dense-deep-1 is too large; the batch's largest number is the age of train\.csv:50[12]\n/,
  );
  expect(ran.err).toContain('"negativesKept" changes nothing here');
  const report: unknown = JSON.parse(ran.out);
  expect(report).toMatchObject({ passes: [{ refused: 1 }, { refused: 1 }] });
  expect(ran.out).not.toContain("null");

  const outsize = lines.map((line, at) => (at === 0 ? line : line.replace(/,[^,]*$/, ",3e38")));
  await writeFile(file, outsize.join("\n"));
  const refused = await freshet([...args, "--restart"]);
  expect(refused.code).toBe(1);
  expect(refused.out.match(/a batch was not learned from/g)).toHaveLength(5);
  expect(refused.err).toContain("every batch of pass 1 was refused");
});

test("a run whose reader is gone stops quietly, and the same command goes on from there", async () => {
  await using folder = await madeData();
  const out = join(folder.path, "out");
  const args = await commandFor(folder.path, ["--out", out, "--patience", "100000", "--slowdown", "1"]);
  const child = spawn(process.execPath, ["regions/cli.ts", ...args, "--passes", "100000"]);
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  child.stdout.once("data", () => child.stdout.destroy());
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(1);
  expect(err).toBe("");
  const again = await freshet([...args, "--passes", "1"]);
  expect(again).toMatchObject({ code: 0, err: "" });
});

const WITHIN_A_PASS = /Goes on after 0 passes and [1-9]\d* samples of the next/;

/** Kills a run when its first checkpoint is there; gives the signal that ended it. */
async function killedAtCheckpoint(args: readonly string[], out: string): Promise<unknown> {
  await mkdir(out);
  const child = spawn(process.execPath, ["regions/cli.ts", ...args]);
  const watcher = watch(out);
  watcher.on("change", (_, file) => {
    if (file === "image-training.current") child.kill("SIGKILL");
  });
  const signal = await new Promise((resolve) => child.once("exit", (_, by) => resolve(by)));
  watcher.close();
  return signal;
}

test("a run that is killed within a pass goes on from its last checkpoint to the report of one that was not", async () => {
  await using folder = await madeData();
  const random = createRandom(3);
  const lines = Array.from({ length: 40_000 }, () => {
    const [user, item] = [nextBelow(random, 50), nextBelow(random, 50)];
    return `${(user + item) % 2},${user},${item},${nextBelow(random, 3)},0.5`;
  });
  await writeFile(join(folder.path, "train.csv"), ["label,user,item,city,age", ...lines, ""].join("\n"));
  // Enough for a pass to last some turns on any machine; checkpoints are written between them.
  const args = await commandFor(folder.path, [
    "--passes",
    "1",
    "--backend",
    "plain",
    "--dropout",
    "0.1",
    "--batch",
    "32",
  ]);
  const [whole, out] = [join(folder.path, "whole"), join(folder.path, "out")];
  expect(await freshet([...args, "--out", whole])).toMatchObject({ code: 0 });

  const again = [...args, "--out", out, "--save-every", "1ms"];
  // Where nobody hears of a checkpoint in time, as on a busy machine, the run ends before it is killed, or its pass does.
  let resumed: Ran | undefined;
  for (let tries = 0; tries < 10 && !WITHIN_A_PASS.test(resumed?.out ?? ""); tries += 1) {
    await rm(out, { recursive: true, force: true });
    if ((await killedAtCheckpoint(again, out)) !== "SIGKILL") continue;
    resumed = await freshet(again);
  }
  expect(resumed).toMatchObject({ code: 0 });
  expect(resumed?.out).toMatch(WITHIN_A_PASS);
  expect(await reportIn(out)).toBe(await reportIn(whole));
});
