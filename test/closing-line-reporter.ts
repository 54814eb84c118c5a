import { type Reporter, type TestModule, type TestRunEndReason } from "vitest/node";

/** Ends the run's output with one plain line, `N passed, N failed` and `, N skipped` where some were: easy to find. */
export class ClosingLineReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[], reason: TestRunEndReason): void {
    let passed = 0;
    let skipped = 0;
    let failed = unhandled.length;
    for (const module of modules) {
      let failedHere = 0;
      for (const testCase of module.children.allTests()) {
        const { state } = testCase.result();
        if (state === "passed") passed += 1;
        else if (state === "failed") failedHere += 1;
        else skipped += 1;
      }
      // A file that does not load, or whose hooks fail, has failed although none of its tests did.
      if (failedHere === 0 && !module.ok()) failedHere = 1;
      failed += failedHere;
    }
    if (failed === 0 && reason !== "passed") failed = 1;
    process.stdout.write(`${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}\n`);
  }
}
