import { fileURLToPath } from "node:url";

/** What a worker may touch. Absent means refused, as in Deno. Processes and nested workers are never granted. */
export interface Permissions {
  /** Files and folders that may be read besides the code. */
  readonly read?: readonly string[];
  readonly write?: readonly string[];
  /** Sockets, in and out: all or none. */
  readonly net?: boolean;
  readonly addons?: boolean;
}

/** The folder that holds the code and its packages. Every worker may read it, or it could not start. */
export const codeFolder: string = fileURLToPath(new URL("..", import.meta.url));

/**
 * The flags that hold one worker to its permissions. They are always passed in full: an empty list would not inherit the
 * process's restrictions but lift them. Guards against accidents, not against hostile code; and whatever is granted here, a worker
 * can also read what lies under the process's working directory.
 */
export function permissionFlags(permissions: Permissions): string[] {
  const paths = [...(permissions.read ?? []), ...(permissions.write ?? [])];
  for (const path of paths) {
    if (path === "" || path.includes("*")) {
      throw new RangeError(`Cannot grant ${JSON.stringify(path)}: name one file or folder`);
    }
  }
  return [
    // Each worker would say once more that permissions for the network are new in Node.
    "--disable-warning=ExperimentalWarning",
    "--permission",
    ...[codeFolder, ...(permissions.read ?? [])].map((path) => `--allow-fs-read=${path}`),
    ...(permissions.write ?? []).map((path) => `--allow-fs-write=${path}`),
    ...(permissions.net === true ? ["--allow-net"] : []),
    ...(permissions.addons === true ? ["--allow-addons"] : []),
  ];
}
