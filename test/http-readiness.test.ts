import { expect, test } from "vitest";
import { type NodeProtocol } from "../regions/status.ts";
import { nodeActor } from "../regions/node-actor.ts";
import { nodeAddresses } from "../regions/node-plan.ts";
import { type Address, type Context, defineActor } from "../runtime/actor.ts";
import { ActorSystem, type SystemHealth } from "../runtime/system.ts";
import { LEAST, parse } from "./config-parsing.ts";

/** What a shard, an inference replica and a trainer are asked here. */
interface AskedProtocol {
  readonly status: { request: Record<string, never>; reply: object };
  readonly gather: { request: object; reply: { readonly values: readonly Float32Array[] } };
}

interface Part {
  /** Whether it takes messages and answers none, as one in a blocked worker. */
  readonly blocked: boolean;
  readonly onStatus: () => void;
}

function part(kind: string) {
  return defineActor<AskedProtocol, Part>({
    kind,
    messages: ["status", "gather"],
    setup: ({ blocked, onStatus }, context: Context<AskedProtocol>) => ({
      handlers: {
        status: () => {
          onStatus();
          return blocked ? context.later<object>().reply : { items: 1 };
        },
        gather: () => (blocked ? context.later<AskedProtocol["gather"]["reply"]>().reply : { values: [] }),
      },
    }),
  });
}

/** A node actor whose shards, inference replica and trainer answer, or hang. */
async function startNode(options: { readonly blocked: boolean; readonly health?: () => Promise<SystemHealth> }) {
  const { blocked, health } = options;
  const config = parse(LEAST);
  const { shard, inference, trainers } = nodeAddresses(config);
  const system = await ActorSystem.start({
    region: config.region,
    sink: () => {},
    restart: { restartsMax: 0, withinMs: 1_000, delayMinMs: 1, delayMaxMs: 1 },
  });
  const statuses = { shards: 0 };
  const addresses: Address[] = [0, 1, 2, 3].map((index) => shard("clicks", index));
  for (const { kind, id } of [...addresses, inference("clicks"), ...trainers("clicks")]) {
    function onStatus(): void {
      if (kind === "shard") statuses.shards++;
    }
    await system.host(part(kind), { id, config: { blocked, onStatus } });
  }
  const node = await system.host(nodeActor, {
    id: config.node,
    config: {
      config,
      startedMs: Date.now(),
      health: health ?? (() => system.health()),
      metrics: () => system.metrics(),
      metricsText: () => system.metricsText(),
      nats: () => ({ version: "none", url: "nats://127.0.0.1:1", jetstream: "none" }),
      problems: () => [],
    },
  });
  function ask<K extends keyof NodeProtocol>(message: K, withinMs: number): Promise<NodeProtocol[K]["reply"]> {
    return node.ask(message, {}, { signal: AbortSignal.timeout(withinMs) });
  }
  return { ask, statuses, [Symbol.asyncDispose]: () => system[Symbol.asyncDispose]() };
}

test("a node is ready once its shards and its inference replica answer, and no shard is asked to look at its rows", async () => {
  await using node = await startNode({ blocked: false });
  expect(await node.ask("ready", 5_000)).toEqual({ ready: true, problems: [] });
  expect(node.statuses.shards).toBe(0);
});

test("a node with blocked workers says so, before a probe gives up on it", async () => {
  await using node = await startNode({ blocked: true, health: () => new Promise(() => {}) });
  expect(await node.ask("ready", 5_000)).toEqual({
    ready: false,
    problems: [
      "a worker is blocked",
      ...[0, 1, 2, 3].map((index) => `shard clicks-${index} does not answer`),
      "the inference replica of clicks does not answer",
    ],
  });
});

test("a status waits for what does not answer at once, not for one after another", async () => {
  await using node = await startNode({ blocked: true });
  // Shards, trainer and inference replica are each given 0.8 s.
  const status = await node.ask("status", 1_500);
  expect(status).toMatchObject({ region: "frankfurt", ready: false, models: [{ model: "clicks", rows: 0 }] });
});
