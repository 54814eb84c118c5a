import { type Random, nextBelow } from "../protocols/random.ts";
import { type CrashCommand } from "./crash-process.ts";
import { type CrashWorld, MODEL, PEER, TRAINERS, TRAINING } from "./crash-world.ts";

/** One way to go wrong, and how many processes it kills. */
export interface Crash {
  readonly name: string;
  readonly kills: number;
  run(world: CrashWorld, random: Random): Promise<void>;
}

/** Processes that are killed with SIGKILL. The first three end joiner, trainer and shards together. */
const KILLS: readonly Crash[] = [
  ...Array.from({ length: 4 }, () => kill("the training node", 1, (world) => node(world, TRAINING).kill())),
  // Again while it starts: it may be anywhere between its first line and its first batch.
  kill("the training node, twice", 2, async (world, random) => {
    await node(world, TRAINING).kill();
    await pause(random, 1_500);
    await node(world, TRAINING).kill();
  }),
  kill("the training node and its nats-server", 2, async (world) => {
    killServer(world);
    await node(world, TRAINING).kill();
  }),
  kill("the nats-server", 1, async (world) => killServer(world)),
  kill("the other node with its nats-server", 1, (world) => node(world, PEER).kill()),
];

/** Parts of the training node that end while the rest goes on. */
const PARTS: readonly Crash[] = [
  ...["shards", "control", `trainer-${MODEL.name}`, `trainer-${MODEL.name}.2`, "link"].map((worker) =>
    part(`thread ${worker}`, () => ({ kind: "end-thread", worker })),
  ),
  part("actor joiner", () => ({ kind: "fail-actor", address: at("joiner", "a"), message: "begun" })),
  ...TRAINERS.map((trainer) =>
    part(`actor ${trainer}`, () => ({ kind: "fail-actor", address: at("trainer", trainer), message: "turn" })),
  ),
  ...[0, 1].map((shard) =>
    part(`actor shard ${shard}`, () => ({
      kind: "fail-actor",
      address: at("shard", `${MODEL.name}-${shard}-a`),
      message: "due",
    })),
  ),
];

/** Crashes for ever, a part and a kill in turn; all of each sort come before one comes again. */
export function* crashes(random: Random): Generator<Crash, never> {
  const kills = deal(KILLS, random);
  const parts = deal(PARTS, random);
  for (;;) {
    yield parts.next().value;
    yield kills.next().value;
  }
}

/** A moment up to `maxMs`, drawn. */
export async function pause(random: Random, maxMs: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, nextBelow(random, maxMs)));
}

function* deal(deck: readonly Crash[], random: Random): Generator<Crash, never> {
  for (;;) {
    const left = [...deck];
    while (left.length > 0) {
      const [crash] = left.splice(nextBelow(random, left.length), 1);
      if (crash !== undefined) yield crash;
    }
  }
}

function kill(name: string, kills: number, run: Crash["run"]): Crash {
  return { name, kills, run };
}

function part(name: string, command: () => CrashCommand): Crash {
  return { name, kills: 0, run: async (world) => node(world, TRAINING).tell(command()) };
}

function node(world: CrashWorld, region: string): CrashWorld["regions"][number] {
  const found = world.regions.find((each) => each.region === region);
  if (found === undefined) throw new RangeError(`Cannot find region ${region}`);
  return found;
}

function killServer({ server }: CrashWorld): void {
  // None while it is being started again already.
  if (server.pid !== undefined) process.kill(server.pid, "SIGKILL");
}

function at(kind: string, id: string): { region: string; kind: string; id: string } {
  return { region: TRAINING, kind, id };
}
