import { execFile } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { InvalidNatsConfig, UnprotectedListen } from "../runtime/nats-server/config-check.ts";
import { ensureNatsServer } from "../runtime/nats-server/provision.ts";
import {
  NatsConfigRefused,
  NatsPortInUse,
  NatsServerCrashed,
  NatsStoreUnusable,
} from "../runtime/nats-server/start-errors.ts";
import { isAlive, start, temporaryFolder, until } from "./nats-server-support.ts";
import { startTestNats } from "./real-nats.ts";

test("start() names what keeps the server from starting, and leaves no process", async () => {
  await using folder = await temporaryFolder();
  await using taken = createServer();
  taken.listen(0, "127.0.0.1");
  await once(taken, "listening");
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await writeFile(join(folder.path, "a-file"), "");
  const jetStream = { storeFolder: join(folder.path, "a-file", "store"), domain: "d" };
  const absent = join(folder.path, "absent.pem");

  await expect(start(folder.path, { listen: { host: "127.0.0.1", port } })).rejects.toMatchObject({
    name: "NatsPortInUse",
    address: `127.0.0.1:${port}`,
  });
  await expect(start(folder.path, { monitoringPort: port })).rejects.toBeInstanceOf(NatsPortInUse);
  await expect(start(folder.path, { jetStream })).rejects.toMatchObject({
    name: "NatsStoreUnusable",
    storeFolder: jetStream.storeFolder,
  });
  await expect(
    start(folder.path, { jetStream: { ...jetStream, storeFolder: join(folder.path, "a-file") } }),
  ).rejects.toBeInstanceOf(NatsStoreUnusable);
  await expect(start(folder.path, { tls: { cert: absent, key: absent } })).rejects.toBeInstanceOf(NatsConfigRefused);
  await expect(
    start(folder.path, {
      listen: { host: "192.0.2.1", port: 4222 },
      tls: { cert: absent, key: absent },
      users: [{ user: "a", password: "b", permissions: "all" }],
    }),
  ).rejects.toBeInstanceOf(NatsConfigRefused);
  await expect(start(folder.path, { name: "two words" })).rejects.toBeInstanceOf(InvalidNatsConfig);
  await expect(start(folder.path, { listen: { host: "0.0.0.0", port: "random" } })).rejects.toBeInstanceOf(
    UnprotectedListen,
  );

  const script = join(folder.path, "crashes");
  await writeFile(script, "#!/bin/sh\necho last words >&2\nexit 3\n", { mode: 0o755 });
  const binary = { ...(await ensureNatsServer()), path: script };
  await expect(start(folder.path, {}, { binary })).rejects.toMatchObject({
    name: "NatsServerCrashed",
    exit: { exitCode: 3, lastLines: ["last words"] },
  });
  await expect(start(folder.path, {}, { binary })).rejects.toThrow(/last words/);
  // A program that never says where it listens.
  await writeFile(script, "#!/bin/sh\necho waiting >&2\nwhile :; do sleep 0.05; done\n");
  const slow = start(folder.path, {}, { binary, readyTimeoutMs: 300 });
  await expect(slow).rejects.toMatchObject({ name: "NatsServerSlow", waitedMs: 300 });
  await expect(slow).rejects.toThrow(/waiting/);
  await expect(
    start(folder.path, {}, { binary: { ...binary, path: join(folder.path, "nowhere") } }),
  ).rejects.toBeInstanceOf(NatsServerCrashed);
  await expect(start(folder.path, {}, { signal: AbortSignal.abort(new Error("given up")) })).rejects.toThrow(
    "given up",
  );
  expect(await processesNaming(folder.path)).toEqual([]);
});

test("stop() ends the process, twice does no harm, and random ports are told", async () => {
  await using nats = await startTestNats({ monitoring: true });
  const pid = nats.server.pid ?? 0;
  const response = await fetch(`${nats.monitoringUrl}/varz`);
  expect(await response.json()).toMatchObject({ server_name: "test", port: nats.port });
  await Promise.all([nats.server.stop(), nats.server.stop()]);
  expect(isAlive(pid)).toBe(false);
  expect(nats.server.state).toBe("ended");
  expect(nats.server.lastLines.at(-1)).toContain("Server Exiting");
});

test("with TLS and users a server may listen everywhere, and talks to nobody in clear", async (context) => {
  await using folder = await temporaryFolder();
  const [key, cert] = [join(folder.path, "key.pem"), join(folder.path, "cert.pem")];
  const request = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=IP:127.0.0.1",
    "-keyout",
    key,
    "-out",
    cert,
  ];
  await promisify(execFile)("openssl", request).catch((error: unknown) =>
    context.skip(`openssl cannot make a certificate here: ${String(error)}`),
  );
  const users = [{ user: "u", password: "p", permissions: "all" }] as const;
  await using server = await start(folder.path, {
    listen: { host: "0.0.0.0", port: "random" },
    tls: { cert, key },
    users,
  });
  expect(server.url).toBe(`tls://127.0.0.1:${server.port}`);
  const login = { servers: server.url, user: "u", pass: "p", reconnect: false };
  const connection = await connect({ ...login, tls: { caFile: cert } });
  expect(connection.info?.tls_required).toBe(true);
  await connection.close();
  await expect(connect({ ...login, tls: {} })).rejects.toThrow(/self.signed/i);
});

test("the configuration file is readable by its owner alone, and no log line has a password", async () => {
  await using folder = await temporaryFolder();
  const lines: string[] = [];
  const users = [{ user: "u", password: "very-secret-word", permissions: "all" as const }];
  await using server = await start(folder.path, { users }, { onLog: (line) => lines.push(line) });
  const file = join(folder.path, "nats-server.conf");
  expect(await readFile(file, "utf8")).toContain("very-secret-word");
  if (process.platform !== "win32") {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  }
  await expect(connect({ servers: server.url, user: "u", pass: "very-secret-wrong" })).rejects.toThrow(
    /authorization/i,
  );
  await until(() => lines.some((line) => line.includes("authentication error")));
  expect(lines.join("\n")).not.toContain("very-secret-w");
  await server.stop();
  // A server that would log them.
  const talks = join(folder.path, "talks");
  await writeFile(talks, '#!/bin/sh\ncat "$2" >&2\nexit 3\n', { mode: 0o755 });
  const binary = { ...(await ensureNatsServer()), path: talks };
  const failed = start(folder.path, { users }, { binary, onLog: (line) => lines.push(line) });
  await expect(failed).rejects.toThrow(NatsServerCrashed);
  await expect(failed).rejects.not.toThrow(/very-secret-w/);
  expect(lines.join("\n")).toContain('password: "***"');
  expect(lines.join("\n")).not.toContain("very-secret-w");
});

test("a version with known holes is warned of beyond loopback only", async () => {
  await using folder = await temporaryFolder();
  const version = { major: 2, minor: 9, patch: 10, prerelease: false, text: "2.9.10" };
  const binary = { ...(await ensureNatsServer()), version };
  const warnings: string[] = [];
  function onWarning(line: string): void {
    warnings.push(line);
  }
  await using server = await start(folder.path, {}, { binary, onWarning });
  expect(server.state).toBe("running");
  expect(warnings).toEqual([]);
  await server.stop();
  const absent = join(folder.path, "absent.pem");
  const open = {
    listen: { host: "0.0.0.0", port: "random" as const },
    tls: { cert: absent, key: absent },
    users: [{ user: "a", password: "b", permissions: "all" as const }],
  };
  await expect(start(folder.path, open, { binary, onWarning })).rejects.toBeInstanceOf(NatsConfigRefused);
  expect(warnings).toEqual([expect.stringMatching(/2\.9\.10.*2\.14\.0/)]);
});

async function processesNaming(folder: string): Promise<string[]> {
  if (process.platform !== "linux") {
    return [];
  }
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(names.map((name) => readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "")));
  return lines.filter((line) => line.includes(folder));
}
