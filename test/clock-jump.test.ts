import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { eventually, QUICK, shortFolder } from "./e2e-support.ts";
import { TestNode } from "./test-node.ts";
import { steadyPorts } from "./free-ports.ts";

test("an impression becomes a sample when its window ends, though the clock is set back meanwhile", async () => {
  await using folder = await shortFolder();
  const [nats = 0, http = 0] = await steadyPorts(2);
  await using node = new TestNode({
    folder: folder.path,
    entry: fileURLToPath(new URL("fixtures/jumping-node.ts", import.meta.url)),
    config: {
      ...QUICK,
      region: "oregon",
      training: "oregon",
      nats: { listen: `127.0.0.1:${nats}` },
      http: { listen: `127.0.0.1:${http}` },
    },
  });
  await node.start();
  await node.ready();
  await node.tellProgram({ offsetMs: 3_600_000 });
  const impression = { type: "impression", request: "r", user: "u", item: "i", time: Date.now() };
  expect(await node.post([impression])).toBe(202);
  await eventually("the impression waits or is learned", async () => {
    const model = (await node.status())?.models[0];
    return (model?.pending ?? 0) + (model?.samples ?? 0) > 0 ? true : undefined;
  });
  await node.tellProgram({ offsetMs: 0 });
  // Nothing more comes, so only silence ends the window.
  await eventually("it is learned", async () => ((await node.status())?.models[0]?.samples === 1 ? true : undefined));
}, 120_000);
