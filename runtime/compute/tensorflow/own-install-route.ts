import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TFJS } from "./load.ts";
import { type RouteContext } from "./routes.ts";
import { runTool } from "./run-tool.ts";

/** Where the package's install script gets its library and its binding. */
const DOWNLOAD_HOST = "https://storage.googleapis.com";
const PROBE_MS = 5_000;

/** The package's own install. Its script downloads from one host; where that is out of reach nothing else is tried. */
export async function ownInstall(context: RouteContext): Promise<void> {
  try {
    await fetch(DOWNLOAD_HOST, {
      method: "HEAD",
      signal: AbortSignal.any([context.signal, AbortSignal.timeout(PROBE_MS)]),
    });
  } catch (error) {
    context.signal.throwIfAborted();
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new Error(`its download host ${DOWNLOAD_HOST} is out of reach: ${cause}`, { cause: error });
  }
  await npmInstall(context, { dependencies: { [TFJS.package]: TFJS.version }, scripts: true });
}

/** Installs packages into the route's folder, whatever npm was told by those who called us. */
export async function npmInstall(
  context: RouteContext,
  of: { readonly dependencies: Readonly<Record<string, string>>; readonly scripts: boolean },
): Promise<void> {
  const { dependencies, scripts } = of;
  const manifest = { private: true, dependencies, allowScripts: scripts ? { [TFJS.package]: true } : {} };
  await writeFile(join(context.folder, "package.json"), JSON.stringify(manifest));
  const names = Object.entries(dependencies).map(([name, version]) => `${name}@${version}`);
  context.say(`npm install ${names.join(" ")}`);
  await runTool(
    "npm",
    [
      "install",
      "--prefix",
      context.folder,
      "--no-audit",
      "--no-fund",
      "--no-package-lock",
      "--no-update-notifier",
      "--loglevel=error",
      ...(scripts ? [] : ["--ignore-scripts"]),
    ],
    context,
  );
}
