/*
 * What the core costs on this machine, measured before the simulation and charged in it. Each is the best of some tries, as other
 * programs may share the machine's cores: a charge is rather too small than too large.
 */
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { SYNC_LIMITS, POLL_LIMITS } from "../../../protocols/limits.ts";
import { createTableRowStore } from "../../../runtime/compute/table/table-row-store.ts";
import { createPoller, stepPoller } from "../../../protocols/sync/poll.ts";
import { createReplica, type Replica, stepReplica } from "../../../protocols/sync/replica.ts";
import { type ReplicaMessage } from "../../../protocols/sync/replica-state.ts";
import { type TableSpec } from "../../../protocols/sync/row-store.ts";
import { parseWriterId } from "../../../protocols/sync/version.ts";
import { type Cursor, encodePoll } from "../../../protocols/wire/poll.ts";
import { pullIds } from "../../../properties/world/names.ts";
import { bestMicros } from "./stopwatch.ts";

/** Microseconds of one core. */
export interface Costs {
  /** A row looked at by a scan of its shard. */
  readonly scanRow: number;
  /** A row written at the primary. */
  readonly writeRow: number;
  /** A KiB of frame packed, finding its rows in the update cache included; a KiB of frame taken apart and merged. */
  readonly packKb: number;
  readonly mergeKb: number;
  /** A pull that finds nothing: asking, answering, applying the empty frame. */
  readonly ask: number;
  readonly answer: number;
  readonly apply: number;
  /** A poll taken; a shard listed in its answer; a listed shard noted as pending, with the start of its pull. */
  readonly poll: number;
  readonly listShard: number;
  readonly noteShard: number;
  /** A message taken from another thread's port, as every message to or from a link is. */
  readonly hop: number;
}

/** A row of 64 bytes, as in the other benches. */
export const TABLES: readonly TableSpec[] = [
  { name: "rows", dim: 16, valueBytes: 64, stateBytes: 0, precision: "f32", optimizer: "none" },
];
/** Where simulated clocks begin, milliseconds since the epoch. */
export const EPOCH_MS = 1_700_000_000_000;

const ROWS = 100_000;
/** Short tries: the best of them was not interrupted. */
const CHANGED = 500;
const SHARDS = 500;

/** Measures for about a second. */
export function measureCosts(): Costs {
  const primary = replicaNamed("oregon");
  const follower = replicaNamed("frankfurt");
  let nowMs = EPOCH_MS;
  let round = 0;
  const all = BigUint64Array.from({ length: ROWS }, (_, at) => BigInt(at + 1) * 0x9e3779b97f4a7c15n);
  write(primary, all, nowMs);
  write(follower, all.subarray(0, 1), nowMs);
  exchange(follower, primary, nowMs);

  const known = Float64Array.from([Number.MAX_SAFE_INTEGER]);
  const scan = bestMicros(24, () => primary.store.release(primary.store.collect(known)));
  const writing = bestMicros(60, () => write(primary, all.subarray(0, CHANGED), nowMs));
  exchange(follower, primary, nowMs);
  const empty = bestOf(200, () => exchange(follower, primary, nowMs));
  const full = bestOf(80, () => {
    nowMs += 1_000;
    round += 1;
    const from = (round * CHANGED) % (ROWS - CHANGED);
    write(primary, all.subarray(from, from + CHANGED), nowMs);
    return exchange(follower, primary, nowMs);
  });
  const kb = full.bytes / 1024;
  return {
    scanRow: scan / ROWS,
    writeRow: writing / CHANGED,
    packKb: Math.max(0, full.answer - empty.answer) / kb,
    mergeKb: Math.max(0, full.apply - empty.apply) / kb,
    ask: empty.ask,
    answer: empty.answer,
    apply: empty.apply,
    ...measurePoll(),
    hop: measureHop(),
  };
}

interface Exchange {
  readonly ask: number;
  readonly answer: number;
  readonly apply: number;
  readonly bytes: number;
}

/** One pull, with its messages as text where they travel as text. */
function exchange(asker: Replica, responder: Replica, nowMs: number): Exchange {
  const pullId = `${Math.floor(performance.now() * 1e6)}`.padStart(32, "0");
  let bytes = 0;
  let mark = performance.now();
  function lap(): number {
    const before = mark;
    mark = performance.now();
    return (mark - before) * 1_000;
  }
  function step(replica: Replica, message: ReplicaMessage, bodies: readonly unknown[]): unknown[] {
    return bodies.flatMap((body) => {
      const parsed: unknown = typeof body === "string" ? JSON.parse(body) : body;
      return sent(stepReplica(replica, { kind: "message", from: "peer", message, body: parsed }, nowMs));
    });
  }
  const asked = sent(stepReplica(asker, { kind: "pull", peer: "peer", pullId }, nowMs));
  const ask = lap();
  let frames = step(responder, "pull", asked);
  let answer = lap();
  let apply = 0;
  // One frame, or one more for each that came.
  while (frames.length > 0) {
    for (const frame of frames) if (frame instanceof Uint8Array) bytes += frame.length;
    const next = step(asker, "frame", frames);
    apply += lap();
    frames = asker.pull === undefined ? step(responder, "release", next) : step(responder, "more", next);
    answer += lap();
  }
  return { ask, answer, apply, bytes };
}

/** What effects put on the wire. */
function sent(effects: ReturnType<typeof stepReplica>): unknown[] {
  return effects.flatMap((effect) =>
    effect.kind === "send" ? [effect.message === "frame" ? effect.body : JSON.stringify(effect.body)] : [],
  );
}

function bestOf(tries: number, run: () => Exchange): Exchange {
  let best = run();
  for (let at = 1; at < tries; at += 1) {
    const next = run();
    best = {
      ask: Math.min(best.ask, next.ask),
      answer: Math.min(best.answer, next.answer),
      apply: Math.min(best.apply, next.apply),
      bytes: next.bytes,
    };
  }
  return best;
}

function measurePoll(): Pick<Costs, "poll" | "listShard" | "noteShard"> {
  const generator = parseWriterId("0.oregon.a.cost");
  const limits = { ...POLL_LIMITS, pullsMax: SHARDS };
  const listing = createPoller(generator, pullIds(), limits);
  const noting = createPoller(parseWriterId("0.frankfurt.a.cost"), pullIds(), limits);
  let counter = 1;
  let pollId = 0;
  function change(): void {
    counter += 1;
    for (let at = 0; at < SHARDS; at += 1) {
      stepPoller(listing, { kind: "changed", shard: `clicks-${at}`, version: { counter, generator } });
    }
  }
  change();
  for (let at = 0; at < SHARDS; at += 1) {
    const version = { counter: 1, generator: noting.writer };
    stepPoller(noting, { kind: "changed", shard: `clicks-${at}`, version });
  }
  stepPoller(noting, { kind: "neighbour", peer: "peer" });
  function cursor(): Cursor {
    return { writer: generator, change: listing.changes.latest };
  }
  const held = bestMicros(200, () => {
    pollId += 1;
    poll(JSON.stringify(encodePoll({ pollId, waitMs: 100, cursor: cursor() })));
  });
  function poll(text: string): unknown {
    const body: unknown = JSON.parse(text);
    return stepPoller(listing, { kind: "message", from: "peer", message: "poll", body });
  }
  let list = Infinity;
  let note = Infinity;
  for (let tries = 0; tries < 40; tries += 1) {
    const before = cursor();
    change();
    stepPoller(listing, { kind: "timer", name: `rest ${listing.askers.get("peer")?.turn ?? 0} peer` });
    const open = noting.neighbours.get("peer");
    const asking = JSON.stringify(encodePoll({ pollId: open?.pollId ?? 0, waitMs: 100, cursor: before }));
    let mark = performance.now();
    const body: unknown = JSON.parse(asking);
    const effects = stepPoller(listing, { kind: "message", from: "peer", message: "poll", body });
    const texts = effects.flatMap((effect) => (effect.kind === "send" ? [JSON.stringify(effect.body)] : []));
    if (texts.length > 0) list = Math.min(list, (performance.now() - mark) * 1_000);
    mark = performance.now();
    for (const text of texts) {
      const changes: unknown = JSON.parse(text);
      stepPoller(noting, { kind: "message", from: "peer", message: "changes", body: changes });
    }
    for (let at = 0; at < SHARDS; at += 1) {
      const shard = `clicks-${at}`;
      const { pullId = "" } = noting.pulling.get(shard) ?? {};
      stepPoller(noting, { kind: "pulled", shard, pullId, outcome: "complete" });
    }
    if (texts.length > 0) note = Math.min(note, (performance.now() - mark) * 1_000);
  }
  return { poll: held, listShard: Math.max(0, list - held) / SHARDS, noteShard: note / SHARDS };
}

/** A short message through a port: cloned, sent and taken. */
function measureHop(): number {
  const { port1, port2 } = new MessageChannel();
  const message = { from: "shard.clicks-0-a", message: "pull", body: "x".repeat(240) };
  const micros = bestMicros(20, () => {
    for (let at = 0; at < 100; at += 1) port1.postMessage(message);
    for (let at = 0; at < 100; at += 1) receiveMessageOnPort(port2);
  });
  port1.close();
  return micros / 100;
}

function replicaNamed(region: string): Replica {
  return createReplica({
    writer: parseWriterId(`0.${region}.a.cost`),
    store: createTableRowStore(TABLES, { state: false }),
    limits: { ...SYNC_LIMITS, cacheRowsMax: ROWS },
  });
}

function write(replica: Replica, keys: BigUint64Array, nowMs: number): void {
  stepReplica(replica, { kind: "write", writes: [{ table: 0, keys, mutate }] }, nowMs);
}

/** Values as a trainer leaves them: noise to the last bit. */
export function mutate({ floats, key }: { readonly floats: Float32Array; readonly key: bigint }): void {
  const start = Number(key & 0xffffn);
  for (let at = 0; at < floats.length; at += 1) floats[at] = ((floats[at] ?? 0) + Math.imul(start + at, 0x9e37)) % 1e6;
}
