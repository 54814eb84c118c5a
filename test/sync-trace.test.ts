/*
 * I6 in a real node: what its worker threads gave to the pure cores, over a real nats-server, gives the same effects when it is given to them
 * again here. So nothing in the actors adds time, chance or order of its own.
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { modelLayout } from "../protocols/model-layout.ts";
import { modelSchema } from "../regions/config-model.ts";
import { startRegions } from "./e2e-regions.ts";
import { eventually, shownAndClicked, SMALL_MODEL } from "./e2e-support.ts";
import { type Entry, readTrace, replay } from "./trace-replay.ts";

const layout = modelLayout(modelSchema.parse(SMALL_MODEL));
const entry = fileURLToPath(new URL("fixtures/traced-node.ts", import.meta.url));

test(
  "what real shards and leaders did, their cores do again from the same start: through cuts, a kill and a restart",
  { timeout: 120_000 },
  async () => {
    await using world = await startRegions({
      nodes: { frankfurt: ["a", "b"], oregon: ["a"] },
      training: "oregon",
      servers: "own",
      entry,
    });
    const [oregon, follower] = [world.node("oregon"), world.node("frankfurt", "b")];
    async function learn(name: string): Promise<void> {
      const events = Array.from({ length: 20 }, (_, at) => shownAndClicked(`user-${at % 5}`, `${name}-${at}`)).flat();
      await eventually(`${name} is taken`, async () => ((await oregon.post(events)) === 202 ? true : undefined));
      await eventually(`${name} is learned`, async () => oregon.clicksOf(`${name}-19`));
    }
    await learn("first");
    await world.converged(world.all);
    world.cutOff(follower);
    await learn("second");
    world.heal(follower);
    await world.converged(world.all);
    await follower.kill();
    await learn("third");
    await follower.start();
    await follower.ready();
    await world.converged(world.all);
    for (const node of world.all.toReversed()) await node.stop();
    for (const node of world.all) {
      const entries = await readTrace(join(dirname(node.state), `${node.region}.json.trace`));
      check(entries, { trains: node === oregon, lives: node === follower ? 2 : 1 });
    }
  },
);

const OF_THE_PRIMARY = [
  "shard push",
  "shard message pull",
  "shard message release",
  "shard gives send frame",
  "leader message poll",
  "leader changed",
];
const OF_OTHERS = [
  "shard pull",
  "shard pull that stands",
  "shard message frame",
  "shard gives pulled",
  "shard timer",
  "leader message changes",
  "leader timer",
  "leader gives pull",
];

function check(
  entries: readonly Entry[],
  { trains, lives }: { readonly trains: boolean; readonly lives: number },
): void {
  const options = { layout, full: trains };
  const found = replay(entries, options);
  expect(found.difference).toBeUndefined();
  // Two shards and a leader in each life of the node.
  expect(found.lives).toBe(3 * lives);
  expect(entries.some(({ kind }) => kind === "full")).toBe(false);
  for (const what of trains ? OF_THE_PRIMARY : OF_OTHERS) {
    expect([what, (found.seen.get(what) ?? 0) > 0]).toEqual([what, true]);
  }
  // The comparison sees a difference where there is one.
  const last = entries.findLastIndex(
    (each) => each.kind === "step" && Array.isArray(each.effects) && each.effects.length > 0,
  );
  const forged = entries.map((each, at) => (at === last && each.kind === "step" ? { ...each, effects: [] } : each));
  expect(replay(forged, options).difference).toContain(`step ${last} of`);
}
