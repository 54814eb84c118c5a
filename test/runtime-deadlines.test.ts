import { expect, test, vi } from "vitest";
import { type Address } from "../runtime/actor.ts";
import { type Clock, systemClock } from "../runtime/clock.ts";
import { type WorkerSpec } from "../runtime/managed-worker.ts";
import { ActorSystem, type SystemOptions } from "../runtime/system.ts";
import { way, type WayConfig, type WayProtocol } from "./runtime-fixtures/actors.ts";

const module = new URL("runtime-fixtures/actors.ts", import.meta.url);

function at(id: string): Address {
  return { region: "here", kind: "way", id };
}

function actor(id: string, config: WayConfig = {}): WorkerSpec["actors"][number] {
  return { module, export: "way", id, config };
}

async function start(options: Partial<SystemOptions> = {}): Promise<ActorSystem> {
  return ActorSystem.start({
    region: "here",
    sink: () => undefined,
    restart: { restartsMax: 3, withinMs: 60_000, delayMinMs: 1, delayMaxMs: 10 },
    ...options,
  });
}

function soon(): AbortSignal {
  return AbortSignal.timeout(5000);
}

/** The machine's clock, whose timers come as many times earlier as is said when they are set. */
function hastyClock(): Clock & { speed: number } {
  return {
    ...systemClock,
    speed: 1,
    after(delayMs, run) {
      return systemClock.after(delayMs / this.speed, run);
    },
  };
}

for (const how of ["blocks", "waits"] as const) {
  test(`a worker whose setup ${how} for ever is ended at its deadline and starts afresh, and others restart meanwhile`, async () => {
    const clock = hastyClock();
    await using system = await start({ pingEveryMs: 50, startMaxMs: 60_000, clock });
    const setups = new Int32Array(new SharedArrayBuffer(4));
    await system.worker({ name: "good", actors: [actor("g")] });
    await system.worker({ name: "bad", actors: [actor("b", { hang: { setups, at: 1, how } })] });
    const good = system.ref<WayProtocol>(at("g"));
    system.ref<WayProtocol>(at("b")).tell("throw-later", undefined);
    await vi.waitFor(() => expect(Atomics.load(setups, 0)).toBe(2), 30_000);
    good.tell("throw-later", undefined);
    await vi.waitFor(async () => {
      const { workers } = await system.health();
      expect(workers).toMatchObject([
        { state: "running", restarts: 1 },
        { state: "restarting", restarts: 1, lastFailure: { reason: "threw" } },
      ]);
    }, 30_000);
    // Only what hangs is due now: what starts on a busy machine may take its time, before and after.
    clock.speed = 20;
    await vi.waitFor(async () => expect((await system.health()).workers[1]?.restarts).toBe(2), 30_000);
    clock.speed = 1;
    await vi.waitFor(
      async () => expect(await good.ask("relay", { to: at("b"), value: 1 }, { signal: soon() })).toBe(1),
      30_000,
    );
    expect((await system.health()).workers[1]).toMatchObject({
      state: "running",
      restarts: 2,
      lastFailure: { reason: "stuck", message: "Cannot go on with worker 'bad': it was not up in 60000 ms" },
    });
  }, 120_000);
}

test("a first start that never ends is thrown at its deadline", async () => {
  await using system = await start({ pingEveryMs: 50, startMaxMs: 500 });
  const hang = { setups: new Int32Array(new SharedArrayBuffer(4)), at: 0, how: "blocks" as const };
  await expect(system.worker({ name: "bad", actors: [actor("b", { hang })] })).rejects.toMatchObject({
    name: "WorkerEnded",
    reason: "stuck",
  });
  expect((await system.health()).workers).toEqual([]);
});

test("metrics come without those of a thread that is busy, and say so", async () => {
  await using system = await start({ pingEveryMs: 50 });
  await system.worker({ name: "one", actors: [actor("a")] });
  await system.worker({ name: "two", actors: [actor("b")] });
  for (const id of ["a", "b"]) system.ref<WayProtocol>(at(id)).tell("measure", undefined);
  await vi.waitFor(async () => expect(await system.metricsText()).toContain("freshet_test_total 2\n"), 5000);
  system.ref<WayProtocol>(at("b")).tell("block", undefined);
  await vi.waitFor(async () => expect(await system.metricsText()).toContain("freshet_test_total 1\n"), 5000);
  expect(await system.metricsText()).toMatch(/freshet_metrics_missing_total\{worker="two"\} [1-9]/);
});

test("stop() ends all stages by one deadline", async () => {
  await using system = await start();
  await system.worker({ name: "one", actors: [actor("a")] });
  await system.host(way, { id: "m", config: {} });
  // Both handlers hang on when nobody waits any more.
  for (const id of ["a", "m"]) {
    const asked = system.ref<WayProtocol>(at(id)).ask("hang", undefined, { signal: AbortSignal.timeout(300) });
    await expect(asked).rejects.toMatchObject({ code: "deadline" });
  }
  const stopped = system.stop({ deadlineMs: 3000 }).then(() => "stopped");
  // A whole deadline each would be twice as long.
  const timer = Promise.withResolvers<string>();
  const late = setTimeout(() => timer.resolve("late"), 5700);
  expect(await Promise.race([stopped, timer.promise])).toBe("stopped");
  clearTimeout(late);
});
