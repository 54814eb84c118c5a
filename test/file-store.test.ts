import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type ImageStoreProtocol } from "../runtime/file-store.ts";
import { ActorSystem } from "../runtime/system.ts";
import { imageNumber, openStore, soon, temporaryFolder } from "./file-store-support.ts";

const saver = fileURLToPath(new URL("file-store-saver.ts", import.meta.url));
const canMount = spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /tmp"]).status === 0;

test("load() has none, one, then the two newest images, newest first; list() has the newest", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: join(folder.path, "deep", "images") });
  const { files } = store;
  const sizes: number[][] = [];
  for (const bytes of [1, 2, 3]) {
    const { images } = await files.ask("load", { name: "a" }, { signal: soon() });
    sizes.push(images.map((image) => image.length));
    expect(await files.ask("save", { name: "a", bytes: new Uint8Array(bytes) }, { signal: soon() })).toEqual({
      kind: "saved",
      bytes,
    });
  }
  const { images } = await files.ask("load", { name: "a" }, { signal: soon() });
  expect(images).toEqual([new Uint8Array(3), new Uint8Array(2)]);
  expect(sizes).toEqual([[], [1], [2, 1]]);
  await files.ask("save", { name: "nul", bytes: Uint8Array.of(7) }, { signal: soon() });
  const listed = await files.ask("list", {}, { signal: soon() });
  expect(listed.files).toMatchObject([
    { name: "a", bytes: 3 },
    { name: "nul", bytes: 1 },
  ]);
  if (process.platform !== "win32") expect((await stat(join(folder.path, "deep", "images"))).mode & 0o777).toBe(0o700);
});

test("saves of one name keep their order and those of many names all arrive, on their way at the same time", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: folder.path });
  const { files } = store;
  const names = Array.from({ length: 8 }, (_, index) => `n${index}`);
  const saves = [1, 2, 3, 4, 5].flatMap((number) =>
    names.map((name) =>
      files.ask("save", { name, bytes: new Uint8Array(6 - number).fill(number) }, { signal: soon() }),
    ),
  );
  expect((await Promise.all(saves)).every(({ kind }) => kind === "saved")).toBe(true);
  for (const name of names) {
    const { images } = await files.ask("load", { name }, { signal: soon() });
    expect(images).toEqual([Uint8Array.of(5), Uint8Array.of(4, 4)]);
  }
});

test("a stop waits for the saves that were taken", async () => {
  await using folder = await temporaryFolder();
  const answers: Promise<unknown>[] = [];
  {
    await using store = await openStore({ folder: folder.path });
    for (const byte of [1, 2, 3]) {
      answers.push(
        store.files
          .ask("save", { name: "a", bytes: new Uint8Array(1000).fill(byte) }, { signal: soon() })
          .catch(() => undefined),
      );
    }
  }
  await Promise.all(answers);
  await using again = await openStore({ folder: folder.path });
  const { images } = await again.files.ask("load", { name: "a" }, { signal: soon() });
  expect(images.map((image) => image[0])).toEqual([3, 2]);
});

test("names that are no tokens, and images that are empty or too large, are refused and touch nothing", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: join(folder.path, "images"), imageBytesMax: 4 });
  const { files } = store;
  const requests = ["", "../a", "a/b", "A", "a.b", "a\0", "x".repeat(65), "__proto__"].map((name) => ({
    name,
    bytes: Uint8Array.of(1),
  }));
  for (const request of [
    ...requests,
    { name: "a", bytes: new Uint8Array(0) },
    { name: "a", bytes: new Uint8Array(5) },
  ]) {
    await expect(files.ask("save", request, { signal: soon() })).rejects.toMatchObject({
      name: "AskFailed",
      code: "refused",
    });
  }
  for (const { name } of requests) {
    await expect(files.ask("load", { name }, { signal: soon() })).rejects.toMatchObject({ code: "refused" });
  }
  expect(await readdir(folder.path)).toEqual(["images"]);
  expect(await readdir(join(folder.path, "images"))).toEqual([]);
});

test("a current image that cannot be read gives way to the one before; none that can be read is not the same as none", async () => {
  await using folder = await temporaryFolder();
  await mkdir(join(folder.path, "image-a.current"));
  await writeFile(join(folder.path, "image-a.previous"), "b");
  await writeFile(join(folder.path, "image-c.current"), "too large");
  await writeFile(join(folder.path, "image-c.0.saving"), "half");
  await using store = await openStore({ folder: folder.path, imageBytesMax: 4 });
  const { images } = await store.files.ask("load", { name: "a" }, { signal: soon() });
  expect(images).toEqual([Uint8Array.of(98)]);
  await expect(store.files.ask("load", { name: "c" }, { signal: soon() })).rejects.toMatchObject({ code: "refused" });
  expect(store.lines.map(({ level }) => level)).toEqual(["error", "error"]);
  expect((await readdir(folder.path)).filter((file) => file.endsWith(".saving"))).toEqual([]);
});

test("a worker that may write one folder saves and loads in it, though it may not sync", async () => {
  await using folder = await temporaryFolder();
  await using system = await ActorSystem.start({ region: "here", sink: () => undefined });
  const module = new URL("../runtime/file-store.ts", import.meta.url);
  await system.worker({
    name: "shards",
    permissions: { read: [folder.path], write: [folder.path] },
    actors: [{ module, export: "fileStore", id: "a", config: { folder: join(folder.path, "images") } }],
  });
  const files = system.ref<ImageStoreProtocol>({ region: "here", kind: "files", id: "a" });
  for (const byte of [1, 2, 3]) {
    const bytes = Uint8Array.of(9, byte);
    expect(await files.ask("save", { name: "a", bytes }, { signal: soon() })).toEqual({ kind: "saved", bytes: 2 });
  }
  const { images } = await files.ask("load", { name: "a" }, { signal: soon() });
  expect(images).toEqual([Uint8Array.of(9, 3), Uint8Array.of(9, 2)]);
});

test("after SIGKILL at any moment there is a whole image, no older than the last that was saved", async () => {
  await using folder = await temporaryFolder();
  const words = 2_300_000; // more than one write
  let last = 0;
  for (let round = 0; round < 20; round += 1) {
    await using child = start(["loop", folder.path, String(words), String(last + 1)]);
    const lines = createInterface({ input: child.process.stdout });
    lines.on("line", (line) => (last = Number(line)));
    await Promise.race([once(lines, "line"), child.ended]);
    await delay(Math.random() * 60);
    child.process.kill("SIGKILL");
    expect(await child.ended).toBe("SIGKILL");
    await using store = await openStore({ folder: join(folder.path, "images") });
    const { images } = await store.files.ask("load", { name: "a" }, { signal: soon() });
    const numbers = images.map((image) => imageNumber(image, words));
    expect(numbers).not.toContain(undefined);
    expect(numbers[0]).toBeGreaterThanOrEqual(last);
    last = numbers[0] ?? last;
  }
});

const full = { kind: "failed", code: "full" };
const saved = { kind: "saved" };

test.skipIf(process.platform === "win32")(
  "a file beyond the process's limit is answered 'full', loses nothing and leaves nothing",
  async () => {
    await using folder = await temporaryFolder();
    const said = await run("sh", [
      "-c",
      'ulimit -f 4096; exec "$0" "$@"',
      process.execPath,
      saver,
      "fill",
      folder.path,
    ]);
    expect(said).toMatchObject({
      outcomes: [saved, saved, full, saved],
      inFolder: ["image-a.current", "image-a.previous"],
      images: [
        [4, 131_072],
        [2, 131_072],
      ],
    });
  },
);

// Needs Linux, and leave to mount in a namespace of one's own.
test.skipIf(!canMount)(
  "a full disk is answered 'full', a read-only one 'denied', and neither loses an image",
  async () => {
    await using folder = await temporaryFolder();
    const script = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@" "$0"';
    const said = await run("unshare", [
      "-rm",
      "sh",
      "-c",
      script,
      folder.path,
      process.execPath,
      saver,
      "fill-and-freeze",
    ]);
    expect(said).toMatchObject({
      outcomes: [saved, saved, full, saved, { kind: "failed", code: "denied" }],
      inFolder: ["image-a.current", "image-a.previous"],
      images: [
        [4, 131_072],
        [2, 131_072],
      ],
    });
  },
);

function start(
  args: readonly string[],
): AsyncDisposable & { readonly process: ReturnType<typeof spawnSaver>; readonly ended: Promise<unknown> } {
  const child = spawnSaver(args);
  const ended = once(child, "close").then(([code, signal]: unknown[]) => signal ?? code);
  return {
    process: child,
    ended,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function spawnSaver(args: readonly string[]) {
  return spawn(process.execPath, [saver, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

async function run(command: string, args: readonly string[]): Promise<unknown> {
  const child = spawn(command, [...args], { stdio: ["ignore", "pipe", "inherit"] });
  const [text] = await Promise.all([child.stdout.toArray(), once(child, "close")]);
  return JSON.parse(Buffer.concat(text).toString());
}
