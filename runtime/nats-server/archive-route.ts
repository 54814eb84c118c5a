import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { type ReleasePins } from "./release-pins.ts";
import { runTool, type RouteContext } from "./run-tool.ts";

const archiveBytesMax = 64 << 20;

export interface ArchiveLimits {
  /** No byte for this long ends the download. */
  readonly idleMs: number;
  /** The whole download may take this long. */
  readonly totalMs: number;
}

const usualLimits: ArchiveLimits = { idleMs: 20_000, totalMs: 300_000 };

/**
 * Fetches the official release archive for this platform and unpacks the binary out of it. Not a byte is unpacked before the
 * archive's SHA-256 is the pinned one. Gives the path of the binary.
 */
export async function fetchReleaseArchive(
  pins: ReleasePins,
  context: RouteContext,
  limits: ArchiveLimits = usualLimits,
): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  const pin = pins.archives[platform];
  if (pin === undefined) {
    throw new Error(`no checksum is pinned for ${platform} (only for ${Object.keys(pins.archives).join(", ")})`);
  }
  const url = `${pins.baseUrl}/v${pins.version}/${pin.archive}`;
  const path = join(context.folder, pin.archive);
  context.say(`nats-server: downloading ${url}`);
  const sha256 = await download(url, path, { signal: context.signal, limits });
  if (sha256 !== pin.sha256) {
    throw new Error(`the SHA-256 of ${url} is ${sha256} where ${pin.sha256} is pinned; it was not unpacked`);
  }
  context.say(`nats-server: SHA-256 is as pinned; tar -xf ${pin.archive}`);
  const member = `${pin.archive.replace(/\.(tar\.gz|zip)$/, "")}/nats-server${process.platform === "win32" ? ".exe" : ""}`;
  // Only the one member, so that nothing else can land anywhere. The tar of Windows reads zip files too.
  await runTool("tar", ["-xf", pin.archive, member], context);
  return join(context.folder, member);
}

/** Streams `url` into `path` and gives the SHA-256 of what was written, in hexadecimal. */
async function download(
  url: string,
  path: string,
  { signal, limits }: { signal: AbortSignal; limits: ArchiveLimits },
): Promise<string> {
  const idle = new AbortController();
  const timer = setTimeout(
    () => idle.abort(new Error(`${url} gave nothing for ${limits.idleMs / 1000} s`)),
    limits.idleMs,
  );
  await using file = await open(path, "wx", 0o600);
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, idle.signal, AbortSignal.timeout(limits.totalMs)]),
    });
    if (!response.ok || response.body === null) {
      throw new Error(`${url} answered ${response.status} ${response.statusText}`);
    }
    const hash = createHash("sha256");
    let bytes = 0;
    const chunks: AsyncIterable<Uint8Array> = response.body;
    for await (const chunk of chunks) {
      timer.refresh();
      bytes += chunk.byteLength;
      if (bytes > archiveBytesMax) {
        throw new Error(`${url} is larger than ${archiveBytesMax} bytes`);
      }
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    return hash.digest("hex");
  } catch (error) {
    signal.throwIfAborted();
    idle.signal.throwIfAborted();
    throw new Error(`${url}: ${causes(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** fetch says "fetch failed" and keeps the reason in its cause. */
function causes(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const code = "code" in error && typeof error.code === "string" ? ` (${error.code})` : "";
  const said = `${error.message || error.name}${code}`;
  return error.cause === undefined ? said : `${said}: ${causes(error.cause)}`;
}
