import { parentPort } from "node:worker_threads";
import { closeWorker } from "../../runtime/worker.ts";

parentPort?.on("message", (value: { close?: boolean; fail?: boolean }) => {
  if (value.close === true) {
    process.stdout.write("closing\n");
    setImmediate(closeWorker);
  } else if (value.fail === true) throw new Error("as asked");
  else parentPort?.postMessage(value);
});
