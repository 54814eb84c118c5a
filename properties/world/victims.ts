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
