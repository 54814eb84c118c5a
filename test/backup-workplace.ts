import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { backUp as backUpImages } from "../regions/snapshot/backup.ts";
import { restore as restoreImages } from "../regions/snapshot/restore.ts";
import { temporaryFolder } from "./file-store-support.ts";

const FIXTURE = new URL("fixtures/images/layout-3/", import.meta.url);
/** Options of work that nobody stops or watches. */
export const never = { signal: new AbortController().signal, progress: (): void => undefined };

export interface Workplace extends AsyncDisposable {
  readonly path: string;
  readonly state: string;
  readonly shards: string;
  readonly file: string;
  readonly copy: string;
  backUp(): ReturnType<typeof backUpImages>;
  restore(): ReturnType<typeof restoreImages>;
  /** Forgets the backup, and what was restored. */
  again(): Promise<void>;
}

/** A state folder with images of two shards, and places for a backup and for what is restored from it. */
export async function workplace(): Promise<Workplace> {
  const { path, [Symbol.asyncDispose]: dispose } = await temporaryFolder();
  const [state, file, copy] = [join(path, "state"), join(path, "b.tar"), join(path, "copy")];
  const shards = join(state, "shards");
  await mkdir(shards, { recursive: true });
  for (const name of await readdir(FIXTURE)) {
    for (const shard of ["clicks-0", "clicks-1"]) {
      await cp(new URL(name, FIXTURE), join(shards, name.replace("clicks-0", shard)));
    }
  }
  return {
    path,
    state,
    shards,
    file,
    copy,
    backUp: () => backUpImages(state, file, never),
    restore: () => restoreImages(file, copy, never),
    async again() {
      await rm(file);
      await rm(copy, { recursive: true });
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** What is in a state folder besides its lock. */
export async function leftIn(state: string): Promise<string[]> {
  return (await readdir(state)).filter((name) => !name.startsWith("lock"));
}

export async function contentOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  const contents = await Promise.all(names.map((name) => readFile(join(folder, name), "base64")));
  return Object.fromEntries(names.map((name, at) => [basename(name), contents[at] ?? ""]));
}
