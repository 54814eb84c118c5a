// What the end-to-end tests give their nodes (test-node.ts): a small model, short times, ports and folders; and how they wait.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type RegionConfigInput } from "../regions/config.ts";
import { steadyPorts } from "./free-ports.ts";

export const OPERATOR_PASSWORD = "the operator's own password";

/** A model that trains in milliseconds and learns visibly from one click; one table has 16-bit floats, the other 32-bit ones. */
export const SMALL_MODEL = {
  name: "clicks",
  shards: 2,
  architecture: { embedding: 4, bottom: [4], top: [8] },
  tables: [
    { name: "users", key: "user" },
    { name: "items", key: "item", precision: "f16" },
  ],
  optimizer: { learningRate: 0.2 },
  denseOptimizer: { learningRate: 0.05 },
} satisfies RegionConfigInput["models"][number];

/** What every node of these tests has: short times, so that what must happen happens while a test waits. */
export const QUICK = {
  models: [SMALL_MODEL],
  joiner: { window: "3s", lateness: "100ms" },
  trainer: { maxWait: "20ms" },
  snapshot: { every: "500ms" },
  leases: { duration: "1s" },
  supervision: { backoff: "20ms", blockedAfter: "2s" },
} satisfies Partial<RegionConfigInput>;

/** What a node that is all of its region, and trains, has besides, at ports that are free now. */
export async function loneNode(
  region: string,
  { deadline = "1s" }: { readonly deadline?: string } = {},
): Promise<Pick<RegionConfigInput, "region" | "training" | "nats" | "http">> {
  const [nats = 0, http = 0] = await steadyPorts(2);
  return {
    region,
    training: region,
    nats: { listen: `127.0.0.1:${nats}`, password: { file: "operator" } },
    http: { listen: `127.0.0.1:${http}`, deadline },
  };
}

/** Short, because a state folder's lock is a socket and its path has a limit. */
export async function shortFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "fe-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 10 }) };
}

/** Asks until the answer is not undefined; fails with what was waited for when the deadline has passed. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>, deadlineMs = 20_000): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`Waited ${deadlineMs} ms in vain until ${what}`);
    await delay(25);
  }
}

let shows = 0;

/** An item shown to a user in a request of its own, and clicked. */
export function shownAndClicked(user: string, item: string): object[] {
  const request = `shown-${user}-${item}-${shows++}`;
  return [
    { type: "impression", request, user, item },
    { type: "feedback", request, item },
  ];
}
