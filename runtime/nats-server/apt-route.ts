import { access, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type RouteContext, runTool, ToolFailed } from "./run-tool.ts";

/**
 * Fetches the distribution's own package with apt-get, which checks its signature, and unpacks it without installing it:
 * no root, and nothing outside `folder` changes. Gives the path of the binary.
 */
export async function fetchWithApt({ folder, say, env, signal }: RouteContext): Promise<string> {
  async function tool(name: string, args: readonly string[]): Promise<void> {
    await runTool(name, args, { folder, env, signal });
  }
  // As root apt-get would drop to a user who cannot write here.
  const common = [
    "-q",
    "-o",
    "APT::Sandbox::User=",
    "-o",
    "Acquire::Retries=1",
    "-o",
    "Acquire::http::Timeout=20",
    "-o",
    "Acquire::https::Timeout=20",
  ];
  say("nats-server: apt-get download nats-server");
  try {
    await tool("apt-get", [...common, "download", "nats-server"]);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ToolFailed && error.missing) {
      throw error;
    }
    // Package lists of our own: that needs no root, and another apt-get at work is not in the way.
    const [lists, cache] = [join(folder, "lists"), join(folder, "cache")];
    await mkdir(join(lists, "partial"), { recursive: true });
    await mkdir(join(cache, "archives", "partial"), { recursive: true });
    const own = [
      ...common,
      "-o",
      `Dir::State::lists=${lists}`,
      "-o",
      `Dir::Cache=${cache}`,
      "-o",
      "Acquire::Languages=none",
    ];
    say("nats-server: apt-get update (package lists missing or old), then download again");
    await tool("apt-get", [...own, "update"]);
    await tool("apt-get", [...own, "download", "nats-server"]);
  }
  const archive = (await readdir(folder)).find((name) => name.startsWith("nats-server_") && name.endsWith(".deb"));
  if (archive === undefined) {
    throw new Error("apt-get download ended well and left no package");
  }
  say(`nats-server: dpkg-deb -x ${archive}`);
  const unpacked = join(folder, "package");
  await tool("dpkg-deb", ["-x", archive, unpacked]);
  for (const place of ["usr/sbin/nats-server", "usr/bin/nats-server"]) {
    const path = join(unpacked, place);
    try {
      await access(path);
      return path;
    } catch {
      // Not there: the next place, or the error below.
    }
  }
  throw new Error(`${archive} holds no nats-server`);
}
