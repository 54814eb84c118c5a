import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startNode } from "../regions/node.ts";
import { readConfig } from "../regions/read-config.ts";
import { restoringFolder } from "../regions/snapshot/image-names.ts";
import { eventually, QUICK, shortFolder, SMALL_MODEL } from "./e2e-support.ts";
import { startTestNats } from "./real-nats.ts";

test("a node works on a nats-server that runs elsewhere, as the user that it was given, and leaves it running", async () => {
  await using folder = await shortFolder();
  const users = [{ user: "freshet", password: "of the server", permissions: "all" as const }];
  await using nats = await startTestNats({ jetStream: true, users });
  await writeFile(join(folder.path, "password"), "of the server\n", { mode: 0o600 });
  const file = join(folder.path, "oregon.jsonc");
  await writeFile(
    file,
    JSON.stringify({
      ...QUICK,
      region: "oregon",
      training: "oregon",
      state: "state",
      nats: {
        url: nats.url,
        user: "freshet",
        password: { file: "password" },
        limits: { streamBytes: "20MB" },
      },
      http: false,
    }),
  );
  // A restore was killed there.
  const restoring = restoringFolder(join(folder.path, "state"));
  await mkdir(restoring, { recursive: true });
  await writeFile(join(restoring, "image-clicks-0.current"), "some of it");
  {
    await using node = await startNode(await readConfig(file), { log: () => undefined });
    const status = await eventually("it is ready and leads its shards", async () => {
      const now = await node.status();
      return now.ready && now.leaders.length === SMALL_MODEL.shards ? now : undefined;
    });
    expect(status.nats.url).toBe(nats.url);
    await expect(stat(restoring)).rejects.toMatchObject({ code: "ENOENT" });
    expect(status.workers.map(({ state }) => state)).not.toContain("restarting");
  }
  expect(nats.server.state).toBe("running");
});
