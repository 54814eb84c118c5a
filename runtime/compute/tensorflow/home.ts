import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The folder that `freshet setup tensorflow` fills: FRESHET_TENSORFLOW, else `freshet/tensorflow` in XDG_DATA_HOME or where the platform
 * keeps such things. Outside of node_modules, which `npm ci` empties.
 */
export function tensorflowHome(env: Environment): string {
  const own = env["FRESHET_TENSORFLOW"] ?? "";
  if (own !== "") {
    if (!isAbsolute(own)) throw new RangeError(`Cannot use FRESHET_TENSORFLOW ${own}: it must be an absolute path`);
    return own;
  }
  // The XDG specification has relative values ignored.
  const xdg = env["XDG_DATA_HOME"] ?? "";
  if (isAbsolute(xdg)) return join(xdg, "freshet", "tensorflow");
  const local = env["LOCALAPPDATA"] ?? "";
  if (process.platform === "win32" && isAbsolute(local)) return join(local, "freshet", "tensorflow");
  return join(homedir(), ".local", "share", "freshet", "tensorflow");
}
