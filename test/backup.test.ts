/*
 * Backups of a state folder with two shards, each with a whole segment and an increment: what is made of a whole one, and what is refused.
 */
import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { packTar, unpackTar } from "modern-tar";
import { expect, test } from "vitest";
import { CrashDisk } from "../properties/world/crash-disk.ts";
import { createRandom, nextBelow } from "../protocols/random.ts";
import { decodeManifest, encodeManifest } from "../protocols/wire/manifest.ts";
import { backUp } from "../regions/snapshot/backup.ts";
import { restore } from "../regions/snapshot/restore.ts";
import { unpackBackup } from "../regions/snapshot/unpack.ts";
import { contentOf, leftIn, never, workplace } from "./backup-workplace.ts";

const BLOCK = 512;

test("a backup has each file of the newest images, and restores them as they were; where there are some already it is refused", async () => {
  await using folder = await workplace();
  const made = await folder.backUp();
  expect(made).toMatchObject({ shards: 2, older: [] });
  expect((await stat(folder.file)).mode & 0o777).toBe(0o600);
  expect(await folder.restore()).toMatchObject([
    { shard: "clicks-0", problems: [], segments: 2 },
    { shard: "clicks-1", problems: [], segments: 2 },
  ]);
  expect(await contentOf(join(folder.copy, "shards"))).toEqual(await contentOf(folder.shards));
  expect(await leftIn(folder.copy)).toEqual(["shards"]);
  await expect(folder.restore()).rejects.toThrow("its 'shards' has images. Move them away first");
  await expect(folder.backUp()).rejects.toThrow(`Cannot back up to '${folder.file}': it is there already`);
  expect(await contentOf(join(folder.copy, "shards"))).toEqual(await contentOf(folder.shards));
});

test("a backup that was cut, or whose end is zeros, is refused by its own name, and nothing of it is left", async () => {
  await using folder = await workplace();
  await folder.backUp();
  const whole = await readFile(folder.file);
  const entries = await unpackTar(whole);
  const kept = await packTar(entries.slice(0, 4));
  // Between two files, and before the end that an archive has. Every other cut: backup-crashes.ts.
  for (const cut of [kept.length - 2 * BLOCK, whole.length - 2 * BLOCK]) {
    const zeros = Buffer.concat([whole.subarray(0, cut), Buffer.alloc(whole.length - cut)]);
    for (const bytes of zeros.equals(whole) ? [whole.subarray(0, cut)] : [whole.subarray(0, cut), zeros]) {
      await writeFile(folder.file, bytes);
      await expect(folder.restore()).rejects.toThrow(`Cannot restore from '${folder.file}': `);
      expect(await leftIn(folder.copy)).toEqual([]);
    }
  }
});

test("a backup that lacks a file, or has one too many, is refused also without a list, as old ones are", async () => {
  await using folder = await workplace();
  await folder.backUp();
  const entries = await unpackTar(await readFile(folder.file));
  expect(entries[0]?.header.name).toBe("backup.json");
  const files = entries.slice(1);
  async function unpack(chosen: typeof entries): Promise<string[]> {
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield await packTar(chosen);
    }
    return unpackBackup(bytes(), { ...never, disk: new CrashDisk(), folder: "/new" });
  }
  for (const file of files) {
    await expect(unpack(entries.filter((each) => each !== file))).rejects.toThrow("which its list names, is not in it");
    await expect(unpack(files.filter((each) => each !== file))).rejects.toThrow(/is not in it|no manifest in it names/);
  }
  const third = files.map((each) => {
    return { ...each, header: { ...each.header, name: each.header.name.replace("clicks-1", "clicks-2") } };
  });
  const added = third.filter(({ header }) => header.name.includes("clicks-2"));
  await expect(unpack([...entries, ...added])).rejects.toThrow("its list does not name");
  expect(await unpack(files)).toEqual(["clicks-0", "clicks-1"]);
});

test("a backup with a bit that is another in any of its files is refused, with the shard's name", async () => {
  await using folder = await workplace();
  await folder.backUp();
  const entries = await unpackTar(await readFile(folder.file));
  for (const [at, { header, data }] of entries.entries()) {
    const damaged = Buffer.from(data ?? []);
    damaged[20] = (damaged[20] ?? 0) ^ 1;
    await writeFile(folder.file, await packTar(entries.with(at, { header, data: new Uint8Array(damaged) })));
    const [shard] = /clicks-[01]/.exec(header.name) ?? [];
    await expect(folder.restore(), header.name).rejects.toThrow(
      shard === undefined ? "its backup.json is none that Freshet wrote" : `shard '${shard}' in it is damaged: `,
    );
    expect(await leftIn(folder.copy)).toEqual([]);
  }
});

test("an archive with anything that no backup has is refused before it is written: paths, links, devices, odd names, noise", async () => {
  await using folder = await workplace();
  await folder.backUp();
  const entries = await unpackTar(await readFile(folder.file));
  const name = "image-clicks-0.current";
  const data = Buffer.from("x");
  const file = { size: 1, type: "file" } as const;
  const hostile = [
    { header: { ...file, name: `../${name}` }, data },
    { header: { ...file, name: `../../${name}` }, data },
    { header: { ...file, name: join(folder.path, "outside", name) }, data },
    { header: { ...file, name: `a/${name}` }, data },
    { header: { ...file, name: `./${name}` }, data },
    { header: { ...file, name: "image-a b.current" }, data },
    { header: { ...file, name: "image-a.previous" }, data },
    { header: { ...file, name: "notes.txt" }, data },
    { header: { ...file, name }, data }, // a second time
    { header: { ...file, name: "backup.json" }, data }, // likewise
    { header: { name: "image-a-0.current", size: 0, type: "symlink", linkname: "/etc/passwd" } },
    { header: { name: "image-a-0.current", size: 0, type: "link", linkname: name } },
    { header: { name: "image-a-0.current", size: 0, type: "fifo" } },
    { header: { name: "image-a-0.current", size: 0, type: "character-device" } },
    { header: { name: "image-a-0.current/", size: 0, type: "directory" } },
  ] as const;
  for (const entry of hostile) {
    for (const archive of [await packTar([...entries, entry]), await packTar([entry, ...entries])]) {
      // A list or a file that comes first is the first of that name.
      if (entry.header.name === name && archive.length > 0) {
        await writeFile(folder.file, await packTar([...entries, entry]));
      } else await writeFile(folder.file, archive);
      await expect(folder.restore(), JSON.stringify(entry.header)).rejects.toThrow(
        /, which no backup does|is none that Freshet wrote/,
      );
      expect(await leftIn(folder.copy)).toEqual([]);
    }
  }
  const random = createRandom(7);
  const noise = Array.from({ length: 20 }, (_, at) =>
    Buffer.from(Array.from({ length: 300 * at }, () => nextBelow(random, 256))),
  );
  for (const bytes of [...noise, Buffer.alloc(BLOCK), Buffer.alloc(2 * BLOCK), await packTar([])]) {
    await writeFile(folder.file, bytes);
    await expect(folder.restore()).rejects.toThrow(
      new RegExp(`^Cannot restore from '${folder.file}': it (?:is no backup, or damaged|holds no images)`),
    );
    expect(await leftIn(folder.copy)).toEqual([]);
  }
  expect((await readdir(folder.path)).sort()).toEqual(["b.tar", "copy", "state"]);
});

test("of a shard whose newest image is missing or damaged the one before is backed up, and said so; with none that is whole nothing is", async () => {
  await using folder = await workplace();
  const manifest = join(folder.shards, "image-clicks-1.current");
  const [whole, increment] = decodeManifest(await readFile(manifest));
  if (whole === undefined || increment === undefined) throw new RangeError("Cannot happen");
  // As a crash between two steps of a node leaves it: nothing is lost.
  await rename(manifest, join(folder.shards, "image-clicks-1.previous"));
  expect(await folder.backUp()).toMatchObject({ shards: 2, older: [] });
  expect(await folder.restore()).toMatchObject([{ segments: 2 }, { segments: 2 }]);
  await folder.again();

  await rename(join(folder.shards, "image-clicks-1.previous"), manifest);
  await writeFile(join(folder.shards, "image-clicks-1.previous"), encodeManifest([whole]));
  const segment = join(folder.shards, `image-clicks-1.${increment.id}.segment`);
  const kept = await readFile(segment);
  for (const spoil of [
    () => flip(segment),
    () => rm(segment),
    () => writeFile(segment, kept.subarray(0, 50)),
    () => flip(manifest),
  ]) {
    const before = await readFile(manifest);
    await spoil();
    const { older } = await folder.backUp();
    expect(older).toMatchObject([{ shard: "clicks-1" }]);
    expect(older[0]?.why).not.toBe("");
    expect(await folder.restore()).toMatchObject([{ segments: 2 }, { segments: 1 }]);
    await folder.again();
    await writeFile(segment, kept);
    await writeFile(manifest, before);
  }

  const first = join(folder.shards, `image-clicks-1.${whole.id}.segment`);
  await flip(first);
  await expect(folder.backUp()).rejects.toThrow(
    new RegExp(
      `^Cannot back up '${folder.state}': no image of shard 'clicks-1' is whole: segment 1 .* restore an older backup`,
    ),
  );
  await rm(first);
  await expect(folder.backUp()).rejects.toThrow(/no image of shard 'clicks-1' is whole: .*ENOENT/);
  expect((await readdir(folder.path)).sort()).toEqual(["state"]);
});

test("what cannot be read or written is named as it was given, with what to do", async () => {
  await using folder = await workplace();
  await expect(backUp(folder.state, join(folder.path, "none", "b.tar"), never)).rejects.toThrow(
    `Cannot back up to '${join(folder.path, "none", "b.tar")}': there is no such folder. Make it first`,
  );
  await expect(backUp(folder.state, join(folder.shards, "image-clicks-0.current", "b.tar"), never)).rejects.toThrow(
    "it, or a part of its path, is a file. Choose another path",
  );
  await expect(backUp(folder.state, folder.shards, never)).rejects.toThrow("it is there already");
  await expect(restore(folder.file, folder.copy, never)).rejects.toThrow(
    `Cannot restore from '${folder.file}': there is no such file`,
  );
  await expect(restore(folder.state, folder.copy, never)).rejects.toThrow("it is a folder. Give a backup's file");
  await folder.backUp();
  await mkdir(join(folder.copy, "shards"), { recursive: true });
  await writeFile(join(folder.copy, "shards", "mine"), "");
  await expect(folder.restore()).rejects.toThrow(`its 'shards' has "mine". Move it away first`);
  await rm(join(folder.copy, "shards"), { recursive: true });
  await symlink(folder.path, join(folder.copy, "shards"));
  await expect(folder.restore()).rejects.toThrow("its 'shards' is no folder on the same disk");
  await rm(join(folder.copy, "shards"));
  await mkdir(join(folder.copy, "shards"));
  expect(await folder.restore()).toHaveLength(2);
});

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[20] = (bytes[20] ?? 0) ^ 1;
  await writeFile(path, bytes);
}
