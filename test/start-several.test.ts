import { expect, test } from "vitest";
import { describeEnd } from "../regions/cli/several.ts";

test.each([
  [{ code: 2 }, "with exit status 2"],
  [{ signal: "SIGKILL" }, "by SIGKILL"],
  [{}, "before it started"],
])("one process of several that ended as %o is said to have ended %s", (end, how) => {
  expect(describeEnd(end, { isStopping: false })).toBe(`ended ${how}; it is not started again, and the others go on`);
  expect(describeEnd(end, { isStopping: true })).toBe(`ended ${how}`);
});
