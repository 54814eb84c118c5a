import { mkdir, readFile, utimes, writeFile } from "node:fs/promises";
import { type ServerResponse } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fetchReleaseArchive } from "../runtime/nats-server/archive-route.ts";
import { binariesFolder, cachedBinary } from "../runtime/nats-server/find.ts";
import { ensureNatsServer, provisionNatsServer, type Route } from "../runtime/nats-server/provision.ts";
import { pinnedRelease, type ReleasePins } from "../runtime/nats-server/release-pins.ts";
import { answer, archive, failure, testPlace, unix } from "./nats-server-release.ts";

test.skipIf(!unix)(
  "the release archive is fetched, checked, unpacked and cached, and the second call fetches nothing",
  async () => {
    await using place = await testPlace();
    const lines: string[] = [];
    const first = await ensureNatsServer({ ...place.options, routes: place.routes(), say: (line) => lines.push(line) });
    expect(first).toMatchObject({
      source: "provisioned",
      version: { text: "9.8.7" },
      path: cachedBinary(place.options.env, first.version),
    });
    expect(lines).toEqual([
      expect.stringMatching(/^nats-server: downloading http:.*tar\.gz$/),
      expect.stringMatching(/SHA-256 is as pinned/),
      expect.stringMatching(/9\.8\.7 is ready at /),
    ]);
    const second = await ensureNatsServer({ ...place.options, routes: [] });
    expect(second).toMatchObject({ source: "cache", path: first.path });
    expect(place.requests()).toBe(1);
    expect(await place.leftInCache()).toEqual([`v9.8.7-${process.platform}-${process.arch}`]);
  },
);

test.skipIf(!unix)("an archive whose SHA-256 is not the pinned one is not unpacked and leaves nothing", async () => {
  await using place = await testPlace();
  const error = await failure(ensureNatsServer({ ...place.options, routes: place.routes({ sha256: "0".repeat(64) }) }));
  expect(error.message).toMatch(/SHA-256 of .* is [0-9a-f]{64} where 0{64} is pinned/);
  expect(await place.leftInCache()).toEqual([]);
});

test.skipIf(!unix)(
  "a download that is cut short, refused, too slow or empty is an error and leaves nothing",
  async () => {
    // Only where nothing comes is there little patience: what comes may be late on a busy machine.
    const short = { idleMs: 200, totalMs: 10_000 };
    const answers: [
      expected: RegExp,
      answer: (response: ServerResponse, bytes: Buffer) => void,
      limits?: typeof short,
    ][] = [
      [
        /terminated|closed|reset/i,
        (response, bytes) => {
          response.writeHead(200, { "content-length": bytes.length });
          response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
        },
      ],
      // Without a length a cut looks like the end, and the checksum has to tell.
      [/SHA-256/, (response, bytes) => void response.end(bytes.subarray(0, bytes.length / 2))],
      [/SHA-256/, (response) => void response.end()],
      [/answered 404/, (response) => void response.writeHead(404).end("no")],
      [
        /gave nothing for 0\.2 s/,
        (response, bytes) => void response.writeHead(200).write(bytes.subarray(0, 10)),
        short,
      ],
      [/gave nothing for 0\.2 s/, () => undefined, short],
    ];
    for (const [expected, answerWith, limits] of answers) {
      await using place = await testPlace(answerWith);
      const error = await failure(ensureNatsServer({ ...place.options, routes: place.routes({}, limits) }));
      expect(error.message).toMatch(expected);
      expect(error.tried.map(({ route }) => route)).toEqual(["looking for an installed one", "archive"]);
      expect(await place.leftInCache()).toEqual([]);
    }
  },
);

test.skipIf(!unix)("a slow download that goes on is waited for", async () => {
  await using place = await testPlace((response, bytes) => {
    const part = Math.ceil(bytes.length / 35);
    let sent = 0;
    const timer = setInterval(() => {
      response.write(bytes.subarray(sent, (sent += part)));
      if (sent >= bytes.length) {
        clearInterval(timer);
        response.end();
      }
    }, 100);
  });
  const binary = await ensureNatsServer({
    ...place.options,
    routes: place.routes({}, { idleMs: 3_000, totalMs: 20_000 }),
  });
  expect(binary.version.text).toBe("9.8.7");
});

test.skipIf(!unix)("aborting ends a download at once, with the reason given, and leaves nothing", async () => {
  const abort = new AbortController();
  const reason = new Error("changed my mind");
  await using place = await testPlace((response) => {
    response.writeHead(200).write("x");
    abort.abort(reason);
  });
  await expect(ensureNatsServer({ ...place.options, routes: place.routes(), signal: abort.signal })).rejects.toBe(
    reason,
  );
  expect(await place.leftInCache()).toEqual([]);
});

test.skipIf(!unix)("many may provision at once", async () => {
  await using place = await testPlace();
  const all = await Promise.all(
    Array.from({ length: 6 }, () => ensureNatsServer({ ...place.options, routes: place.routes() })),
  );
  expect(new Set(all.map(({ path }) => path)).size).toBe(1);
  expect(await place.leftInCache()).toHaveLength(1);
});

test.skipIf(!unix)("a cached copy that is broken is replaced, and what a killed process left is cleared", async () => {
  await using place = await testPlace();
  const { path } = await ensureNatsServer({ ...place.options, routes: place.routes() });
  await writeFile(path, "#!/bin/sh\nexit 1\n");
  const left = join(binariesFolder(place.options.env), "fetching-by-someone");
  await mkdir(left);
  await utimes(left, new Date(0), new Date(0));
  const again = await ensureNatsServer({ ...place.options, routes: place.routes() });
  expect(again).toMatchObject({ source: "provisioned", path });
  expect(await readFile(path, "utf8")).toBe(answer);
  expect(await place.leftInCache()).toHaveLength(1);
});

test.skipIf(!unix)("each route is tried in turn, and the error lists them all with what to do", async () => {
  await using place = await testPlace();
  const broken: Route = { name: "first", fetch: () => Promise.reject(new Error("it rains")) };
  expect(await provisionNatsServer({ ...place.options, routes: [broken, ...place.routes()] })).toMatchObject({
    version: { text: "9.8.7" },
  });
  const wrongProgram: Route = {
    name: "second",
    fetch: async ({ folder }) => {
      await writeFile(join(folder, "program"), "#!/bin/sh\necho hello\n");
      return join(folder, "program");
    },
  };
  const error = await failure(provisionNatsServer({ ...place.options, routes: [broken, wrongProgram] }));
  expect(error.tried.map(({ route }) => route)).toEqual(["first", "second"]);
  expect(error.tried[1]?.why).toMatch(/hello.*no nats-server version/);
  expect(error.message).toMatch(/first: it rains[^]*second: [^]*FRESHET_NATS_SERVER/);
});

test("a platform without a pinned checksum is refused before anything is fetched", async () => {
  const pins: ReleasePins = { ...pinnedRelease, archives: { "plan9-mips": { archive, sha256: "0".repeat(64) } } };
  await using place = await testPlace();
  const error = await failure(
    provisionNatsServer({
      ...place.options,
      routes: [{ name: "archive", fetch: (context) => fetchReleaseArchive(pins, context) }],
    }),
  );
  expect(error.message).toMatch(/no checksum is pinned for .*plan9-mips/);
});

test("the pinned release has no known holes and whole checksums", () => {
  expect(Object.keys(pinnedRelease.archives)).toEqual(
    expect.arrayContaining(["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64"]),
  );
  for (const { archive: name, sha256 } of Object.values(pinnedRelease.archives)) {
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(name).toMatch(new RegExp(`^nats-server-v${pinnedRelease.version}-`));
  }
});
