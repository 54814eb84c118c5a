/*
 * One end of the key-value peer: writes with acknowledgement, or follows the stream and keeps the latest value of each key.
 */
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { hashValues, keyText } from "./peer-work.ts";
import { createWorkload, SYNC_WORKLOAD } from "./sync-workload.ts";

interface JetStreamAsk {
  readonly id: number;
  readonly message: "write" | "follow" | "until" | "counts";
  readonly updates: number;
  readonly load: boolean;
  readonly on: boolean;
  readonly last: number;
}

const STREAM = "KV_rows";
const PREFIX = "$KV.rows.";
const IN_FLIGHT = 512;

// Only the driver starts this module, with an object of this shape.
// oxlint-disable-next-line typescript/no-unsafe-assignment
const config: { readonly url: string; readonly role: string } = JSON.parse(process.argv[2] ?? "");
const nats = await connect({ servers: config.url, name: config.role });
const manager = await jetstreamManager(nats);
const stream = jetstream(nats);
const held = new Map<string, Uint8Array>();
const workload = createWorkload(SYNC_WORKLOAD);
let loaded = 0;
let written = 0;
let applied = 0;
let waiting: { readonly last: number; readonly resolve: (value: boolean) => void } | undefined;
let stop: (() => Promise<unknown>) | undefined;
process.once("disconnect", () => process.exit(0));
process.on("SIGINT", () => undefined);
if (config.role === "writer") {
  await manager.streams.add({
    name: STREAM,
    subjects: [`${PREFIX}>`],
    max_msgs_per_subject: 1,
    storage: StorageType.Memory,
    num_replicas: 1,
    max_bytes: 60_000_000,
  });
}
process.on("message", (ask: JetStreamAsk) => {
  void replyTo(ask).then(
    (reply) => process.send?.({ id: ask.id, reply }),
    (error: unknown) => process.send?.({ id: ask.id, error: String(error) }),
  );
});
process.send?.({ id: 0, reply: "up" });

async function replyTo(ask: JetStreamAsk): Promise<unknown> {
  switch (ask.message) {
    case "write":
      await Promise.all(Array.from({ length: IN_FLIGHT }, (_, lane) => write(laneOf(ask.updates, lane), ask.load)));
      return written;
    case "follow":
      if (ask.on) await follow();
      else await stop?.();
      return true;
    case "until":
      return new Promise((resolve) => {
        waiting = { last: ask.last, resolve };
        settle();
      });
    case "counts": {
      const { user, system } = process.cpuUsage();
      return { cpuMs: (user + system) / 1000, hash: hashValues((key) => held.get(key)) };
    }
  }
}

function laneOf(updates: number, lane: number): number {
  return Math.floor((updates + lane) / IN_FLIGHT);
}

async function write(updates: number, load: boolean): Promise<void> {
  for (let update = 0; update < updates; update += 1) {
    const key = keyText(load ? loaded++ : workload.nextKey());
    const value = workload.nextValue().slice();
    held.set(key, value);
    const { seq } = await stream.publish(`${PREFIX}${key}`, value, { timeout: 60_000 });
    written = Math.max(written, seq);
  }
}

async function follow(): Promise<void> {
  const { name } = await manager.consumers.add(STREAM, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: applied + 1,
    mem_storage: true,
  });
  const consumer = await stream.consumers.get(STREAM, name);
  const messages = await consumer.consume({
    max_messages: 10_000,
    callback: (message) => {
      held.set(message.subject.slice(PREFIX.length), new Uint8Array(message.data));
      applied = message.seq;
      settle();
    },
  });
  stop = () => messages.close();
}

function settle(): void {
  if (waiting === undefined || applied < waiting.last) return;
  waiting.resolve(true);
  waiting = undefined;
}
