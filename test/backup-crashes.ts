import { packTar } from "modern-tar";
import { encodeList, LIST_NAME } from "../regions/snapshot/backup-list.ts";
import { putInPlace } from "../regions/snapshot/restore.ts";
import { unpackBackup } from "../regions/snapshot/unpack.ts";
import { commitSegment } from "../runtime/commit-image.ts";
import { SegmentWriter } from "../runtime/segment-files.ts";
import { CrashDisk } from "../properties/world/crash-disk.ts";

const NAMES = ["s-0", "s-1"] as const;
const STRIDE = 61;
const BLOCK = 512;
const signal = new AbortController().signal;

/** All laws of backups; throws what is wrong first. */
export async function checkLaws(): Promise<void> {
  const problem = (await tryCuts()).problem ?? (await tryRestoring()).problem;
  if (problem !== undefined) throw new Error(problem);
}

/** Cuts a backup at the edges of every block and between, or has zeros for what follows: it is refused, or all of it is there. One without a list is only cut. */
export async function tryCuts(): Promise<{ readonly problem: string | undefined; readonly cuts: number }> {
  const { archive, unlisted, files } = await makeBackup();
  let cuts = 0;
  for (const [whole, what] of [
    [archive, "cut"],
    [archive, "zeros"],
    [unlisted, "unlisted, cut"],
  ] as const) {
    for (let cut = 0; cut < whole.length; cut += 1) {
      if (cut % STRIDE !== 0 && cut % BLOCK > 1 && cut % BLOCK < BLOCK - 1) continue;
      cuts += 1;
      const disk = new CrashDisk();
      const isTaken = await unpack(what === "zeros" ? zerosFrom(whole, cut) : whole.subarray(0, cut), disk).catch(
        () => false,
      );
      const found = await filesIn(disk, "/restoring");
      // What zeros make of a segment its checksum says, which is not looked at here.
      if (isTaken && !(what === "zeros" ? isAsLong(found, files) : isSame(found, files))) {
        return { problem: `${what} from byte ${cut} of ${whole.length}: what is left of it is taken`, cuts };
      }
    }
  }
  return { problem: undefined, cuts };
}

function zerosFrom(bytes: Uint8Array, from: number): Uint8Array {
  const zeros = new Uint8Array(bytes);
  zeros.fill(0, from);
  return zeros;
}

/** Restores a backup, and looks at every crash on the way: all images are in place or none, and all once somebody was told. */
export async function tryRestoring(): Promise<{ readonly problem: string | undefined; readonly crashes: number }> {
  const { archive, files } = await makeBackup();
  const disk = new CrashDisk();
  await unpack(archive, disk);
  await putInPlace(disk, { from: "/restoring", to: "/shards", names: NAMES });
  disk.told(1);
  let crashes = 0;
  for (const { disk: left, told, where } of disk.crashes()) {
    crashes += 1;
    const found = await filesIn(left, "/shards");
    if (found.size === 0 && told === 0) continue;
    if (!isSame(found, files)) {
      return { problem: `${where}: ${found.size} of ${files.size} files are in place`, crashes };
    }
  }
  return { problem: undefined, crashes };
}

async function unpack(bytes: Uint8Array, disk: CrashDisk): Promise<boolean> {
  // In pieces, as from a file.
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
  }
  await unpackBackup(pieces(), { disk, folder: "/restoring", signal });
  return true;
}

interface MadeBackup {
  readonly archive: Uint8Array;
  /** As backups were before they had a list. */
  readonly unlisted: Uint8Array;
  readonly files: ReadonlyMap<string, string>;
}

/** Images of two shards, each a whole segment and an increment, as backups and as files. */
async function makeBackup(): Promise<MadeBackup> {
  const disk = new CrashDisk();
  for (const name of NAMES) {
    const place = { disk, folder: "/images", name };
    let before: Awaited<ReturnType<typeof commitSegment>> = [];
    for (const text of ["whole", "increment"]) {
      const writer = await SegmentWriter.open(place);
      await writer.append(new TextEncoder().encode(text));
      before = await commitSegment(place, { writer, head: Uint8Array.of(1), before });
    }
  }
  const files = await filesIn(disk, "/images");
  const data = [...files].map(([name, text]) => ({ name, bytes: Buffer.from(text, "base64") }));
  const list = encodeList(data.map(({ name, bytes }) => ({ name, bytes: bytes.length })));
  const [first, ...others] = [{ name: LIST_NAME, bytes: Buffer.from(list) }, ...data].map(({ name, bytes }) => {
    return { header: { name, size: bytes.length, mtime: new Date(0) }, data: new Uint8Array(bytes) };
  });
  if (first === undefined) throw new RangeError("Cannot happen");
  return { archive: await packTar([first, ...others]), unlisted: await packTar(others), files };
}

async function filesIn(disk: CrashDisk, folder: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const name of (await disk.list(folder)).sort()) {
    await using file = await disk.open(`${folder}/${name}`);
    files.set(name, Buffer.from(await file.read({ from: 0, bytes: file.size })).toString("base64"));
  }
  return files;
}

function isAsLong(found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): boolean {
  return found.size === wanted.size && [...wanted].every(([name, { length }]) => found.get(name)?.length === length);
}

function isSame(found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): boolean {
  return found.size === wanted.size && [...wanted].every(([name, bytes]) => found.get(name) === bytes);
}
