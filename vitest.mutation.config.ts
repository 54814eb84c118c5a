import { defineConfig } from "vitest/config";

// What runs for each planted change of protocols/: laws and examples of pure code, in one process and without threads, sockets or files.
export default defineConfig({
  test: {
    include: [
      "properties/{leadership,learning,model-state,quantile,stream,sync}-*.property.ts",
      "test/{sync,learning}-*.test.ts",
    ],
    exclude: ["properties/sync-{world,catalogue,explorer,replay}.property.ts"],
    testTimeout: 60_000,
    setupFiles: ["./test/fixed-seed.ts"],
  },
});
