import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { deserialize } from "node:v8";
import * as z from "zod";
import { type Push } from "../actors/shard-protocol.ts";
import { createUrgentRule, writesOf } from "../actors/shard-writes.ts";
import { POLL_LIMITS, SYNC_LIMITS } from "../protocols/limits.ts";
import { type ModelLayout } from "../protocols/model-layout.ts";
import { loadImage } from "../protocols/sync/image.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { createPoller, type PollEvent, stepPoller } from "../protocols/sync/poll.ts";
import { createReplica, type ReplicaEvent, stepReplica } from "../protocols/sync/replica.ts";
import { parseWriterId } from "../protocols/sync/version.ts";

const entrySchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("start"), actor: z.string(), start: z.unknown() }),
  z.object({
    kind: z.literal("step"),
    actor: z.string(),
    nowMs: z.number(),
    event: z.unknown(),
    effects: z.unknown(),
    heard: z.array(z.unknown()),
  }),
  z.object({ kind: z.literal("full"), actor: z.string() }),
]);

const startSchema = z.object({
  writer: z.string(),
  primary: z
    .union([z.object({ kind: z.literal("self") }), z.object({ kind: z.literal("peer"), peer: z.string() })])
    .optional(),
  image: z.instanceof(Uint8Array),
});
const leaderSchema = z.union([z.literal("self"), z.object({ peer: z.string() }), z.undefined()]);

/** One entry of a trace file. */
export type Entry = z.infer<typeof entrySchema>;

/** The entries that a traced node wrote. */
export async function readTrace(file: string): Promise<Entry[]> {
  const bytes = await readFile(file);
  const entries: Entry[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const end = at + 4 + bytes.readUInt32LE(at);
    // A process that was killed may leave the last one unfinished.
    if (end > bytes.length) break;
    entries.push(entrySchema.parse(deserialize(bytes.subarray(at + 4, end))));
    at = end;
  }
  return entries;
}

/** What a replay found: how often each kind of event and effect occurred, and the first step that went otherwise. */
export interface Replayed {
  readonly lives: number;
  readonly seen: ReadonlyMap<string, number>;
  readonly difference: string | undefined;
}

type Core = (step: Entry & { readonly kind: "step" }) => readonly unknown[];

/** Gives the recorded events to cores that start as the recorded ones did, and compares what they answer. */
export function replay(
  entries: readonly Entry[],
  options: { readonly layout: ModelLayout; readonly full: boolean },
): Replayed {
  const cores = new Map<string, Core>();
  const seen = new Map<string, number>();
  function count(what: string): void {
    seen.set(what, (seen.get(what) ?? 0) + 1);
  }
  let lives = 0;
  for (const [index, entry] of entries.entries()) {
    const { actor } = entry;
    if (entry.kind === "start") {
      lives += 1;
      cores.set(
        actor,
        actor.startsWith("leader.") ? pollerAt(entry.start) : replicaAt(entry.start, { ...options, actor }),
      );
    } else if (entry.kind === "step") {
      const effects = cores.get(actor)?.(entry);
      count(`${actor.split(".")[0]} ${describe(entry.event)}`);
      for (const effect of effects ?? []) count(`${actor.split(".")[0]} gives ${describe(effect)}`);
      if (!isDeepStrictEqual(effects, entry.effects)) {
        const difference = `step ${index} of ${actor}, ${describe(entry.event)}: gave ${show(entry.effects)}, and now ${show(effects)}`;
        return { lives, seen, difference };
      }
    }
  }
  return { lives, seen, difference: undefined };
}

function replicaAt(start: unknown, options: { layout: ModelLayout; full: boolean; actor: string }): Core {
  const { writer, primary, image } = startSchema.parse(start);
  const { layout, full, actor } = options;
  const store = createMapRowStore(layout.tables, { state: full });
  const loaded = loadImage(image, store);
  const replica = createReplica({ writer: parseWriterId(writer), limits: SYNC_LIMITS, primary, ...loaded });
  const isUrgent = createUrgentRule(layout.model);
  const shard = Number(/-(\d+)-[^-]+$/.exec(actor)?.[1]);
  return ({ event, nowMs }) => {
    if (isPush(event)) {
      const { push } = event;
      const writes = writesOf(layout, push, { shard, isUrgent });
      return stepReplica(replica, { kind: "write", writes, batch: { trainer: push.trainer, id: push.batch } }, nowMs);
    }
    return isReplicaEvent(event) ? stepReplica(replica, event, nowMs) : [];
  };
}

function pollerAt(start: unknown): Core {
  const { writer, limits } = z.object({ writer: z.string(), limits: z.record(z.string(), z.number()) }).parse(start);
  let heard: unknown[] = [];
  // What the leases said and which ids were drawn is part of the trace; who asks them more or less often is told nobody.
  const poller = createPoller(
    parseWriterId(writer),
    () => z.string().parse(heard.shift()),
    { ...POLL_LIMITS, ...limits },
    () => leaderSchema.parse(heard.shift()),
  );
  return (step) => {
    heard = [...step.heard];
    return isPollEvent(step.event) ? stepPoller(poller, step.event, step.nowMs) : [];
  };
}

// What the actors told is what the cores take: the trace keeps it as it was, and a wrong one shows as a difference.
function isReplicaEvent(event: unknown): event is ReplicaEvent {
  return typeof event === "object" && event !== null && "kind" in event;
}

function isPollEvent(event: unknown): event is PollEvent {
  return typeof event === "object" && event !== null && "kind" in event;
}

function isPush(event: unknown): event is { readonly push: Push } {
  return typeof event === "object" && event !== null && "push" in event;
}

function describe(thing: unknown): string {
  const { kind, message, stands } = z
    .object({ kind: z.string(), message: z.string().optional(), stands: z.boolean().optional() })
    .parse(thing);
  if (stands === true) return `${kind} that stands`;
  return message === undefined ? kind : `${kind} ${message}`;
}

function show(effects: unknown): string {
  return (
    JSON.stringify(effects, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))?.slice(
      0,
      500,
    ) ?? "nothing"
  );
}
