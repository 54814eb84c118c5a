// Computes on the memory that its parent made. Runs without any permission.
import { parentPort } from "node:worker_threads";
import { loadKernels } from "../../runtime/compute/kernels.ts";
import { type Build, type SharedMemory } from "../../runtime/compute/load.ts";

parentPort?.on("message", ({ memory, build }: { readonly memory: SharedMemory; readonly build: Build }) => {
  loadKernels(memory, build).encodeRow(0, 3, 16, 64);
  parentPort?.postMessage("done");
});
