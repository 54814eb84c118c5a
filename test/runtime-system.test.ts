import { expect, test, vi } from "vitest";
import { type Address, AskFailed } from "../runtime/actor.ts";
import { type LogLine } from "../runtime/log.ts";
import { ActorSystem, type SystemOptions } from "../runtime/system.ts";
import { type WorkerSpec } from "../runtime/managed-worker.ts";
import { way, type WayProtocol } from "./runtime-fixtures/actors.ts";

const module = new URL("runtime-fixtures/actors.ts", import.meta.url);

function at(id: string): Address {
  return { region: "here", kind: "way", id };
}

function actor(id: string, config: { failSetup?: boolean; start?: number } = {}): WorkerSpec["actors"][number] {
  return { module, export: "way", id, config };
}

async function start(lines: LogLine[], options: Partial<SystemOptions> = {}): Promise<ActorSystem> {
  return ActorSystem.start({
    region: "here",
    sink: (line) => lines.push(line),
    restart: { restartsMax: 3, withinMs: 60_000, delayMinMs: 1, delayMaxMs: 10 },
    ...options,
  });
}

async function expectCode(asked: Promise<unknown>, code: AskFailed["code"]): Promise<void> {
  await expect(asked).rejects.toMatchObject({ name: "AskFailed", code });
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
    expect(await a.ask("relay", { to: at(id), value: { id, bytes: Uint8Array.of(1, 2) } }, { signal: soon() })).toEqual(
      { id, bytes: Uint8Array.of(1, 2) },
    );
  }
  a.tell("relay-told", { to: at("m"), value: 5 });
  expect(await a.ask("relay", { to: at("m"), value: 0 }, { signal: soon() })).toBe(0);
  expect(await main.ask("total", undefined, { signal: soon() })).toBe(5);
});

test("an actor that throws starts afresh, tells whoever asked it, and keeps the messages that wait", async () => {
  const lines: LogLine[] = [];
  await using system = await start(lines);
  await system.worker({ name: "one", actors: [actor("a", { start: 5 })] });
  const a = system.ref<WayProtocol>(at("a"));
  const waiting = expectCode(a.ask("wait", undefined, { signal: soon() }), "failed");
  a.tell("add", 1);
  const thrown = expectCode(a.ask("throw", "as asked", { signal: soon() }), "failed");
  a.tell("add", 10);
  const total = a.ask("total", undefined, { signal: soon() });
  await waiting;
  await thrown;
  expect(await total).toBe(15);
  const { workers } = await system.health();
  expect(workers).toMatchObject([
    {
      name: "one",
      state: "running",
      restarts: 0,
      thread: { actors: [{ state: "running", restarts: 1, lastFailure: { name: "RangeError", message: "as asked" } }] },
    },
  ]);
  expect(await system.metricsText()).toContain('freshet_actor_failures_total{kind="way"} 1');
  expect(lines.some(({ text, level }) => text === "an actor failed" && level === "error")).toBe(true);
});

test("a refusal is an answer, and the actor lives on", async () => {
  await using system = await start([]);
  await system.worker({ name: "one", actors: [actor("a")] });
  const a = system.ref<WayProtocol>(at("a"));
  a.tell("add", 1);
  await expect(a.ask("refuse", { left: 3 }, { signal: soon() })).rejects.toMatchObject({
    name: "AskFailed",
    code: "refused",
    data: { left: 3 },
  });
  expect(await a.ask("total", undefined, { signal: soon() })).toBe(1);
});

for (const [reason, message, heapMb] of [
  ["heap", "fill-heap", 32],
  ["stuck", "block", undefined],
  ["threw", "throw-later", undefined],
] as const) {
  test(`a worker that ends with '${reason}' is started afresh, its asker is told, and the others go on`, async () => {
    const lines: LogLine[] = [];
    await using system = await start(lines, { pingEveryMs: 50, stuckAfterMs: reason === "stuck" ? 500 : 20_000 });
    await system.worker({ name: "good", actors: [actor("g", { start: 1 })] });
    await system.worker({
      name: "bad",
      ...(heapMb === undefined ? {} : { heapMb }),
      actors: [actor("b", { start: 3 })],
    });
    const bad = system.ref<WayProtocol>(at("b"));
    const good = system.ref<WayProtocol>(at("g"));
    expect(await good.ask("relay", { to: at("b"), value: 1 }, { signal: soon() })).toBe(1);
    const waiting = expectCode(bad.ask("wait", undefined, { signal: AbortSignal.timeout(60_000) }), "ended");
    bad.tell(message, undefined);
    await waiting;
    expect(await good.ask("start", undefined, { signal: soon() })).toBe(1);
    await vi.waitFor(
      async () => expect(await good.ask("relay", { to: at("b"), value: 2 }, { signal: soon() })).toBe(2),
      10_000,
    );
    expect(await bad.ask("total", undefined, { signal: soon() })).toBe(3);
    const { workers } = await system.health();
    expect(workers.find(({ name }) => name === "bad")).toMatchObject({
      state: "running",
      restarts: 1,
      lastFailure: { reason },
    });
    expect(await system.metricsText()).toContain(`freshet_worker_restarts_total{reason="${reason}",worker="bad"} 1`);
    expect(lines.find(({ text }) => text === "a worker ended")?.fields).toMatchObject({ worker: "bad", reason });
  }, 60_000);
}

test("a worker that keeps ending is given up, and the system says so", async () => {
  await using system = await start([], { restart: { restartsMax: 1, withinMs: 60_000, delayMinMs: 1, delayMaxMs: 1 } });
  await system.worker({ name: "bad", actors: [actor("b")] });
  const bad = system.ref<WayProtocol>(at("b"));
  for (let time = 0; time < 2; time++) {
    await vi.waitFor(async () => expect(await bad.ask("start", undefined, { signal: soon() })).toBe(0), 10_000);
    bad.tell("throw-later", undefined);
    await expect(bad.ask("wait", undefined, { signal: soon() })).rejects.toThrow(/ended|nobody is known|not running/);
  }
  expect(await system.failed).toMatchObject({ name: "WorkerEnded", reason: "threw" });
  expect((await system.health()).workers).toMatchObject([{ state: "failed", restarts: 1 }]);
  await expect(bad.ask("start", undefined, { signal: soon() })).rejects.toMatchObject({ code: "no-actor" });
});

test("an actor that spent its restarts takes its worker with it", async () => {
  await using system = await start([]);
  await system.worker({
    name: "one",
    actors: [
      { ...actor("a"), restart: { restartsMax: 0, withinMs: 60_000, delayMinMs: 1, delayMaxMs: 1 } },
      actor("b"),
    ],
  });
  const a = system.ref<WayProtocol>(at("a"));
  const b = system.ref<WayProtocol>(at("b"));
  b.tell("add", 1);
  expect(await b.ask("total", undefined, { signal: soon() })).toBe(1);
  a.tell("throw-told", "once is enough");
  await vi.waitFor(async () => expect(await b.ask("total", undefined, { signal: soon() })).toBe(0), 10_000);
  expect((await system.health()).workers).toMatchObject([{ restarts: 1, lastFailure: { reason: "escalated" } }]);
});

test("a full mailbox is an answer to asks and a counted drop of tells", async () => {
  await using system = await start([]);
  await system.worker({ name: "one", actors: [{ ...actor("a"), mailboxMax: 2 }] });
  const a = system.ref<WayProtocol>(at("a"));
  const patience = new AbortController();
  const codes: string[] = [];
  const asks = Array.from({ length: 6 }, () =>
    a.ask("hang", undefined, { signal: patience.signal }).then(
      () => codes.push("answered"),
      (error: unknown) => codes.push(error instanceof AskFailed ? error.code : String(error)),
    ),
  );
  const full = ["mailbox-full", "mailbox-full", "mailbox-full"];
  await vi.waitFor(() => expect(codes).toEqual(full), 10_000);
  patience.abort();
  await Promise.all(asks);
  expect(codes).toEqual([...full, "deadline", "deadline", "deadline"]);
  a.tell("add", 1);
  await vi.waitFor(
    async () => expect(await system.metricsText()).toContain('freshet_dead_letters_total{reason="mailbox-full"} 1'),
    5000,
  );
});

test("asks to nobody, to an unknown message, to what ends and after a stop are all answered", async () => {
  await using system = await start([]);
  await system.worker({ name: "one", actors: [actor("a"), actor("b")] });
  const a = system.ref<WayProtocol>(at("a"));
  await expect(system.ref<WayProtocol>(at("nobody")).ask("total", undefined, { signal: soon() })).rejects.toMatchObject(
    { code: "no-actor" },
  );
  const stranger = system.ref<{ "no-such": { request: undefined; reply: number } }>(at("a"));
  await expect(stranger.ask("no-such", undefined, { signal: soon() })).rejects.toMatchObject({
    code: "unknown-message",
  });
  await expect(a.ask("total", undefined, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "deadline" });
  await expect(a.ask("echo", () => 1, { signal: soon() })).rejects.toMatchObject({ code: "refused" });
  const waiting = expectCode(a.ask("wait", undefined, { signal: soon() }), "ended");
  a.tell("add", 1);
  expect(await a.ask("total", undefined, { signal: soon() })).toBe(1);
  await system.stopActor(at("a"), 1000);
  await waiting;
  await expect(a.ask("total", undefined, { signal: soon() })).rejects.toThrow(/ended|nobody is known|not running/);
  const b = system.ref<WayProtocol>(at("b"));
  const hanging = expectCode(b.ask("hang", undefined, { signal: AbortSignal.timeout(60_000) }), "ended");
  // The stop goes another way than the ask and may overtake it: what waits behind the ask shows that it is being handled.
  b.tell("add", 1);
  await vi.waitFor(async () => {
    const { workers } = await system.health();
    expect(workers[0]?.thread?.actors.find(({ address }) => address.id === "b")?.mailboxDepth).toBe(1);
  }, 10_000);
  await system.stop({ deadlineMs: 50 });
  await hanging;
  await system.stop({ deadlineMs: 50 });
  expect(system.state).toBe("stopped");
  await expect(system.worker({ name: "late", actors: [] })).rejects.toThrow(
    "Cannot start worker 'late': the system is stopped",
  );
});

test("worker() throws what goes wrong the first time, and leaves nothing", async () => {
  await using system = await start([]);
  await expect(system.worker({ name: "one", actors: [actor("a", { failSetup: true })] })).rejects.toMatchObject({
    name: "StartFailed",
    failure: { message: "as asked" },
  });
  await expect(
    system.worker({ name: "one", actors: [{ module, export: "none", id: "a", config: {} }] }),
  ).rejects.toThrow("exports nothing of that name");
  await expect(
    system.worker({ name: "one", actors: [{ module, export: "way", id: "No Token", config: {} }] }),
  ).rejects.toThrow("cannot be part of a subject");
  await system.worker({ name: "one", actors: [actor("a")] });
  await expect(system.worker({ name: "one", actors: [] })).rejects.toThrow("its name is taken");
  await expect(system.worker({ name: "two", actors: [actor("a")] })).rejects.toThrow("it is on 'one'");
  expect(await system.ref<WayProtocol>(at("a")).ask("start", undefined, { signal: soon() })).toBe(0);
});

test("timers come in time order, one message at a time, and metrics of all threads add up", async () => {
  await using system = await start([]);
  await system.worker({ name: "one", actors: [actor("a")] });
  await system.worker({ name: "two", actors: [actor("b")] });
  const refs = [at("a"), at("b")].map((address) => system.ref<WayProtocol>(address));
  for (const ref of refs) {
    ref.tell("tick", 3);
    await vi.waitFor(async () => expect(await ref.ask("total", undefined, { signal: soon() })).toBe(3), 5000);
    ref.tell("measure", undefined);
    await ref.ask("start", undefined, { signal: soon() });
  }
  const text = await system.metricsText();
  expect(text).toContain("freshet_test_total 2\n");
  expect(text).toContain('freshet_test_depth{worker="one"} 3\nfreshet_test_depth{worker="two"} 3\n');
  expect(text).toContain("freshet_test_seconds_count 2\n");
  expect(text).toContain('freshet_test_seconds_bucket{le="1"} 2\n');
});

test("a view of a large buffer crosses as its own bytes, and a buffer handed over is gone here", async () => {
  await using system = await start([]);
  await system.worker({ name: "one", actors: [actor("a")] });
  const a = system.ref<WayProtocol>(at("a"));
  const large = new Uint8Array(1 << 20).fill(7);
  const echoed = await a.ask("echo", { part: large.subarray(10, 12) }, { signal: soon() });
  expect(echoed).toEqual({ part: Uint8Array.of(7, 7) });
  expect(await a.ask("echo", large, { signal: soon(), transfer: [large.buffer] })).toHaveLength(1 << 20);
  expect(large.byteLength).toBe(0);
});
