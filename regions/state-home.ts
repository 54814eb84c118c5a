import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** The environment that is read: names to values, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The folder for what outlives a restart: `freshet` in XDG_STATE_HOME, else in the place that the platform has for it. */
export function stateHome(env: Environment = process.env): string {
  // The XDG specification has relative values ignored.
  const xdg = env["XDG_STATE_HOME"] ?? "";
  if (isAbsolute(xdg)) return join(xdg, "freshet");
  const local = env["LOCALAPPDATA"] ?? "";
  if (process.platform === "win32" && isAbsolute(local)) return join(local, "freshet");
  return join(homedir(), ".local", "state", "freshet");
}
