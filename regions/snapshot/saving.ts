/*
 * Files for somebody else that are whole once they have their names: until then each is `.NAME.freshet-PID` beside it.
 */
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf } from "../../protocols/wire/error-message.ts";
import { errorCode } from "../../runtime/error-code.ts";

const SAVING = /^\..+\.freshet-([1-9][0-9]*)$/;

/** Where this process writes a file before it gets its name. */
export function savingPath(target: string): string {
  return join(dirname(target), `.${basename(target)}.freshet-${process.pid}`);
}

/** Removes what processes that are gone left half-written in a folder. One that runs elsewhere and shares the folder would fail, and say so. */
export async function sweepSaving(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = SAVING.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(folder, name), { force: true });
  }
}

/** Why a file or a folder could not be read or written, and what to do. */
export function troubleOf(error: unknown): string {
  switch (errorCode(error)) {
    case "ENOENT":
      return "there is no such folder. Make it first";
    case "EEXIST":
    case "ENOTDIR":
      return "it, or a part of its path, is a file. Choose another path";
    case "EISDIR":
      return "it is a folder. Give a file";
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return "this user may not do that there. Change its owner, or choose another path";
    case "ENOSPC":
    case "EDQUOT":
      return "the disk is full. Make room, or choose a path on another disk";
    case "EMFILE":
    case "ENFILE":
      return "too many files are open. Raise the limit of open files (ulimit -n)";
    case undefined:
    default:
      return messageOf(error);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== "ESRCH";
  }
}
