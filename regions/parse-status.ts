import * as z from "zod";
import { type NodeStatus } from "./status.ts";

const count = z.number();

const figures = {
  samples: count,
  auc: count.exactOptional(),
  logLoss: count.exactOptional(),
  calibration: count.exactOptional(),
};

// Fields that this version does not know are left out: a node of a later version may say more.
const model = z.object({
  model: z.string(),
  rows: count,
  digest: z.string().exactOptional(),
  samples: count,
  auc: count.exactOptional(),
  logLoss: count.exactOptional(),
  calibration: count.exactOptional(),
  backlog: count.exactOptional(),
  pending: count.exactOptional(),
  stepsLate: count.exactOptional(),
  epochs: z.object({ answers: count, shards: z.array(count) }).exactOptional(),
  slices: z.array(z.object({ slice: z.string(), ...figures })).exactOptional(),
  baseline: z.object({ ...figures, atMs: count, online: z.object(figures) }).exactOptional(),
  verdict: z.enum(["healthy", "uncertain", "corrupted"]),
  verdictCause: z.string().exactOptional(),
});

const node: z.ZodType<NodeStatus> = z.object({
  region: z.string(),
  node: z.string(),
  version: z.string(),
  role: z.enum(["training", "serving"]),
  training: z.object({ region: z.string(), term: count }).exactOptional(),
  upSeconds: count,
  ready: z.boolean(),
  problems: z.array(z.string()),
  models: z.array(model),
  lagMs: z.object({ p50: count, p99: count, count }).exactOptional(),
  links: z.array(
    z.object({
      peer: z.string(),
      connected: z.boolean(),
      rttMs: count.exactOptional(),
      bytesIn: count,
      bytesOut: count,
      pulls: z
        .object({
          windowFrames: count,
          bytesInFlight: count,
          running: count,
          waiting: count,
          bytesPerSecond: count.exactOptional(),
          roundTripMs: count.exactOptional(),
          budget: count.exactOptional(),
        })
        .exactOptional(),
    }),
  ),
  events: z.object({ accepted: count, refused: count }),
  workers: z.array(
    z.object({ name: z.string(), state: z.string(), restarts: count, lastFailure: z.string().exactOptional() }),
  ),
  leaders: z.array(z.object({ model: z.string(), shard: count, holder: z.string() })),
  nats: z.object({ version: z.string(), url: z.string(), jetstream: z.string() }),
});

/** What this version knows of a body of `GET /status`, parsed from its JSON, or undefined when it is something else. */
export function parseStatus(body: unknown): NodeStatus | undefined {
  const parsed = node.safeParse(body);
  return parsed.success ? parsed.data : undefined;
}
