import { nextBelow, nextFloat, type Random } from "../../protocols/random.ts";
import { type Disk } from "./disk.ts";
import { type Knobs } from "./knobs.ts";
import { type SimulatedNode } from "./simulated-node.ts";

/** A node that wrote a row which is early somewhere: crashed now, it may leave an orphan. */
export function writerOfEarlyRow(nodes: readonly (SimulatedNode | undefined)[]): number | undefined {
  for (const { early, store } of nodes.flatMap((node) => node?.replicas ?? [])) {
    for (const slot of early) {
      const writer = store.writers[store.versionAt(slot).writer];
      const index = nodes.findIndex((node) => node?.poller.writer === writer);
      if (index >= 0) return index;
    }
  }
  return undefined;
}

interface World {
  readonly knobs: Knobs;
  readonly nodes: readonly (SimulatedNode | undefined)[];
  readonly disks: readonly Disk[];
}

/** Who crashes: anyone, or whoever is in the middle of a pull, or who wrote rows that are early somewhere. */
export function drawVictim(world: World, random: Random): number {
  const { nodes, serving } = world.knobs;
  // What only serving replicas still hold has no state, and full ones cannot take it back yet: there, full nodes do not crash.
  if (serving) return nodes - 1;
  const drawn = nextBelow(random, nodes);
  const midway = world.nodes.findIndex((node) => node?.replicas.some(({ early }) => early.size > 0));
  const choice = nextFloat(random);
  if (midway < 0 || choice < 0.4) return drawn;
  if (choice < 0.6) return writerOfEarlyRow(world.nodes) ?? drawn;
  // What it had so far is on its disk.
  const node = world.nodes[midway];
  node?.replicas.forEach((_, shard) => world.disks[midway]?.save(shard, node.image(shard)));
  return midway;
}
