import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type ActorRef } from "../runtime/actor.ts";
import { type FileStoreProtocol } from "../runtime/file-store-protocol.ts";
import { ActorSystem } from "../runtime/system.ts";
import { imageNumber, openStore, readImages, saveImage, soon, temporaryFolder } from "./file-store-support.ts";

const saver = fileURLToPath(new URL("file-store-saver.ts", import.meta.url));
const canMount = spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /tmp"]).status === 0;

test("load() has none, one, then the newest image and the one before its whole segment", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: join(folder.path, "deep", "images") });
  const { files } = store;
  const sizes: number[][] = [];
  for (const bytes of [1, 2, 3]) {
    sizes.push((await readImages(files, "a")).map((image) => image.length));
    expect(await saveImage(files, { name: "a", bytes: new Uint8Array(bytes) })).toMatchObject({ kind: "saved" });
  }
  expect(await readImages(files, "a")).toEqual([new Uint8Array(3), new Uint8Array(2)]);
  expect(sizes).toEqual([[], [1], [2, 1]]);
  await saveImage(files, { name: "nul", bytes: Uint8Array.of(7) });
  expect(await readImages(files, "nul")).toEqual([Uint8Array.of(7)]);
  if (process.platform !== "win32") expect((await stat(join(folder.path, "deep", "images"))).mode & 0o777).toBe(0o700);
});

test("increments follow the segment that they name, and no other; what no manifest names is removed", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: folder.path });
  const { files } = store;
  const whole = await saveImage(files, { name: "a", bytes: Uint8Array.of(1) });
  const second = await saveImage(files, { name: "a", bytes: Uint8Array.of(2), after: whole.segment });
  await expect(saveImage(files, { name: "a", bytes: Uint8Array.of(9), after: whole.segment })).rejects.toMatchObject({
    code: "refused",
  });
  await saveImage(files, { name: "a", bytes: Uint8Array.of(3), after: second.segment, head: Uint8Array.of(7, 7) });
  expect(await readImages(files, "a")).toEqual([Uint8Array.of(1, 2, 3)]);
  const { images } = await files.ask("load", { name: "a" }, { signal: soon() });
  expect(images.map((image) => image.kind === "segments" && image.segments.map(({ head }) => [...head]))).toEqual([
    [[1], [1], [7, 7]],
  ]);
  await saveImage(files, { name: "a", bytes: Uint8Array.of(4) });
  expect(await readImages(files, "a")).toEqual([Uint8Array.of(4), Uint8Array.of(1, 2, 3)]);
  await saveImage(files, { name: "a", bytes: Uint8Array.of(5) });
  expect(await readImages(files, "a")).toEqual([Uint8Array.of(5), Uint8Array.of(4)]);
  expect((await readdir(folder.path)).filter((file) => file.endsWith(".segment"))).toHaveLength(2);
});

test("segments of many names are written at the same time, in turn, each with its blocks in order", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: folder.path });
  const { files } = store;
  const names = Array.from({ length: 9 }, (_, index) => `n${index}`);
  await Promise.all(
    names.map(async (name, index) => {
      const { segment } = await begin(files, name);
      // Some shrink and some do not, so they are packed in other times than they came.
      const blocks = [500_000, 3, 200_000, 1].map((bytes, at) => numbered(bytes, at + index));
      await Promise.all(blocks.map((block) => files.ask("append", { name, segment, block }, { signal: soon() })));
      const head = new Uint8Array();
      await files.ask("commit", { name, segment, head, after: undefined }, { signal: soon() });
      expect(await readImages(files, name)).toEqual([new Uint8Array(Buffer.concat(blocks))]);
    }),
  );
});

test("what was begun before a load, or before another beginning, is refused afterwards and leaves nothing", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: folder.path });
  const { files } = store;
  const [one, two] = [await begin(files, "a"), await begin(files, "a")];
  expect(await readImages(files, "a")).toEqual([]);
  const three = await begin(files, "a");
  for (const { segment } of [one, two]) {
    const step = { name: "a", segment, head: new Uint8Array(), after: undefined };
    await expect(files.ask("commit", step, { signal: soon() })).rejects.toMatchObject({ code: "refused" });
    const append = { name: "a", segment, block: Uint8Array.of(1) };
    await expect(files.ask("append", append, { signal: soon() })).rejects.toMatchObject({ code: "refused" });
  }
  files.tell("abandon", { name: "a", segment: three.segment });
  expect(await readImages(files, "a")).toEqual([]);
  expect(await readdir(folder.path)).toEqual([]);
});

test("a stop waits for the commits that were taken", async () => {
  await using folder = await temporaryFolder();
  let committed: Promise<unknown> = Promise.resolve();
  {
    await using store = await openStore({ folder: folder.path });
    const { segment } = await begin(store.files, "a");
    const block = new Uint8Array(1_000_000).fill(3);
    await store.files.ask("append", { name: "a", segment, block }, { signal: soon() });
    const step = { name: "a", segment, head: new Uint8Array(), after: undefined };
    committed = store.files.ask("commit", step, { signal: soon() }).catch(() => undefined);
  }
  await committed;
  await using again = await openStore({ folder: folder.path });
  expect((await readImages(again.files, "a")).map((image) => [image.length, image[0]])).toEqual([[1_000_000, 3]]);
});

test("names that are no tokens, and blocks that are empty or too large, are refused and touch nothing", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: join(folder.path, "images") });
  const { files } = store;
  for (const name of ["", "../a", "a/b", "A", "a.b", "a\0", "x".repeat(65), "__proto__"]) {
    const refused = { name: "AskFailed", code: "refused" };
    await expect(files.ask("begin", { name }, { signal: soon() })).rejects.toMatchObject(refused);
    await expect(files.ask("load", { name }, { signal: soon() })).rejects.toMatchObject(refused);
  }
  const { segment } = await begin(files, "a");
  for (const bytes of [0, 5_000_000]) {
    const block = new Uint8Array(bytes);
    const outcome = await files.ask("append", { name: "a", segment, block }, { signal: soon() });
    expect(outcome).toMatchObject({ kind: "failed", code: "io" });
  }
  files.tell("abandon", { name: "a", segment });
  expect(await readImages(files, "a")).toEqual([]);
  expect(await readdir(folder.path)).toEqual(["images"]);
  expect(await readdir(join(folder.path, "images"))).toEqual([]);
});

test("an image that cannot be read gives way to the one before; none that can be read is not the same as none", async () => {
  await using folder = await temporaryFolder();
  await mkdir(join(folder.path, "image-a.current"));
  await writeFile(join(folder.path, "image-a.previous"), "FrIm");
  await writeFile(join(folder.path, "image-c.current"), "FrMa, but no manifest");
  await writeFile(join(folder.path, "image-c.0123456789abcdef.segment"), "who knows");
  await writeFile(join(folder.path, "image-c.0.saving"), "half");
  await writeFile(join(folder.path, "image-d.0123456789abcdef.segment"), "half");
  await using store = await openStore({ folder: folder.path });
  expect(await readImages(store.files, "a")).toEqual([new TextEncoder().encode("FrIm")]);
  await expect(store.files.ask("load", { name: "c" }, { signal: soon() })).rejects.toMatchObject({ code: "refused" });
  expect(store.lines.map(({ level }) => level)).toEqual(["error", "error"]);
  // What an unreadable manifest may name stays; what nobody names goes.
  expect((await readdir(folder.path)).filter((file) => /segment|saving/.test(file))).toEqual([
    "image-c.0123456789abcdef.segment",
  ]);
});

test("a damaged segment takes along those after it, and a damaged whole one its image", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: folder.path });
  const { files } = store;
  await saveImage(files, { name: "a", bytes: Uint8Array.of(9) });
  let { segment } = await saveImage(files, { name: "a", bytes: Uint8Array.of(1) });
  const segments = [segment];
  for (const byte of [2, 3]) {
    ({ segment } = await saveImage(files, { name: "a", bytes: Uint8Array.of(byte), after: segment }));
    segments.push(segment);
  }
  const expected = [[[1, 2], [9]], [[1], [9]], [[9]]];
  for (const id of segments.toReversed()) {
    const path = join(folder.path, `image-a.${id}.segment`);
    const bytes = await readFile(path);
    bytes[bytes.length - 1] = 0;
    await writeFile(path, bytes);
    expect((await readImages(files, "a")).map((image) => [...image])).toEqual(expected.shift());
    // No increment may follow what cannot be read.
    await expect(saveImage(files, { name: "a", bytes: Uint8Array.of(7), after: segment })).rejects.toMatchObject({
      code: "refused",
    });
  }
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
  const files = system.ref<FileStoreProtocol>({ region: "here", kind: "files", id: "a" });
  for (const byte of [1, 2, 3]) {
    expect(await saveImage(files, { name: "a", bytes: Uint8Array.of(9, byte) })).toMatchObject({ kind: "saved" });
  }
  expect(await readImages(files, "a")).toEqual([Uint8Array.of(9, 3), Uint8Array.of(9, 2)]);
});

test("nothing is added to an image that is not there any more", async () => {
  await using folder = await temporaryFolder();
  await using store = await openStore({ folder: folder.path });
  const { files } = store;
  const whole = await saveImage(files, { name: "a", bytes: Uint8Array.of(1) });
  const after = await saveImage(files, { name: "a", bytes: Uint8Array.of(2), after: whole.segment });
  expect(after).toMatchObject({ kind: "saved" });
  await rm(folder.path, { recursive: true });
  await mkdir(folder.path);
  expect(await saveImage(files, { name: "a", bytes: Uint8Array.of(3), after: after.segment })).toMatchObject({
    kind: "failed",
    code: "io",
    message: `Cannot save image 'a' in '${folder.path}': what is there of it is not what was written last`,
  });
  expect(await saveImage(files, { name: "a", bytes: Uint8Array.of(4) })).toMatchObject({ kind: "saved" });
  expect(await readImages(files, "a")).toEqual([Uint8Array.of(4)]);
});

test("after SIGKILL at any moment there is a whole image, no older than the last that was saved", async () => {
  await using folder = await temporaryFolder();
  const words = 2_300_000; // more than one write
  let last = 0;
  for (let round = 0; round < 8; round += 1) {
    await using child = start(["loop", folder.path, String(words), String(last + 1)]);
    const lines = createInterface({ input: child.process.stdout });
    lines.on("line", (line) => (last = Number(line)));
    await Promise.race([once(lines, "line"), child.ended]);
    await delay(Math.random() * 60);
    child.process.kill("SIGKILL");
    expect(await child.ended).toBe("SIGKILL");
    await using store = await openStore({ folder: join(folder.path, "images") });
    const images = await readImages(store.files, "a");
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
      inFolder: ["image-a.ID.segment", "image-a.ID.segment", "image-a.current", "image-a.previous"],
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
      inFolder: ["image-a.ID.segment", "image-a.ID.segment", "image-a.current", "image-a.previous"],
      images: [
        [4, 131_072],
        [2, 131_072],
      ],
    });
  },
);

async function begin(files: ActorRef<FileStoreProtocol>, name: string): Promise<{ readonly segment: string }> {
  const begun = await files.ask("begin", { name }, { signal: soon() });
  if (begun.kind === "failed") throw new Error(begun.message);
  return begun;
}

/** Even numbers make bytes that shrink, odd ones bytes that do not. */
function numbered(bytes: number, number: number): Uint8Array {
  const block = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 1) {
    block[at] = number % 2 === 0 ? number : Math.imul(at + number, 2654435761) >>> 13;
  }
  return block;
}

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
