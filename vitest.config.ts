import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { ClosingLineReporter } from "./test/closing-line-reporter.ts";

// Processes and threads that tests start take a quarter of the time to load our code when another has compiled it before.
process.env["NODE_COMPILE_CACHE"] ??= join(import.meta.dirname, ".cache", "compiled");

export default defineConfig({
  test: {
    include: ["properties/**/*.property.ts", "test/**/*.test.ts"],
    // Files run in processes of their own: tests start threads with their own permissions, exhaust heaps, change the
    // working directory and send signals, and none of that may reach the next file.
    pool: "forks",
    isolate: true,
    // Two, so that a test's own threads and nats-servers have a core left on a small machine.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    // What tests load must be compiled from what is there now.
    globalSetup: ["./test/compile-assembly.ts"],
    setupFiles: ["./test/nothing-left-running.ts"],
    reporters: ["default", new ClosingLineReporter()],
  },
});
