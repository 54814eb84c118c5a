import { join } from "node:path";
import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { type RegionConfigInput } from "../regions/config.ts";
import { tensorflowHome } from "../runtime/compute/tensorflow/home.ts";
import { isSetUp } from "../runtime/compute/tensorflow/load.ts";
import { eventually, loneNode, QUICK, shortFolder, shownAndClicked } from "./e2e-support.ts";
import { TestNode } from "./test-node.ts";
import { freshet } from "./run-freshet.ts";

async function config(): Promise<Omit<RegionConfigInput, "state">> {
  return { ...QUICK, compute: "tensorflow", ...(await loneNode("oregon", { deadline: "5s" })) };
}

test("a node whose config names tensorflow where it is not set up says so, and what to do, and does not start", async () => {
  await using folder = await shortFolder();
  const file = join(folder.path, "oregon.json");
  await writeFile(file, JSON.stringify({ ...(await config()), state: join(folder.path, "state") }));
  const home = join(folder.path, "tf");
  const started = await freshet(["start", file], { env: { FRESHET_TENSORFLOW: home } });
  expect(started.code).toBe(1);
  expect(started.err).toContain(
    `Cannot compute with TensorFlow: it is not set up in ${home}; npx freshet setup tensorflow sets it up`,
  );
});

test.runIf(isSetUp(tensorflowHome(process.env)))(
  "a region trains and ranks with TensorFlow, in workers that may load it and no more",
  async () => {
    await using folder = await shortFolder();
    await using node = new TestNode({ folder: folder.path, config: await config() });
    await node.start();
    await node.ready();
    expect(await node.post(shownAndClicked("someone", "something"))).toBe(202);
    await eventually("the click is learned", async () =>
      (await node.status())?.models.some(({ samples }) => samples > 0) === true ? true : undefined,
    );
    await eventually("the model answers with what was clicked", async () => {
      const answer = await node.recommend("someone", { record: false });
      return answer?.step === "model" && answer.items.some(({ item }) => item === "something") ? true : undefined;
    });
    expect(await node.metric("freshet_batches_refused_total")).toBe(0);
    expect((await node.status())?.workers.map(({ restarts }) => restarts)).toEqual([0, 0, 0, 0, 0, 0]);
  },
  60_000,
);
