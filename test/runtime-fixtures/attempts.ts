import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parentPort, Worker, workerData } from "node:worker_threads";
import { attempt, attemptSocket } from "./attempt.ts";

/** Tries everything and posts what became of each. */
// oxlint-disable-next-line typescript/no-unsafe-assignment
const { state, other, parent }: { state: string; other: string; parent: string } = workerData;

parentPort?.postMessage({
  readState: attempt(() => readFileSync(join(state, "canary"))),
  writeState: attempt(() => writeFileSync(join(state, "written"), "")),
  readOther: attempt(() => readFileSync(join(other, "canary"))),
  writeOther: attempt(() => writeFileSync(join(other, "written"), "")),
  readParent: attempt(() => readFileSync(join(parent, "canary"))),
  writeWorking: attempt(() => {
    writeFileSync(join(process.cwd(), "freshet-canary"), "");
    rmSync(join(process.cwd(), "freshet-canary"));
  }),
  connect: await attemptSocket(),
  spawn: attempt(() => spawnSync(process.execPath, ["--version"])),
  nested: attempt(() => new Worker("", { eval: true })),
  addon: attempt(() => process.dlopen({ exports: {} }, join(import.meta.dirname, "attempts.ts"))),
  environment: Object.keys(process.env).length,
});
