/*
 * Takes the files of a backup out of it. Whatever else somebody put into an archive (paths, links, devices, names of others) is refused before
 * anything of it is written.
 */
import { join } from "node:path";
import { Readable } from "node:stream";
import { createTarDecoder } from "modern-tar";
import { DecodeError } from "../../protocols/wire/decode-error.ts";
import { type Disk } from "../../runtime/disk.ts";
import { readImageFile } from "../../runtime/image-files.ts";
import { type BackupFile, decodeList, LIST_BYTES_MAX, LIST_NAME, partOf } from "./backup-list.ts";

/** An archive is no backup, or not all of one. */
export class NotABackup extends Error {
  override readonly name = "NotABackup";
}

/** Bytes that are written through at once. */
const WRITE_BYTES = 4 * 1024 * 1024;

/**
 * Writes the files of an archive into a new folder, each through to the disk; gives the shards that it has. Rejects with `NotABackup` unless they are all
 * that its list names, and each shard has a manifest and just the segments that it names. Their bytes are not looked at.
 */
export async function unpackBackup(
  archive: AsyncIterable<Uint8Array>,
  { disk, folder, signal }: { readonly disk: Disk; readonly folder: string; readonly signal: AbortSignal },
): Promise<string[]> {
  await disk.makeFolder(folder);
  const found = new Map<string, number>();
  let list: readonly BackupFile[] | undefined;
  for await (const { name, size, body } of entriesOf(archive, signal)) {
    if (name === LIST_NAME && found.size === 0 && list === undefined && size <= LIST_BYTES_MAX) {
      list = decodeList(await textOf(body));
      if (list === undefined) throw new NotABackup(`its ${LIST_NAME} is none that Freshet wrote`);
      continue;
    }
    if (partOf(name) === undefined || found.has(name)) {
      throw new NotABackup(
        `it holds ${JSON.stringify(name.slice(0, 200))}${found.has(name) ? " twice" : ""}, which no backup does`,
      );
    }
    found.set(name, size);
    await writeThrough(body, { disk, path: join(folder, name) });
  }
  return shardsOf(found, { list, disk, folder });
}

interface Entry {
  readonly name: string;
  readonly size: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Entries of an archive that ends as archives do. One that is no file goes by a name that no file has. */
async function* entriesOf(archive: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Entry> {
  const decoder = createTarDecoder({ strict: true });
  const entries = Readable.toWeb(Readable.from(archive)).pipeThrough(decoder, { signal });
  for await (const { header, body } of entries) {
    const { name, size, type = "file" } = header;
    yield { name: type === "file" ? name : `${name} (${type})`, size, body };
  }
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(body)).toString();
}

async function writeThrough(
  body: AsyncIterable<Uint8Array>,
  { disk, path }: { readonly disk: Disk; readonly path: string },
): Promise<void> {
  const file = await disk.create(path);
  try {
    let parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of body) {
      parts.push(part);
      bytes += part.length;
      if (bytes < WRITE_BYTES) continue;
      await file.write(parts);
      [parts, bytes] = [[], 0];
    }
    if (bytes > 0) await file.write(parts);
  } finally {
    await file.close();
  }
}

/** The shards of the files that were found, by their bytes. Rejects where one is missing, or belongs to none. */
async function shardsOf(
  found: ReadonlyMap<string, number>,
  of: { readonly list: readonly BackupFile[] | undefined; readonly disk: Disk; readonly folder: string },
): Promise<string[]> {
  // Backups that were made before there was a list end as archives do, or are refused by then.
  for (const { name, bytes } of of.list ?? []) {
    if (found.get(name) !== bytes) {
      throw new NotABackup(`${JSON.stringify(name)}, which its list names, is not in it, or not all of it`);
    }
  }
  const listed = of.list === undefined ? undefined : new Set(of.list.map(({ name }) => name));
  const shards: string[] = [];
  const named = new Set<string>();
  for (const name of found.keys()) {
    const part = partOf(name);
    if (part === undefined || part.segment !== undefined) continue;
    const { shard } = part;
    shards.push(shard);
    named.add(name);
    for (const id of await segmentsOf(shard, of)) named.add(`image-${shard}.${id}.segment`);
  }
  if (shards.length === 0) throw new NotABackup("it holds no images");
  for (const name of named) if (!found.has(name)) throw new NotABackup(`${JSON.stringify(name)} is not in it`);
  for (const name of found.keys()) {
    if (!named.has(name)) throw new NotABackup(`no manifest in it names ${JSON.stringify(name)}, so one is missing`);
    if (listed?.has(name) === false) throw new NotABackup(`its list does not name ${JSON.stringify(name)}`);
  }
  return shards.sort();
}

async function segmentsOf(
  shard: string,
  { disk, folder }: { readonly disk: Disk; readonly folder: string },
): Promise<string[]> {
  try {
    const image = await readImageFile({ disk, folder, name: shard }, "current");
    return image?.kind === "manifest" ? image.segments.map(({ id }) => id) : [];
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new NotABackup(`shard '${shard}' in it is damaged: ${error.message}`);
  }
}
