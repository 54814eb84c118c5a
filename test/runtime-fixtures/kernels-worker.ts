// Computes on the memory that its parent made. Runs without any permission.
import { parentPort } from "node:worker_threads";
import { type Build, loadSubject, type SharedMemory } from "../../runtime/compute/load.ts";

interface InnerProducts {
  readonly innerProducts: (...values: [query: number, matrix: number, rows: number, dim: number, out: number]) => void;
}

parentPort?.on("message", ({ memory, build }: { readonly memory: SharedMemory; readonly build: Build }) => {
  const kernels = loadSubject<InnerProducts>("kernels", { memory, build, arities: { innerProducts: 5 } });
  kernels.innerProducts(0, 16, 2, 3, 64);
  parentPort?.postMessage("done");
});
