/*
 * The first file of a backup says which others there are, so that one is missed whatever became of the archive: cut at any byte, or with its end
 * read as zeros, as a file is after a crash of the machine that copied it.
 */
import * as z from "zod";
import { isToken } from "../../protocols/subjects.ts";

export const LIST_NAME = "backup.json";
/** Enough for a hundred thousand files. */
export const LIST_BYTES_MAX = 16 * 1024 * 1024;

const list = z.object({
  freshet: z.literal("backup"),
  files: z.array(z.object({ name: z.string(), bytes: z.number().int().nonnegative() })).min(1),
});

export interface BackupFile {
  readonly name: string;
  readonly bytes: number;
}

export function encodeList(files: readonly BackupFile[]): string {
  return JSON.stringify({ freshet: "backup", files: files.map(({ name, bytes }) => ({ name, bytes })) });
}

/** Undefined for anything that we would not write. */
export function decodeList(text: string): readonly BackupFile[] | undefined {
  try {
    return list.parse(JSON.parse(text)).files;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

/** Which shard's a file of a backup is, and whether it is its manifest; undefined for what no backup holds. */
export function partOf(name: string): { readonly shard: string; readonly segment: string | undefined } | undefined {
  const [, shard, , segment] = /^image-([^./]+)\.(current|([0-9a-f]{16})\.segment)$/.exec(name) ?? [];
  return shard === undefined || !isToken(shard) ? undefined : { shard, segment };
}
