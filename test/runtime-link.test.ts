import { connect } from "@nats-io/transport-node";
import { expect, test, vi } from "vitest";
import { type Address } from "../runtime/actor.ts";
import { linkAddress, type LinkConfig } from "../runtime/link.ts";
import { type LinkProtocol } from "../runtime/link-protocol.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { ActorSystem } from "../runtime/system.ts";
import { startTestNats, type TestNats } from "./real-nats.ts";
import { type WayProtocol } from "./runtime-fixtures/actors.ts";

const module = new URL("runtime-fixtures/actors.ts", import.meta.url);
const link = new URL("../runtime/link.ts", import.meta.url);

function soon(): AbortSignal {
  return AbortSignal.timeout(5000);
}

function way(region: string): Address {
  return { region, kind: "way", id: "w" };
}

async function startRegion(
  region: string,
  own: TestNats,
  peers: Readonly<Record<string, TestNats>>,
  inspect = false,
): Promise<ActorSystem> {
  const system = await ActorSystem.start({ region, inspect, sink: () => undefined });
  const config: LinkConfig = {
    region,
    node: "a",
    own: { url: own.url },
    peers: Object.entries(peers).map(([peer, { url }]) => ({ region: peer, url })),
    streams: [{ name: "EVENTS", subjects: ["events"], maxAgeMs: 60_000 }],
    buckets: [{ name: "leases" }],
  };
  await system.worker({
    name: "link",
    permissions: { net: true },
    actors: [],
    gateway: { module: link, export: "openLink", config },
  });
  await system.worker({ name: "light", actors: [{ module, export: "way", id: "w", config: {} }] });
  return system;
}

async function connected(system: ActorSystem, region: string, count: number): Promise<void> {
  await vi.waitFor(async () => {
    const links = await system.ref<LinkProtocol>(linkAddress(region, "a")).ask("links", undefined, { signal: soon() });
    expect(links.filter(({ state }) => state === "connected")).toHaveLength(count);
  }, 10_000);
}

/** Two regions with a nats-server each, linked to each other. */
async function startTwoRegions(): Promise<
  AsyncDisposable & {
    readonly eu: TestNats;
    readonly us: TestNats;
    readonly here: ActorSystem;
    readonly there: ActorSystem;
  }
> {
  await using undo = new AsyncDisposableStack();
  const eu = undo.use(await startTestNats({ name: "eu" }));
  const us = undo.use(await startTestNats({ name: "us" }));
  const here = undo.use(await startRegion("eu", eu, { us }));
  const there = undo.use(await startRegion("us", us, { eu }));
  await connected(here, "eu", 2);
  await connected(there, "us", 2);
  const held = undo.move();
  return { eu, us, here, there, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

test("the link carries tells and asks between regions, to people and through a cut", async () => {
  await using world = await startTwoRegions();
  const { us, here, there } = world;

  const far = here.ref<WayProtocol>(way("us"));
  await vi.waitFor(
    async () => expect(await far.ask("echo", { a: [1, "ü"] }, { signal: soon() })).toEqual({ a: [1, "ü"] }),
    5000,
  );
  expect(await far.ask("echo", Uint8Array.of(0, 255), { signal: soon() })).toEqual(Uint8Array.of(0, 255));
  expect(await far.ask("echo", undefined, { signal: soon() })).toBeUndefined();
  // Between the actors of two regions' workers, over both links.
  const near = here.ref<WayProtocol>(way("eu"));
  expect(await near.ask("relay", { to: way("us"), value: "over there" }, { signal: soon() })).toBe("over there");
  expect(await far.ask("who-asks", undefined, { signal: soon() })).toEqual({
    region: "eu",
    kind: "thread",
    id: "main",
    via: "own",
  });
  await expect(far.ask("refuse", { why: 1 }, { signal: soon() })).rejects.toMatchObject({
    code: "refused",
    data: { why: 1 },
  });
  await expect(far.ask("wait", undefined, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
    code: "deadline",
  });
  const nobody = here.ref<WayProtocol>({ region: "us", kind: "way", id: "nobody" });
  await expect(nobody.ask("total", undefined, { signal: soon() })).rejects.toMatchObject({ code: "no-actor" });
  await expect(here.ref<WayProtocol>(way("mars")).ask("total", undefined, { signal: soon() })).rejects.toMatchObject({
    code: "no-actor",
  });

  // A person with the command line.
  await using person = await connect({ servers: us.url });
  expect((await person.request("freshet.us.way.w.start.us", "", { timeout: 2000 })).json()).toBe(0);
  const refused = await person.request("freshet.us.way.w.add.us", "{", { timeout: 2000 });
  expect(refused.headers?.get("Freshet-Error")).toBe("refused");
  // The server of this test lets anybody through; actors still take from elsewhere only what is for there.
  const append = JSON.stringify({ stream: "EVENTS", body: "" });
  for (const [subject, body] of [
    ["freshet.us.stream.a.append.eu", append],
    ["freshet.us.link.a.cut.eu", JSON.stringify({ peer: "eu" })],
  ] as const) {
    const answer = await person.request(subject, body, { timeout: 2000 });
    expect([answer.headers?.get("Freshet-Error"), answer.string()]).toEqual([
      "refused",
      expect.stringMatching("other regions"),
    ]);
  }
  const listed = await person.requestMany("$SRV.STATS", "", { strategy: "stall", stall: 1000, maxWait: 5000 });
  const names: string[] = [];
  for await (const msg of listed) names.push(msg.json<{ name: string }>().name);
  expect(names.toSorted((one, other) => one.localeCompare(other))).toEqual(["link", "stream", "way"]);

  // A cut: refused at once, and as before once it is healed.
  const control = here.ref<LinkProtocol>(linkAddress("eu", "a"));
  expect(await control.ask("cut", { peer: "us" }, { signal: soon() })).toEqual({ was: "connected" });
  await expect(far.ask("start", undefined, { signal: soon() })).rejects.toMatchObject({ code: "no-actor" });
  await control.ask("heal", { peer: "us" }, { signal: soon() });
  await vi.waitFor(async () => expect(await far.ask("start", undefined, { signal: soon() })).toBe(0), 10_000);
  await control.ask("cut", { peer: "eu" }, { signal: soon() });
  await control.ask("heal", { peer: "eu" }, { signal: soon() });
  await vi.waitFor(
    async () => expect(await there.ref<WayProtocol>(way("eu")).ask("start", undefined, { signal: soon() })).toBe(0),
    10_000,
  );
  const text = await here.metricsText();
  expect(text).toMatch(/freshet_link_bytes_total\{direction="out",peer="us"\} [1-9]/);
  expect(text).toMatch(/freshet_link_connected\{peer="us"\} 1/);
}, 60_000);

test("an answer told to a sender that came over our own server goes back that way, with our link to it cut", async () => {
  await using world = await startTwoRegions();
  const { here, there } = world;
  const main = here.ref<WayProtocol>(way("us"));
  await vi.waitFor(async () => expect(await main.ask("start", undefined, { signal: soon() })).toBe(0), 5000);
  // us's link to eu is down, eu's to us is up: what us tells back must take eu's.
  await there.ref<LinkProtocol>(linkAddress("us", "a")).ask("cut", { peer: "eu" }, { signal: soon() });
  there.ref<WayProtocol>(way("us")).tell("relay-told", { to: { ...way("eu"), via: "own" }, value: 7 });
  await vi.waitFor(
    async () => expect(await here.ref<WayProtocol>(way("eu")).ask("total", undefined, { signal: soon() })).toBe(7),
    5000,
  );
}, 60_000);

test("inspect mirrors messages inside a process, and nobody acts on a mirrored one", async () => {
  await using eu = await startTestNats({ name: "eu" });
  await using person = await connect({ servers: eu.url });
  await using system = await startRegion("eu", eu, {}, true);
  await connected(system, "eu", 1);
  const seen: string[] = [];
  person.subscribe("freshet.>", {
    callback: (_, msg) => void seen.push(`${msg.subject} ${msg.headers?.get("Freshet-Mirror") ?? ""} ${msg.string()}`),
  });
  await person.flush();
  const near = system.ref<WayProtocol>(way("eu"));
  near.tell("add", 3);
  await vi.waitFor(() => expect(seen).toContain("freshet.eu.way.w.add.eu sent 3"), 5000);
  expect(await near.ask("total", undefined, { signal: soon() })).toBe(3);
  await vi.waitFor(() => expect(seen).toContain("freshet.eu.way.w.total.eu reply 3"), 5000);
  const rows = { key: 7n, rows: Float32Array.of(0.5, 1), image: new Uint8Array(3_000_000).fill(9) };
  await near.ask("echo", rows, { signal: soon(), transfer: [rows.image.buffer] });
  const text =
    '{"key":"7","rows":{"$float32":[0.5,1],"length":2},"image":{"$uint8":[9,9,9,9,9,9,9,9],"length":3000000}}';
  await vi.waitFor(() => {
    for (const of of ["sent", "reply"]) expect(seen).toContain(`freshet.eu.way.w.echo.eu ${of} ${text}`);
  }, 5000);
  await expect(near.ask("refuse", 1, { signal: soon() })).rejects.toThrow("not today");
  await vi.waitFor(
    () => expect(seen).toContain('freshet.eu.way.w.refuse.eu error {"code":"refused","why":"not today","data":1}'),
    5000,
  );
  for (let count = 0; count < 600; count++) near.tell("add", 0);
  await vi.waitFor(
    async () => expect(await system.metricsText()).toMatch(/freshet_mirror_dropped_total\{reason="rate"\} [1-9]/),
    5000,
  );
}, 60_000);

test("the stream actor appends once, reads on, here and over a link, and writes records by compare and set", async () => {
  await using world = await startTwoRegions();
  const { here, there } = world;
  const streams = here.ref<StreamProtocol>({ region: "eu", kind: "stream", id: "a" });
  function body(value: number): Uint8Array {
    return Uint8Array.of(value);
  }

  expect(await streams.ask("append", { stream: "EVENTS", body: body(1), msgId: "one" }, { signal: soon() })).toEqual({
    kind: "appended",
    seq: 1,
    duplicate: false,
  });
  expect(await streams.ask("append", { stream: "EVENTS", body: body(1), msgId: "one" }, { signal: soon() })).toEqual({
    kind: "appended",
    seq: 1,
    duplicate: true,
  });
  expect(
    await streams.ask("append", { stream: "EVENTS", body: body(9), expectedLastSequence: 0 }, { signal: soon() }),
  ).toEqual({ kind: "conflict" });
  for (const value of [2, 3, 4]) {
    await streams.ask(
      "append",
      { stream: "EVENTS", body: body(value), expectedLastSequence: value - 1 },
      { signal: soon() },
    );
  }
  await expect(streams.ask("append", { stream: "OTHER", body: body(9) }, { signal: soon() })).rejects.toMatchObject({
    code: "refused",
  });

  for (const [system, name] of [
    [here, "eu"],
    [there, "us"],
  ] as const) {
    const reader = system.ref<StreamProtocol>({ region: name, kind: "stream", id: "a" });
    async function read(fromSeq: number, max: number, waitMs = 0): Promise<[number, number][]> {
      const { messages, firstSeq, lastSeq } = await reader.ask(
        "read",
        { region: "eu", stream: "EVENTS", fromSeq, max, waitMs },
        { signal: soon() },
      );
      expect([firstSeq, lastSeq]).toEqual([1, 4]);
      return messages.map((message) => [message.seq, message.body[0] ?? -1]);
    }
    expect(await read(1, 2)).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(await read(3, 10)).toEqual([
      [3, 3],
      [4, 4],
    ]);
    expect(await read(2, 1)).toEqual([[2, 2]]);
    expect(await read(5, 10, 20)).toEqual([]);
    expect((await reader.ask("last", { region: "eu", stream: "EVENTS" }, { signal: soon() })).message).toMatchObject({
      seq: 4,
      body: body(4),
    });
  }
  // One that waits gets what comes.
  const waiting = there
    .ref<StreamProtocol>({ region: "us", kind: "stream", id: "a" })
    .ask("read", { region: "eu", stream: "EVENTS", fromSeq: 5, max: 10, waitMs: 4000 }, { signal: soon() });
  await streams.ask("append", { stream: "EVENTS", body: body(5) }, { signal: soon() });
  expect((await waiting).messages).toMatchObject([{ seq: 5, body: body(5) }]);
  expect(await streams.ask("purge", { stream: "EVENTS", beforeSeq: 3 }, { signal: soon() })).toEqual({ purged: 2 });
  const purged = await streams.ask(
    "read",
    { region: "eu", stream: "EVENTS", fromSeq: 1, max: 1, waitMs: 0 },
    { signal: soon() },
  );
  expect(purged).toMatchObject({ firstSeq: 3, lastSeq: 5, messages: [{ seq: 3 }] });
  // Emptied by its limits, it holds no last message: whoever finds none may go on, once.
  await streams.ask("purge", { stream: "EVENTS", beforeSeq: 6 }, { signal: soon() });
  expect(await streams.ask("last", { region: "eu", stream: "EVENTS" }, { signal: soon() })).toEqual({});
  const [first, second] = await Promise.all(
    [6, 7].map((value) =>
      streams.ask("append", { stream: "EVENTS", body: body(value), expectedLastSequence: 0 }, { signal: soon() }),
    ),
  );
  expect([first, second]).toEqual([{ kind: "appended", seq: 6, duplicate: false }, { kind: "conflict" }]);
  await expect(
    streams.ask("read", { region: "eu", stream: "NONE", fromSeq: 1, max: 1, waitMs: 0 }, { signal: soon() }),
  ).rejects.toMatchObject({ code: "refused" });

  expect(await streams.ask("kv-get", { bucket: "leases", key: "shard.0" }, { signal: soon() })).toEqual({});
  expect(
    await streams.ask("kv-write", { bucket: "leases", key: "shard.0", value: "a", revision: 0 }, { signal: soon() }),
  ).toEqual({ kind: "written", revision: 1 });
  expect(
    await streams.ask("kv-write", { bucket: "leases", key: "shard.0", value: "b", revision: 0 }, { signal: soon() }),
  ).toEqual({ kind: "conflict" });
  expect(
    await streams.ask("kv-write", { bucket: "leases", key: "shard.0", value: "b", revision: 1 }, { signal: soon() }),
  ).toEqual({ kind: "written", revision: 2 });
  expect(await streams.ask("kv-get", { bucket: "leases", key: "shard.0" }, { signal: soon() })).toEqual({
    record: { value: "b", revision: 2 },
  });
}, 60_000);

test("on a peer's server only that peer is believed: what claims another sender is refused and counted", async () => {
  await using eu = await startTestNats({ name: "eu" });
  await using us = await startTestNats({ name: "us" });
  await using here = await startRegion("eu", eu, { us });
  await connected(here, "eu", 2);
  await using person = await connect({ servers: us.url });
  const near = here.ref<WayProtocol>(way("eu"));
  await vi.waitFor(async () => {
    person.publish("freshet.eu.way.w.add.us", "1");
    await person.flush();
    expect(await near.ask("total", undefined, { signal: soon() })).toBeGreaterThan(0);
  }, 5000);
  person.publish("freshet.eu.way.w.add.asia", "1000");
  person.publish("freshet.eu.way.w.add.eu", "1000");
  person.publish("freshet.eu.way.w.add.us", "{");
  await person.flush();
  await vi.waitFor(async () => {
    const text = await here.metricsText();
    expect(text).toContain('freshet_dead_letters_total{reason="forged"} 2');
    expect(text).toContain('freshet_dead_letters_total{reason="undecodable"} 1');
  }, 5000);
  // A few of 1 may still have come; none of 1000.
  expect(await near.ask("total", undefined, { signal: soon() })).toBeLessThan(1000);
}, 60_000);
