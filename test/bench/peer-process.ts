/*
 * One end of a peer's link as a process of its own: the writer listens on loopback, the replica connects. Its parent asks over the channel; it
 * ends with it.
 */
import { createServer, connect, type Socket } from "node:net";
import { type PeerEngine, type PeerName, type PeerUpdate, openPeer } from "./peer-engines.ts";
import { hashValues, keyText, type PeerAsk } from "./peer-work.ts";
import { createWorkload, SYNC_WORKLOAD } from "./sync-workload.ts";

interface PeerProcessConfig {
  readonly name: PeerName;
  readonly folder: string;
}

const KIND = { update: 0, done: 1, has: 2 } as const;
const HEADER_BYTES = 5;

// Only the driver starts this module, with a PeerProcessConfig.
// oxlint-disable-next-line typescript/no-unsafe-assignment
const config: PeerProcessConfig = JSON.parse(process.argv[2] ?? "");
const engine = openPeer(config.name, config.folder);
const workload = createWorkload(SYNC_WORKLOAD);
let loaded = 0;
const linked = Promise.withResolvers<Socket>();
let sentBytes = 0;
let arrived: (() => void) | undefined;
process.once("disconnect", () => process.exit(0));
process.on("SIGINT", () => undefined);
process.on("message", (ask: PeerAsk & { readonly id: number }) => void answer(ask));
// Of two that say that they are not there, the second may find nobody who waits for it.
process.send?.({ id: 0, reply: engine !== undefined }, () => undefined);

async function answer(ask: PeerAsk & { readonly id: number }): Promise<void> {
  if (engine === undefined) return;
  process.send?.({ id: ask.id, reply: await replyTo(engine, ask) });
}

async function replyTo(peer: PeerEngine, ask: PeerAsk): Promise<unknown> {
  switch (ask.message) {
    case "listen":
      return listen(peer);
    case "connect":
      follow(connect({ port: ask.port, host: "127.0.0.1", noDelay: true }), peer);
      return true;
    case "rounds":
      for (let left = ask.updates; left > 0; left -= ask.round) {
        const update = peer.round(nextUpdates(Math.min(left, ask.round), ask.load));
        if (ask.send) await delivered(KIND.update, update);
      }
      return true;
    case "catch-up":
      // Asks the other side what it has; `follow` sends what it lacks, and hears when that is in.
      await delivered(KIND.has, new Uint8Array());
      return true;
    case "counts": {
      const { user, system } = process.cpuUsage();
      return { cpuMs: (user + system) / 1000, sentBytes };
    }
    case "hash":
      return hashValues((key) => peer.get(key));
  }
}

function nextUpdates(count: number, load: boolean): PeerUpdate[] {
  return Array.from({ length: count }, (): PeerUpdate => {
    const key = load ? loaded++ : workload.nextKey();
    return [keyText(key), workload.nextValue().slice()];
  });
}

function listen(peer: PeerEngine): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => follow(socket, peer));
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

async function delivered(kind: number, body: Uint8Array): Promise<void> {
  const link = await linked.promise;
  await new Promise<void>((resolve) => {
    arrived = resolve;
    send(link, kind, body);
  });
}

function send(link: Socket, kind: number, body: Uint8Array): void {
  const header = new Uint8Array(HEADER_BYTES);
  new DataView(header.buffer).setUint32(0, body.length, true);
  header[4] = kind;
  sentBytes += header.length + body.length;
  link.cork();
  link.write(header);
  link.write(body);
  link.uncork();
}

/** The replica applies and says so; the writer hears that, or what the replica has. */
function follow(socket: Socket, peer: PeerEngine): void {
  let parts: Buffer[] = [];
  let held = 0;
  let wanted = HEADER_BYTES;
  linked.resolve(socket);
  socket.on("error", () => undefined);
  socket.on("data", (part: Buffer) => {
    parts.push(part);
    held += part.length;
    while (held >= wanted) {
      const bytes = parts.length === 1 ? (parts[0] ?? part) : Buffer.concat(parts);
      wanted = HEADER_BYTES + bytes.readUInt32LE(0);
      parts = [bytes];
      if (held < wanted) return;
      receive(peer, socket, { kind: bytes[4] ?? 0, body: bytes.subarray(HEADER_BYTES, wanted) });
      parts = [bytes.subarray(wanted)];
      held -= wanted;
      wanted = HEADER_BYTES;
    }
  });
}

function receive(
  peer: PeerEngine,
  socket: Socket,
  { kind, body }: { readonly kind: number; readonly body: Uint8Array },
): void {
  if (kind === KIND.update) {
    peer.apply(body);
    send(socket, KIND.done, new Uint8Array());
  } else if (kind === KIND.done) arrived?.();
  else if (body.length === 0) send(socket, KIND.has, peer.has());
  else send(socket, KIND.update, peer.since(body));
}
