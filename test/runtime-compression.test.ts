import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { constants, zstdCompressSync } from "node:zlib";
import { connect, type Msg } from "@nats-io/transport-node";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { parseWriterId } from "../protocols/sync/version.ts";
import { encodeFrame } from "../protocols/wire/frame-codec.ts";
import { systemClock } from "../runtime/clock.ts";
import { createMetrics, type MetricsRegistry } from "../runtime/metrics.ts";
import { isPacked, packBytes, unpackBytes, UNPACKED_BYTES_MAX } from "../runtime/transport/compression.ts";
import { natsTransport, type NatsTransport, type PeerOptions } from "../runtime/transport/nats.ts";
import { startTestNats } from "./real-nats.ts";

const cli = fileURLToPath(new URL("../regions/cli.ts", import.meta.url));
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

test("unpackBytes() undoes packBytes(), and gives nothing for what is cut short, damaged or from nowhere", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(), (bytes, cut) => {
      const packed = packBytes(bytes);
      expect(isPacked(packed)).toBe(true);
      expect(unpackBytes(packed)).toEqual(new Uint8Array(bytes));
      expect(unpackBytes(packed.subarray(0, cut % packed.length))).toBeUndefined();
      expect(isPacked(bytes) || unpackBytes(bytes) === undefined).toBe(true);
    }),
  );
});

test("what would be more than any body is not made: neither from few bytes, nor for what its head announces", () => {
  expect(unpackBytes(packBytes(new Uint8Array(UNPACKED_BYTES_MAX)))?.length).toBe(UNPACKED_BYTES_MAX);
  // With a small window, so that nothing in its head betrays it.
  const bomb = zstdCompressSync(new Uint8Array(256 * 1024 * 1024), { params: { [constants.ZSTD_c_windowLog]: 18 } });
  expect(bomb.length).toBeLessThan(32 * 1024);
  // A head of a single segment of 2^40 bytes, and an empty last block.
  const head = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0);
  const before = process.memoryUsage();
  for (let round = 0; round < 20; round += 1) {
    expect(unpackBytes(bomb)).toBeUndefined();
    expect(unpackBytes(head)).toBeUndefined();
  }
  const after = process.memoryUsage();
  expect(after.external + after.arrayBuffers - before.external - before.arrayBuffers).toBeLessThan(64 * 1024 * 1024);
});

test("freshet decode prints a frame that a link carried compressed, and says so", () => {
  const frame = encodeFrame({
    declaration: "00ff10a5b6c7d8e9",
    pullId: "0".repeat(32),
    answer: { responder: parseWriterId("0.fra.a.x"), number: 7 },
    index: 0,
    frames: 2,
    hasState: false,
    replaces: false,
    tables: [],
    writers: [],
    batches: [],
    end: undefined,
  });
  const packed = packBytes(frame);
  const ran = spawnSync(process.execPath, [cli, "decode"], { input: packed, encoding: "utf8" });
  expect([ran.status, ran.stderr]).toEqual([0, ""]);
  expect(ran.stdout).toContain(`compressed to ${packed.length} bytes`);
  expect(ran.stdout).toContain('"frame": "1 of 2"');
});

test(
  "a region that spares a link gets the bytes that it asked for compressed, and another one as they are",
  { timeout: 30_000 },
  async () => {
    await using us = await startTestNats({ name: "us", jetStream: false });
    await using eu = await startTestNats({ name: "eu", jetStream: false });
    const metrics = createMetrics();
    await using responder = open("us", { own: us.url, peers: [], metrics });
    responder.listen({ region: "us", kind: "shard", id: "b" });
    const body = new Uint8Array(50_000).fill(7);
    responder.onEnvelope((envelope) => {
      if (envelope.kind !== "tell") return;
      responder.send({ kind: "tell", to: envelope.from, from: envelope.to, message: "frame", body });
    });
    await using wire = await connect({ servers: us.url });
    const seen: Msg[] = [];
    wire.subscribe("freshet.*.shard.*.frame.*", { callback: (_, msg) => void seen.push(msg) });
    await wire.flush();

    for (const [region, compress] of [
      ["eu", "zstd"],
      ["eu", "never"],
      ["eu", "zstd"],
    ] as const) {
      const got: unknown[] = [];
      await using asker = open(region, {
        own: eu.url,
        peers: [{ region: "us", url: us.url, compress }],
        metrics: createMetrics(),
      });
      const self = { region, kind: "shard", id: "a" };
      asker.listen(self);
      asker.onEnvelope((envelope) => (envelope.kind === "tell" ? void got.push(envelope.body) : undefined));
      await vi.waitFor(() => {
        asker.send({
          kind: "tell",
          to: { region: "us", kind: "shard", id: "b" },
          from: self,
          message: "pull",
          body: {},
        });
        expect(got.length).toBeGreaterThan(0);
      }, 10_000);
      expect(got[0]).toEqual(body);
      const last = seen.at(-1);
      expect([last?.headers?.get("Freshet-Encoding"), (last?.data.length ?? 0) < 1000]).toEqual(
        compress === "zstd" ? ["zstd", true] : ["", false],
      );
    }
    const counted = new Map(
      metrics.snapshot().map(({ name, labels, value }) => [`${name} ${labels["form"] ?? ""}`, value]),
    );
    expect(counted.get("freshet_link_packed_bytes_total before")).toBeGreaterThanOrEqual(100_000);
    expect(counted.get("freshet_link_packed_bytes_total after")).toBeLessThan(10_000);
  },
);

test(
  "bytes whose packing is unknown or broken are refused and counted, and the next message is taken",
  { timeout: 30_000 },
  async () => {
    await using us = await startTestNats({ name: "us", jetStream: false });
    const drops: string[] = [];
    await using transport = open("us", {
      own: us.url,
      peers: [],
      metrics: createMetrics(),
      drop: (reason) => void drops.push(reason),
    });
    const got: unknown[] = [];
    transport.listen({ region: "us", kind: "shard", id: "b" });
    transport.onEnvelope((envelope) => (envelope.kind === "tell" ? void got.push(envelope.body) : undefined));
    await using wire = await connect({ servers: us.url });
    const { headers } = await import("@nats-io/transport-node");
    function send(encoding: string | undefined, bytes: Uint8Array): void {
      const made = headers();
      made.set("Freshet-Type", "frame");
      if (encoding !== undefined) made.set("Freshet-Encoding", encoding);
      wire.publish("freshet.us.shard.b.frame.eu", bytes, { headers: made });
    }
    await vi.waitFor(() => {
      send(undefined, Uint8Array.of(1));
      expect(got.length).toBeGreaterThan(0);
    }, 10_000);
    const bytes = packBytes(new Uint8Array(5000));
    send("gzip", bytes);
    send("zstd", bytes.subarray(0, 9));
    send("zstd", zstdCompressSync(new Uint8Array(16 * 1024 * 1024)));
    send("zstd", bytes);
    await vi.waitFor(() => expect(got.at(-1)).toEqual(new Uint8Array(5000)), 10_000);
    expect(drops).toEqual(["undecodable", "undecodable", "undecodable"]);
  },
);

function open(
  region: string,
  options: {
    readonly own: string;
    readonly peers: readonly PeerOptions[];
    readonly metrics: MetricsRegistry;
    readonly drop?: (reason: string) => void;
  },
): NatsTransport {
  const { own, peers, metrics, drop = () => undefined } = options;
  return natsTransport({ region, node: "a", own: { url: own }, peers, log: quiet, metrics, clock: systemClock, drop });
}
