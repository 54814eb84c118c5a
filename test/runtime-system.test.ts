import { expect, test } from "vitest";
import { type Address } from "../runtime/actor.ts";
import { type LogLine } from "../runtime/log.ts";
import { ActorSystem, type SystemOptions } from "../runtime/system.ts";
import { type WorkerSpec } from "../runtime/managed-worker.ts";
import { way, type WayProtocol } from "./runtime-fixtures/actors.ts";

const module = new URL("runtime-fixtures/actors.ts", import.meta.url);

function at(id: string): Address {
  return { region: "here", kind: "way", id };
}

function actor(id: string, config: { start?: number; failSetup?: boolean } = {}): WorkerSpec["actors"][number] {
  return { module, export: "way", id, config };
}

async function start(lines: LogLine[], options: Partial<SystemOptions> = {}): Promise<ActorSystem> {
  return ActorSystem.start({ region: "here", sink: (line) => lines.push(line), restart: { restartsMax: 3, withinMs: 60_000, delayMinMs: 1, delayMaxMs: 10 }, ...options });
}

function soon(): AbortSignal {
  return AbortSignal.timeout(5000);
}

test("ActorSystem carries tells and asks between workers, the main thread and one thread alike", async () => {
  await using system = await start([]);
  await system.worker({ name: "one", actors: [actor("a", { start: 1 }), actor("b")] });
  await system.worker({ name: "two", actors: [actor("c", { start: 40 })] });
  const main = await system.host(way, { id: "m", config: {} });
  const a = system.ref<WayProtocol>(at("a"));
  a.tell("add", 2);
  expect(await a.ask("total", undefined, { signal: soon() })).toBe(3);
  for (const id of ["b", "c", "m"]) {
    expect(await a.ask("relay", { to: at(id), value: { id, bytes: Uint8Array.of(1, 2) } }, { signal: soon() })).toEqual({ id, bytes: Uint8Array.of(1, 2) });
  }
  a.tell("relay-told", { to: at("m"), value: 5 });
  expect(await a.ask("relay", { to: at("m"), value: 0 }, { signal: soon() })).toBe(0);
  expect(await main.ask("total", undefined, { signal: soon() })).toBe(5);
});
