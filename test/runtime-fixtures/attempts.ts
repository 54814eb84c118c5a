import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { parentPort, Worker, workerData } from "node:worker_threads";

/** Tries everything and posts what became of each. */
// oxlint-disable-next-line typescript/no-unsafe-assignment
const { state, other, parent }: { state: string; other: string; parent: string } = workerData;

function attempt(work: () => unknown): string {
  try {
    work();
    return "done";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

function socket(): Promise<string> {
  return new Promise((resolve) => {
    const made = connect({ port: 1, host: "127.0.0.1" });
    made.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
    made.once("connect", () => resolve("done"));
  });
}

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
  connect: await socket(),
  spawn: attempt(() => spawnSync(process.execPath, ["--version"])),
  nested: attempt(() => new Worker("", { eval: true })),
  addon: attempt(() => process.dlopen({ exports: {} }, join(import.meta.dirname, "attempts.ts"))),
  environment: Object.keys(process.env).length,
});
