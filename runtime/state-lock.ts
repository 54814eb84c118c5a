/** Somebody else lives in the state folder. */
export class StateFolderLocked extends Error {
  override readonly name = "StateFolderLocked";
  readonly folder: string;
  readonly pid: number;
  readonly owner: string;

  constructor(folder: string, holder: { readonly pid: number; readonly owner: string }) {
    super(
      `Cannot use state folder '${folder}': process ${holder.pid} (${holder.owner}) is using it. ` +
        "Stop that process, or give this one a state folder of its own",
    );
    this.folder = folder;
    this.pid = holder.pid;
    this.owner = holder.owner;
  }
}

/** Why a folder cannot hold state. */
export type StateFolderProblem = "not-a-folder" | "not-writable" | "path-too-long" | "full" | "unsupported";

/** The state folder cannot be used by anybody, as it is. */
export class StateFolderUnusable extends Error {
  override readonly name = "StateFolderUnusable";
  readonly folder: string;
  readonly problem: StateFolderProblem;

  constructor(folder: string, problem: StateFolderProblem, options: { readonly why: string; readonly cause?: unknown }) {
    super(`Cannot use state folder '${folder}': ${options.why}`, { cause: options.cause });
    this.folder = folder;
    this.problem = problem;
  }
}

/**
 * Takes the state folder for this process until it is disposed or the process ends, however it ends; makes the folder, open to its owner only,
 * where it is missing. Rejects with `StateFolderLocked` while another holds it (also one in this process), `StateFolderUnusable` where it cannot be used.
 */
export function lockStateFolder(folder: string, options: { readonly owner: string }): Promise<AsyncDisposable> {
  return Promise.reject(new StateFolderUnusable(folder, "unsupported", { why: `${options.owner} is early` }));
}
