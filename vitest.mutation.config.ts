import { defineConfig } from "vitest/config";

// What runs for each planted change of protocols/: laws and examples of pure code, in one process and without threads, sockets or files.
export default defineConfig({
  test: {
    include: [
      "properties/{leadership,learning,model-state,quantile,stream,sync}-*.property.ts",
      "test/sync-{poll,poll-leaders,pull,refusals,row-store,urgent}.test.ts",
      "test/learning-*.test.ts",
    ],
    exclude: ["properties/sync-{world,catalogue,explorer,replay,fuzz}.property.ts", "test/sync-trace.test.ts"],
    testTimeout: 60_000,
    setupFiles: ["./test/mutation/fixed-seed.ts"],
  },
});
