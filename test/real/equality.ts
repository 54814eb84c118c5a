import { setTimeout as delay } from "node:timers/promises";
import { type NodeStatus } from "../../regions/status.ts";
import { type RealNode } from "./real-node.ts";

/** How it ended to wait for equality. */
export type Equality =
  /** All nodes held the same bytes, and all that was sent was learned, so long after the beginning. */
  | { readonly kind: "equal"; readonly afterMs: number; readonly rows: number }
  | { readonly kind: "unequal"; readonly why: string };

const EVERY_MS = 150;

/** Waits until all nodes are byte-equal and nothing that was sent is still to be learned. */
export async function becomeEqual(
  nodes: readonly RealNode[],
  options: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<Equality> {
  const begun = performance.now();
  for (;;) {
    const found = await Promise.all(nodes.map(async (node) => ({ node, status: await node.status() })));
    const why = lacking(found);
    const afterMs = performance.now() - begun;
    if (why === undefined) return { kind: "equal", afterMs, rows: found[0]?.status?.models[0]?.rows ?? 0 };
    if (afterMs > options.deadlineMs || options.signal.aborted) return { kind: "unequal", why };
    await delay(EVERY_MS);
  }
}

/** What is missing yet, in words. */
function lacking(
  found: readonly { readonly node: RealNode; readonly status: NodeStatus | undefined }[],
): string | undefined {
  const silent = found.filter(({ status }) => status === undefined).map(({ node }) => node.name);
  if (silent.length > 0) return `${silent.join(", ")} do not answer`;
  const trains = found.find(({ status }) => status?.role === "training")?.status?.models[0];
  if (trains === undefined) return "no node trains";
  if (trains.backlog !== 0 || trains.pending !== 0) {
    return `${trains.backlog ?? "unknown"} messages are to be learned from and ${trains.pending ?? "unknown"} impressions wait`;
  }
  const digests = new Map<string, string[]>();
  for (const { node, status } of found) {
    const digest = status?.models[0]?.digest ?? "unknown";
    digests.set(digest, [...(digests.get(digest) ?? []), `${node.name} (${status?.models[0]?.rows ?? 0} rows)`]);
  }
  // There is none where a shard did not answer.
  if (digests.size === 1 && !digests.has("unknown")) return undefined;
  return [...digests].map(([digest, names]) => `${names.join(", ")}: ${digest}`).join("; ");
}
