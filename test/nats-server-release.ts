import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fetchReleaseArchive } from "../runtime/nats-server/archive-route.ts";
import { binariesFolder } from "../runtime/nats-server/find.ts";
import { NatsServerUnavailable, type Route } from "../runtime/nats-server/provision.ts";
import { type ReleasePins } from "../runtime/nats-server/release-pins.ts";

const run = promisify(execFile);

/** Name of the archive, and the program in it. */
export const archive = "nats-server-v9.8.7-test.tar.gz";
export const answer = "#!/bin/sh\necho 'nats-server: v9.8.7'\n";
/** The programs in these tests are shell scripts. */
export const unix = process.platform !== "win32";

export interface TestPlace extends AsyncDisposable {
  readonly folder: string;
  /** A PATH with tar and sh alone, no usual folders, and a cache of its own. */
  readonly options: {
    readonly env: { readonly PATH: string; readonly FRESHET_CACHE: string };
    readonly extraFolders: readonly string[];
  };
  readonly withTools: { readonly PATH: string; readonly FRESHET_CACHE: string };
  readonly requests: () => number;
  readonly routes: (pin?: { sha256?: string }, limits?: { idleMs: number; totalMs: number }) => readonly Route[];
  readonly leftInCache: () => Promise<string[]>;
}

/** A folder, and a release server on loopback whose archive holds a script that answers -v. */
export async function testPlace(
  respond = (response: ServerResponse, bytes: Buffer): void => void response.end(bytes),
): Promise<TestPlace> {
  const folder = await mkdtemp(join(tmpdir(), "freshet-provision-"));
  const inner = archive.replace(".tar.gz", "");
  await mkdir(join(folder, inner));
  await writeFile(join(folder, inner, "nats-server"), answer);
  await writeFile(join(folder, inner, "LICENSE"), "x".repeat(5000));
  await run("tar", ["-czf", archive, inner], { cwd: folder });
  const bytes = await readFile(join(folder, archive));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const tools = join(folder, "tools");
  await mkdir(tools);
  for (const tool of unix ? ["tar", "gzip", "sh"] : []) {
    await symlink((await run("which", [tool])).stdout.trim(), join(tools, tool));
  }
  let requests = 0;
  const server = createServer((_request, response) => {
    requests += 1;
    respond(response, bytes);
  });
  const baseUrl = await listen(server);
  const env = { PATH: tools, FRESHET_CACHE: join(folder, "cache") };
  return {
    folder,
    options: { env, extraFolders: [] },
    withTools: { ...env, PATH: process.env["PATH"] ?? "" },
    requests: () => requests,
    routes: (pin = {}, limits = { idleMs: 5000, totalMs: 20_000 }) => {
      const pins: ReleasePins = {
        version: "9.8.7",
        baseUrl,
        archives: { [`${process.platform}-${process.arch}`]: { archive, sha256, ...pin } },
      };
      return [{ name: "archive", fetch: (context) => fetchReleaseArchive(pins, context, limits) }];
    },
    leftInCache: () => readdir(binariesFolder(env)),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

export async function failure(promise: Promise<unknown>): Promise<NatsServerUnavailable> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof NatsServerUnavailable) {
      return error;
    }
    throw error;
  }
  throw new Error("expected NatsServerUnavailable, and nothing failed");
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}
