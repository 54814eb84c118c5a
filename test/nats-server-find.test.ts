import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { expect, test, type TestContext } from "vitest";
import { fetchWithApt } from "../runtime/nats-server/apt-route.ts";
import { binariesFolder, cacheFolder, findNatsServer, NatsServerUnusable } from "../runtime/nats-server/find.ts";
import { provisionNatsServer } from "../runtime/nats-server/provision.ts";
import { failure, testPlace, unix } from "./nats-server-release.ts";

const run = promisify(execFile);

test(
  "the package of the distribution gives a server that runs, without root",
  { timeout: 120_000 },
  async (context) => {
    await needsApt(context);
    await using place = await testPlace();
    const lines: string[] = [];
    const binary = await provisionNatsServer({
      ...place.options,
      env: place.withTools,
      routes: [{ name: "apt", fetch: fetchWithApt }],
      say: (line) => lines.push(line),
    });
    expect(lines[0]).toBe("nats-server: apt-get download nats-server");
    const { stdout } = await run(binary.path, ["-v"]);
    expect(stdout).toContain(binary.version.text);
  },
);

test("package lists that are missing are fetched into a folder of our own", { timeout: 120_000 }, async (context) => {
  await needsApt(context);
  await using place = await testPlace();
  // An apt-get that knows no packages until it has been updated.
  const real = (await run("which", ["apt-get"])).stdout.trim();
  const bin = join(place.folder, "bin");
  await mkdir(bin);
  await writeFile(
    join(bin, "apt-get"),
    `#!/bin/sh\ncase "$*" in *Dir::State::lists*) exec ${real} "$@";; *) echo "E: Unable to locate package nats-server" >&2; exit 100;; esac\n`,
    { mode: 0o755 },
  );
  const lines: string[] = [];
  const env = { ...place.withTools, PATH: `${bin}${delimiter}${place.withTools.PATH}` };
  const binary = await provisionNatsServer({
    ...place.options,
    env,
    routes: [{ name: "apt", fetch: fetchWithApt }],
    say: (line) => lines.push(line),
  });
  expect(binary.source).toBe("provisioned");
  expect(lines[1]).toMatch(/apt-get update/);
});

test("without apt-get the route says so", async () => {
  await using place = await testPlace();
  const error = await failure(
    provisionNatsServer({ ...place.options, routes: [{ name: "apt", fetch: fetchWithApt }] }),
  );
  expect(error.tried).toEqual([{ route: "apt", why: "apt-get: there is no such tool on PATH" }]);
});

test.skipIf(!unix)("findNatsServer() takes the one asked for, then PATH, then the newest in the cache", async () => {
  await using place = await testPlace();
  const { env } = place.options;
  async function put(path: string, version: string): Promise<string> {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `#!/bin/sh\necho 'nats-server: v${version}'\n`, { mode: 0o755 });
    return path;
  }
  expect(await findNatsServer(place.options)).toMatchObject({ kind: "none" });
  function cached(version: string): Promise<string> {
    return put(join(binariesFolder(env), `v${version}-${process.platform}-${process.arch}`, "nats-server"), version);
  }
  await cached("2.9.10");
  const newest = await cached("2.10.2");
  await put(join(binariesFolder(env), "v99.0.0-plan9-mips", "nats-server"), "99.0.0");
  expect(await findNatsServer(place.options)).toMatchObject({
    kind: "found",
    binary: { path: newest, source: "cache", version: { text: "2.10.2" } },
  });
  await put(join(place.folder, "old", "nats-server"), "1.4.1");
  const onPath = await put(join(place.folder, "new", "nats-server"), "2.9.9");
  await put(join(place.folder, "near", "nats-server"), "2.9.7");
  const withPath = {
    ...env,
    PATH: [
      "",
      relative(process.cwd(), join(place.folder, "near")),
      join(place.folder, "old"),
      join(place.folder, "new"),
    ].join(delimiter),
  };
  expect(await findNatsServer({ ...place.options, env: withPath })).toMatchObject({
    binary: { path: onPath, source: "path" },
  });
  const asked = await put(join(place.folder, "asked"), "2.9.8");
  expect(await findNatsServer({ ...place.options, env: { ...withPath, FRESHET_NATS_SERVER: asked } })).toMatchObject({
    binary: { path: asked, source: "explicit" },
  });
  const broken = join(place.folder, "broken");
  await writeFile(broken, "not a program");
  for (const path of [broken, join(place.folder, "old", "nats-server"), join(place.folder, "nowhere")]) {
    await expect(findNatsServer({ ...place.options, env: { ...withPath, FRESHET_NATS_SERVER: path } })).rejects.toThrow(
      NatsServerUnusable,
    );
  }
});

test("cacheFolder() follows FRESHET_CACHE, then an absolute XDG_CACHE_HOME, then the home folder", () => {
  expect(cacheFolder({ FRESHET_CACHE: "/a", XDG_CACHE_HOME: "/b" })).toBe("/a");
  expect(cacheFolder({ FRESHET_CACHE: "", XDG_CACHE_HOME: "/b" })).toBe(join("/b", "freshet"));
  expect(cacheFolder({ XDG_CACHE_HOME: "relative" })).toMatch(/\.cache.freshet$/);
});

/** Skips where apt-get by itself cannot do it: another distribution, no lists, no network. */
async function needsApt(context: TestContext): Promise<void> {
  const cwd = await mkdtemp(join(tmpdir(), "freshet-apt-"));
  try {
    await run("dpkg-deb", ["--version"]);
    await run("apt-get", ["-q", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=0", "download", "nats-server"], {
      cwd,
      timeout: 60_000,
    });
  } catch (error) {
    context.skip(`apt-get cannot download nats-server here: ${String(error)}`);
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}
