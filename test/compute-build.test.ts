import { appendFile, cp, mkdtempDisposable, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { buildAssembly } from "../runtime/compute/build.ts";
import { type Build, createMemory, hasRelaxedSimd, loadSubject, type SharedMemory } from "../runtime/compute/load.ts";
import { Worker } from "../runtime/worker.ts";

const compute = join(import.meta.dirname, "../runtime/compute");

async function copyOfSources(folder: string): Promise<{ readonly folder: string; readonly inner: string }> {
  await cp(join(compute, "assembly"), join(folder, "assembly"), { recursive: true });
  for (const other of await readdir(join(folder, "assembly"))) {
    if (other.endsWith(".ts") && other !== "kernels.ts") await rm(join(folder, "assembly", other));
  }
  return { folder, inner: join(folder, "assembly/kernels/inner-products.ts") };
}

test("buildAssembly() compiles what changed and nothing else", async () => {
  await using temporary = await mkdtempDisposable(join(tmpdir(), "freshet-build-"));
  const { folder, inner } = await copyOfSources(temporary.path);
  expect(await buildAssembly({ folder })).toEqual(["kernels"]);
  expect((await readdir(join(folder, "built"))).toSorted()).toEqual([
    "kernels-relaxed.wasm",
    "kernels.sha256",
    "kernels.wasm",
  ]);
  expect(await buildAssembly({ folder })).toEqual([]);
  await appendFile(inner, "// Changed.\n");
  expect(await buildAssembly({ folder })).toEqual(["kernels"]);
  await rm(join(folder, "built/kernels-relaxed.wasm"));
  expect(await buildAssembly({ folder })).toEqual(["kernels"]);
}, 60_000);

test("buildAssembly() says where the sources are wrong, takes no warnings, and is done again next time", async () => {
  await using temporary = await mkdtempDisposable(join(tmpdir(), "freshet-build-"));
  const { folder, inner } = await copyOfSources(temporary.path);
  const right = await readFile(inner, "utf8");
  await writeFile(inner, right.replace("sum4(acc)", "sum5(acc)"));
  await expect(buildAssembly({ folder })).rejects.toThrow(/sum5[^]*kernels\/inner-products.ts\(\d+,\d+\)/);
  await writeFile(inner, right);
  expect(await buildAssembly({ folder })).toEqual(["kernels"]);
}, 60_000);

test("a worker without any permission computes on memory that it shares, with either build", async () => {
  expect(hasRelaxedSimd("kernels")).toBe(true);
  for (const build of ["relaxed", "plain"] satisfies readonly Build[]) {
    const memory = createMemory({ bytes: 128, bytesMax: 128 });
    const floats = new Float32Array(memory.buffer);
    floats.set([1, 2, 3, 0, 1, 10, 100, -1, 0.5, Number.NaN]);
    expect(await messageOf(memory, build)).toBe("done");
    expect([...floats.subarray(16, 19)]).toEqual([321, Number.NaN, 0]);
  }
}, 30_000);

test("loadSubject() refuses code that is not what its caller declares", () => {
  const memory = createMemory({ bytes: 1, bytesMax: 1 });
  const message =
    /Cannot load the compute kernels 'kernels': what is built does not fit this version; run npm run prepare/;
  interface Other {
    readonly innerProducts: (query: number) => void;
  }
  expect(() => loadSubject<Other>("kernels", { memory, arities: { innerProducts: 1 } })).toThrow(message);
  expect(() => loadSubject("kernels", { memory, arities: {} })).toThrow(message);
  expect(() => loadSubject("no-such", { memory, arities: {} })).toThrow(
    "Cannot load the compute kernels 'no-such': it has not been compiled; run npm install or npm run prepare",
  );
});

test("createMemory() refuses what 32-bit addresses cannot reach", () => {
  expect(() => createMemory({ bytes: 2 ** 32 + 1, bytesMax: 2 ** 32 + 1 })).toThrow(RangeError);
  expect(() => createMemory({ bytes: 65_537, bytesMax: 65_536 })).toThrow(RangeError);
  const memory = createMemory({ bytes: 0, bytesMax: 3 * 65_536 });
  expect(memory.grow(2)).toBe(1);
  expect(memory.buffer.byteLength).toBe(3 * 65_536);
});

async function messageOf(memory: SharedMemory, build: Build): Promise<unknown> {
  await using worker = new Worker(new URL("runtime-fixtures/kernels-worker.ts", import.meta.url), {
    name: "kernels",
    permissions: {},
  });
  worker.postMessage({ memory, build });
  return await new Promise((resolve) => {
    worker.addEventListener("message", (event) => resolve("data" in event ? event.data : undefined), { once: true });
    void worker.ended.then((end) => resolve(end));
  });
}
