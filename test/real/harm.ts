import { setTimeout as delay } from "node:timers/promises";
import { describeHarm, type Harm, type Round, stalledWays } from "./fault-plan.ts";
import { type Lead } from "./lead.ts";
import { type RealNode } from "./real-node.ts";
import { type RealWorld } from "./world.ts";

/** Those that begin, last and end by themselves. */
type Plain = Exclude<Harm, { readonly kind: "promote" | "force" }>;

/** Brings a round's faults about, each at its time, and ends each after its time. Resolves when all have ended; an abort ends them at once. */
export async function play(
  round: Round,
  options: {
    readonly world: RealWorld;
    readonly lead: Lead;
    readonly say: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { world, lead, say, signal } = options;
  async function pass(ms: number): Promise<void> {
    await delay(ms, undefined, { signal }).catch(() => undefined); // woken by the end
  }
  await Promise.all(
    round.map(async ({ harm: drawn, atMs, forMs }) => {
      await pass(atMs);
      if (signal.aborted) return;
      const harm = lead.aim(drawn);
      say(`${describeHarm(harm)}, for ${(forMs / 1000).toFixed(1)} s`);
      if (harm.kind === "promote" || harm.kind === "force") {
        const over = AbortSignal.any([signal, AbortSignal.timeout(forMs)]);
        if (harm.kind === "promote") return lead.move(harm, over);
        // Behind its cut the old region goes on to the end of the fault, whoever trains by then.
        const links = world.links.filter((link) => lead.isCut(link));
        for (const link of links) link.cut();
        await Promise.all([lead.move(harm, over), pass(forMs)]);
        for (const link of links) link.heal();
        return;
      }
      await begin(harm, world);
      await pass(forMs);
      end(harm, world);
    }),
  );
  heal(world);
}

/** Everything runs and is whole, whatever was wrong. */
export function heal({ nodes, links }: RealWorld): void {
  for (const link of links) link.heal();
  for (const node of nodes) {
    node.resume();
    node.setClock(0);
    node.start();
  }
}

async function begin(harm: Plain, world: RealWorld): Promise<void> {
  switch (harm.kind) {
    case "kill":
      return nodeOf(world, harm.node).kill();
    case "kill-server":
      return void (await nodeOf(world, harm.node).killServer());
    case "kill-both": {
      const node = nodeOf(world, harm.node);
      await Promise.all([node.killServer(), node.kill()]);
      return;
    }
    case "suspend":
      return nodeOf(world, harm.node).suspend();
    case "clock":
      return nodeOf(world, harm.node).setClock(harm.offsetMs);
    case "cut":
      return linksBetween(world, harm.between).forEach((link) => link.cut());
    case "slow":
      return linksBetween(world, harm.between).forEach((link) => link.slow(harm.slowness));
    case "flap":
      return linksBetween(world, harm.between).forEach((link) => link.flap(harm.slowness, harm.everyMs));
    case "one-way":
    case "black-hole":
      for (const link of world.links) for (const way of stalledWays(harm, link)) link.stall(way);
  }
}

// Where two faults of a round meet, the end of one may end the other too: also that is drawn.
function end(harm: Plain, world: RealWorld): void {
  switch (harm.kind) {
    case "kill":
    case "kill-both":
      return nodeOf(world, harm.node).start();
    case "kill-server":
      return;
    case "suspend":
      return nodeOf(world, harm.node).resume();
    case "clock":
      return nodeOf(world, harm.node).setClock(0);
    case "cut":
    case "slow":
    case "flap":
    case "one-way":
    case "black-hole":
      return linksBetween(world, harm.between).forEach((link) => link.heal());
  }
}

function nodeOf({ nodes }: RealWorld, name: string): RealNode {
  const node = nodes.find((each) => each.name === name);
  if (node === undefined) throw new RangeError(`Cannot harm ${name}: there is no such node`);
  return node;
}

function linksBetween({ links }: RealWorld, [first, second]: readonly [string, string]): RealWorld["links"] {
  return links.filter(({ from, to }) => (from === first && to === second) || (from === second && to === first));
}
