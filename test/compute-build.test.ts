import { mkdir, mkdtempDisposable, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { buildAssembly } from "../runtime/compute/build.ts";
import { type Build, createMemory, hasRelaxedSimd, loadSubject, type SharedMemory } from "../runtime/compute/load.ts";
import { Worker } from "../runtime/worker.ts";

const compute = join(import.meta.dirname, "../runtime/compute");

test("buildAssembly() compiles what changed and nothing else, says where the sources are wrong, and is done again next time", async () => {
  await using temporary = await mkdtempDisposable(join(tmpdir(), "freshet-build-"));
  const folder = temporary.path;
  const source = join(folder, "assembly/one.ts");
  await mkdir(join(folder, "assembly/common"), { recursive: true });
  await writeFile(source, 'import { two } from "./common/two";\nexport function one(): i32 {\n  return two();\n}\n');
  await expect(buildAssembly({ folder })).rejects.toThrow(
    /assembly\/one.ts: ERROR[^]*'common\/two.ts' not found[^]*one.ts\(1,\d+\)/,
  );
  await writeFile(join(folder, "assembly/common/two.ts"), "export function two(): i32 {\n  return 2;\n}\n");
  expect(await buildAssembly({ folder })).toEqual(["one"]);
  expect((await readdir(join(folder, "built"))).toSorted()).toEqual(["one-relaxed.wasm", "one.sha256", "one.wasm"]);
  expect(await buildAssembly({ folder })).toEqual([]);
  await rm(join(folder, "built/one-relaxed.wasm"));
  expect(await buildAssembly({ folder })).toEqual(["one"]);
}, 300_000);

test("what is compiled holds no data, so it takes no room in the memory that it is lent", async () => {
  await buildAssembly();
  const built = (await readdir(join(compute, "built"))).filter((file) => file.endsWith(".wasm"));
  expect(built.length).toBeGreaterThan(1);
  for (const file of built) expect(sectionsOf(await readFile(join(compute, "built", file))), file).not.toContain(DATA);
});

/** The number of the section that a module's data stands in. */
const DATA = 11;

/** The numbers of a module's sections: each is a byte, the section's length in groups of 7 bits, and as many bytes. */
function sectionsOf(module: Uint8Array): number[] {
  const sections: number[] = [];
  for (let at = 8; at < module.length;) {
    sections.push(module[at] ?? Number.NaN);
    at += 1;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at] ?? 0;
      at += 1;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    at += length;
  }
  return sections;
}

test("a worker without any permission computes on memory that it shares, with either build", async () => {
  expect(hasRelaxedSimd("kernels")).toBe(true);
  for (const build of ["relaxed", "plain"] satisfies readonly Build[]) {
    const memory = createMemory({ bytes: 128, bytesMax: 128 });
    new Float32Array(memory.buffer).set([63, -2, 0]);
    expect(await messageOf(memory, build)).toBe("done");
    expect([...new Uint8Array(memory.buffer, 16, 3)]).toEqual([127, 62, 64]);
  }
}, 120_000);

test("loadSubject() refuses code that is not what its caller declares", () => {
  const memory = createMemory({ bytes: 1, bytesMax: 1 });
  const message =
    /Cannot load the compute kernels 'kernels': what is built does not fit this version; run npm run prepare/;
  interface Other {
    readonly runSteps: (steps: number) => void;
  }
  expect(() => loadSubject<Other>("kernels", { memory, arities: { runSteps: 1 } })).toThrow(message);
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
