import { spawnSync } from "node:child_process";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually, loneNode, QUICK, shortFolder, shownAndClicked } from "./e2e-support.ts";
import { TestNode } from "./test-node.ts";

const REGION = "oregon";
// Needs Linux, and leave to mount in a namespace of one's own.
const canMount = spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /tmp"]).status === 0;

interface Limited extends AsyncDisposable {
  readonly node: TestNode;
  /** Leaves no room at all. */
  fill(): Promise<void>;
  free(): Promise<void>;
}

/** A region whose state folder, or a folder in it, is a small disk of its own. It has learned one click. */
async function startOnSmallDisk(folderInState: string): Promise<Limited> {
  await using undo = new AsyncDisposableStack();
  const folder = undo.use(await shortFolder());
  const disk = join(folder.path, REGION, folderInState);
  await mkdir(disk, { recursive: true });
  const node = undo.use(
    new TestNode({
      folder: folder.path,
      prefix: ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"', disk],
      config: { ...QUICK, sync: { settleEvery: "1s" }, ...(await loneNode(REGION)) },
    }),
  );
  await node.start();
  await node.ready();
  expect(await node.post(shownAndClicked("someone", "with-room"))).toBe(202);
  await eventually("it is learned", async () => node.clicksOf("with-room"));
  // The disk is mounted for the node alone; this is how others see what it sees.
  const filler = `/proc/${node.pid}/root${disk}/filler`;
  const held = undo.move();
  return {
    node,
    fill: async () => {
      await using file = await open(filler, "w");
      for (let bytes = 1 << 20; bytes >= 1;) {
        const written = await file.write(new Uint8Array(bytes)).then(
          (done) => done.bytesWritten,
          () => 0,
        );
        if (written < bytes) bytes = Math.floor(bytes / 2);
      }
    },
    free: () => rm(filler),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function counted(node: TestNode, name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
  await eventually(`${name} is counted`, async () => (((await node.metric(name, labels)) ?? 0) > 0 ? true : undefined));
}

test.skipIf(!canMount)(
  "with no room for images a node learns and serves on, counts the failures, and writes images when there is room again",
  async () => {
    await using limited = await startOnSmallDisk("shards");
    const { node } = limited;
    await limited.fill();
    expect(await node.post(shownAndClicked("someone", "tight"))).toBe(202);
    await eventually("it is learned", async () => node.clicksOf("tight"));
    await counted(node, "freshet_images_not_saved_total", { code: "full" });
    await counted(node, "freshet_image_failures_total");
    expect((await node.recommend("someone"))?.items.map(({ item }) => item)).toContain("tight");
    // What is settled must be on disk first: it waits, and no shard ends over that.
    const status = await eventually("it says so", async () => {
      const found = await node.status();
      return found?.problems.length === 1 ? found : undefined;
    });
    expect(status.problems[0]).toMatch(/^the images of shards? clicks-.* memory only: .*no space left.*; make room on/);
    expect(status).toMatchObject({ ready: true, workers: status.workers.map(({ name }) => ({ name, restarts: 0 })) });
    const saved = (await node.metric("freshet_images_saved_total")) ?? 0;

    await limited.free();
    await eventually("images are written again", async () =>
      ((await node.metric("freshet_images_saved_total")) ?? 0) > saved ? true : undefined,
    );
    await eventually("nothing is wrong", async () => ((await node.status())?.problems.length === 0 ? true : undefined));
    expect(await node.clicksOf("with-room")).toBe(1);
    expect(await node.clicksOf("tight")).toBe(1);
    expect((await node.metric("freshet_actor_failures_total")) ?? 0).toBe(0);
  },
  60_000,
);

test.skipIf(!canMount)(
  "with no room at all a node serves on and refuses feedback; with room again it learns what it accepted, once",
  async () => {
    await using limited = await startOnSmallDisk("");
    const { node } = limited;
    await limited.fill();
    const accepted: string[] = [];
    await eventually("feedback is refused", async () => {
      const item = `tight-${accepted.length}`;
      const status = await node.post(shownAndClicked("someone", item));
      if (status === 202) accepted.push(item);
      return status === 503 ? true : undefined;
    });
    await counted(node, "freshet_http_refused_total", { reason: "not-stored" });
    expect((await node.recommend("someone"))?.items.map(({ item }) => item)).toContain("with-room");
    await eventually("it says so", async () =>
      (await node.status())?.problems.some((problem) => problem.includes("is full")) === true ? true : undefined,
    );

    await limited.free();
    await eventually(
      "feedback is accepted again",
      async () => ((await node.post(shownAndClicked("someone", "room-again"))) === 202 ? true : undefined),
      40_000,
    );
    for (const item of ["with-room", ...accepted, "room-again"]) {
      expect([
        item,
        await eventually(`${item} is learned`, async () => node.clicksOf(item).catch(() => undefined)),
      ]).toEqual([item, 1]);
    }
    await eventually("it is ready", async () => ((await node.status())?.ready === true ? true : undefined));
  },
  90_000,
);
