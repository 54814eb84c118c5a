import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "vitest";
import { NatsPortInUse, NatsServerOwned } from "../runtime/nats-server/start-errors.ts";
import { isAlive, open, start, temporaryFolder, until, within } from "./nats-server-support.ts";
import { startTestNats } from "./real-nats.ts";

test("a server ended by SIGKILL is started again on the same port and has what JetStream acknowledged", async () => {
  const restarted = Promise.withResolvers<void>();
  const whys: Error[] = [];
  await using nats = await startTestNats({
    callbacks: { onRestart: ({ why }) => whys.push(why), onReady: () => restarted.resolve() },
  });
  const [before, port] = [nats.server.pid ?? 0, nats.port];
  await using first = await open(nats.url);
  await (await jetstreamManager(first.connection)).streams.add({ name: "KEPT", subjects: ["kept"] });
  for (let index = 0; index < 20; index += 1) {
    await jetstream(first.connection).publish("kept", `message ${index}`);
  }
  process.kill(before, "SIGKILL");
  await within(restarted.promise);
  expect(nats.server).toMatchObject({ state: "running", restarts: 1, port });
  expect(nats.server.pid).not.toBe(before);
  expect(whys).toMatchObject([{ name: "NatsServerCrashed", exit: { signal: "SIGKILL" } }]);
  await using second = await open(nats.url);
  const info = await (await jetstreamManager(second.connection)).streams.info("KEPT");
  expect(info.state.messages).toBe(20);
});

test("a server that cannot be started again uses up its budget, then stays down and says so", async () => {
  const failed = Promise.withResolvers<Error>();
  let attempts = 0;
  await using thief = createServer();
  await using nats = await startTestNats({
    callbacks: {
      restart: { attemptsMax: 3, delayMs: 20 },
      onRestart: () => {
        attempts += 1;
        if (attempts === 1) {
          thief.listen(nats.port, "127.0.0.1");
        }
      },
      onFailed: (why) => failed.resolve(why),
    },
  });
  process.kill(nats.server.pid ?? 0, "SIGKILL");
  expect(await within(failed.promise)).toBeInstanceOf(NatsPortInUse);
  expect(attempts).toBe(3);
  expect(nats.server).toMatchObject({ state: "ended", pid: undefined });
});

test.skipIf(process.platform === "win32")(
  "a server whose owner was killed is ended and replaced by the next start",
  async () => {
    await using folder = await temporaryFolder();
    const orphan = await orphanedServer(folder.path, { dieWithParent: false });
    expect(isAlive(orphan.pid)).toBe(true);
    const warnings: string[] = [];
    await using server = await start(
      folder.path,
      { listen: { host: "127.0.0.1", port: orphan.port } },
      { onWarning: (line) => warnings.push(line) },
    );
    expect(isAlive(orphan.pid)).toBe(false);
    expect(server.port).toBe(orphan.port);
    expect(warnings).toEqual([expect.stringContaining(String(orphan.pid))]);
    await using client = await open(server.url);
    expect(client.connection.info?.server_name).toBe("n");
  },
);

test.skipIf(process.platform !== "linux")("a server ends by itself when its owner is killed", async () => {
  await using folder = await temporaryFolder();
  const orphan = await orphanedServer(folder.path, { dieWithParent: true });
  await until(() => !isAlive(orphan.pid));
  expect(isAlive(orphan.pid)).toBe(false);
});

test.skipIf(process.platform === "win32")(
  "a folder whose server has a living owner is refused, and a reused process id is left alone",
  async () => {
    await using folder = await temporaryFolder();
    {
      await using first = await start(folder.path, {});
      await expect(start(folder.path, {})).rejects.toBeInstanceOf(NatsServerOwned);
      expect(first.state).toBe("running");
    }
    // The pid file now names a process that is no server of ours: this one.
    await writeFile(join(folder.path, "nats-server.pid"), String(process.pid));
    await using second = await start(folder.path, {});
    expect(second.state).toBe("running");
  },
);

/** Starts a server from a process that is then killed. */
async function orphanedServer(
  folder: string,
  options: { dieWithParent: boolean },
): Promise<{ pid: number; port: number }> {
  const owner = spawn(
    process.execPath,
    [fileURLToPath(new URL("nats-server-owner.ts", import.meta.url)), folder, String(options.dieWithParent)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const said: readonly unknown[] = await within(once(owner.stdout, "data"));
  const [pid = 0, port = 0] = String(said[0]).trim().split(" ").map(Number);
  owner.kill("SIGKILL");
  await once(owner, "exit");
  return { pid, port };
}
