import { expect, test } from "vitest";
import { createPool } from "../runtime/pool.ts";

const module = new URL("runtime-fixtures/pool-work.ts", import.meta.url);

function soon(): AbortSignal {
  return AbortSignal.timeout(10_000);
}

async function expectAborted(work: Promise<unknown>): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: "AbortError" });
}

test("a pool runs work on its threads, passes errors on, gives up at the signal and says when it is full", async () => {
  await using pool = createPool({ module, threadsMax: 1, queueMax: 1 });
  expect(await pool.run("double", 21, { signal: soon() })).toBe(42);
  await expect(pool.run("fail", "as asked", { signal: soon() })).rejects.toThrow("as asked");
  const controller = new AbortController();
  const spinning = expectAborted(pool.run("spin", undefined, { signal: controller.signal }));
  const waiting = pool.run("double", 1, { signal: soon() });
  await expect(pool.run("double", 2, { signal: soon() })).rejects.toMatchObject({ name: "PoolFull" });
  controller.abort();
  await spinning;
  expect(await waiting).toBe(2);
  await pool[Symbol.asyncDispose]();
});
