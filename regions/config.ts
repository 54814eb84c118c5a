import * as z from "zod";
import { EVENT_LIMITS, isId } from "../protocols/feedback.ts";
import { POLL_LIMITS } from "../protocols/limits.ts";
import { BACKEND_NAMES } from "../runtime/compute/backends.ts";
import { modelSchema, repeated } from "./config-model.ts";
import { externalNats, grant, nodeNames, ownNats, peer, regionName } from "./config-nats.ts";
import { baseline, quality } from "./config-quality.ts";
import {
  duration,
  HEAP,
  integer,
  JUMP_LIMIT,
  listen,
  path,
  secret,
  size,
  SNAPSHOT_EVERY,
  SNAPSHOT_EVERY_MAX,
  token,
} from "./config-values.ts";

/*
 * The config file of a region node. This schema is the one source of the types, the checks, the defaults and the
 * JSON Schema that editors complete from (`freshet config schema`).
 */

/** What a config file says once checked: defaults filled in, durations in ms, sizes in bytes, paths absolute. */
export type RegionConfigFile = z.output<ReturnType<typeof regionConfigSchema>>;

/** What may be written in a config file. */
export type RegionConfigInput = z.input<ReturnType<typeof regionConfigSchema>>;

/** The schema, for a file in `folder`: the paths in it are relative to that. */
// oxlint-disable-next-line explicit-module-boundary-types -- the type is what the schema makes it: writing it down would be a second source
export function regionConfigSchema(folder: string) {
  return z.strictObject({
    $schema: z.string().optional().meta({ description: "For editors: the file that `freshet config schema` wrote" }),
    region: regionName.meta({ description: "This node's region" }),
    node: token.default("a").meta({ description: "This node's name within its region" }),
    nodes: nodeNames
      .optional()
      .meta({ description: "All nodes of this region, this one among them. Default: this one alone" }),
    state: path(folder).optional().meta({ description: "Folder of everything that outlives a restart" }),
    training: regionName.meta({ description: "The region that trains when the system starts for the first time" }),
    standby: z.array(regionName).max(64, { error: "at most 64 regions" }).default([]).meta({
      description:
        "Other regions that hold all it takes to train, so that one of them can be promoted. The same in every config",
    }),
    nats: z
      .union([ownNats(folder), externalNats(folder)])
      .prefault({})
      .meta({ description: "The region's nats-server: its own, or one that runs elsewhere" }),
    grants: z
      .array(grant(folder))
      .max(64, { error: "at most 64 grants" })
      .default([])
      .meta({ description: "Peer regions that may connect to this region's own server, each as its own user" }),
    peers: z
      .array(peer(folder))
      .max(64, { error: "at most 64 peers" })
      .default([])
      .meta({ description: "Peer regions that this node connects to" }),
    http: z
      .union([z.literal(false), http(folder)])
      .prefault({})
      .meta({ description: "The HTTP interface, or false for none" }),
    models: z.array(modelSchema).min(1, { error: "1 to 16 models" }).max(16, { error: "1 to 16 models" }),
    urgency: z.record(token, path(folder)).default({}).meta({
      description:
        "By model: a module of yours whose function `urgency` says which updates travel first (actors/urgency-scores.ts)",
    }),
    joiner: joiner.prefault({}),
    trainer: trainer(folder).prefault({}),
    compute: z.enum(BACKEND_NAMES).default("kernels").meta({
      description:
        "What computes models: kernels (WebAssembly), plain (TypeScript: the same numbers, at a tenth of the speed), or tensorflow (for large dense layers and GPUs; `freshet setup tensorflow` sets it up)",
    }),
    quality: quality.prefault({}),
    baseline,
    sync: sync.prefault({}),
    snapshot: snapshot.prefault({}),
    leases: leases.prefault({}),
    supervision: supervision.prefault({}),
    inspect: z
      .boolean()
      .default(false)
      .meta({ description: "Mirror messages inside the process to NATS subjects, for looking at" }),
    log: log.prefault({}),
  });
}

/** The JSON Schema of what may be written in a config file. */
export function regionConfigJsonSchema(): object {
  return z.toJSONSchema(regionConfigSchema("/"), { io: "input" });
}

function http(folder: string) {
  const rate = "requests per second from 0.1 to 1000000";
  return z
    .strictObject({
      listen: listen.prefault("127.0.0.1:8080"),
      token: secret(folder).optional().meta({ description: "What clients send as `Authorization: Bearer ...`" }),
      bodyMax: size({ min: "1KB", max: "4MB" }).prefault("1MB").meta({
        description:
          "The most of a request's body, white space and all. Its events take at most 1000000 bytes as they are stored",
      }),
      requestsPerSecond: z
        .number({ error: rate })
        .min(0.1, { error: rate })
        .max(1_000_000, { error: rate })
        .optional()
        .meta({ description: "Default: no limit" }),
      deadline: duration({ min: "1ms", max: "10s" })
        .prefault("30ms")
        .meta({ description: "How long a recommendation may take before the popular list is the answer" }),
    })
    .superRefine((it, context) => {
      if (!it.listen.loopback && it.token === undefined) {
        context.addIssue({
          code: "custom",
          path: ["listen"],
          message: 'an address of this machine only, such as "127.0.0.1:8080", or one with "token" beside it',
        });
      }
    })
    .transform(({ bodyMax, deadline, ...it }) => ({ ...it, bodyBytesMax: bodyMax, deadlineMs: deadline }));
}

const KIND_RULE = `a kind of feedback: 1 to ${EVENT_LIMITS.idCharsMax} characters without control characters`;
const kind = z.string({ error: KIND_RULE }).refine(isId, { error: KIND_RULE });

const SHARE_RULE = "a share from 0 to 0.99";
const share = z.number({ error: SHARE_RULE }).min(0, { error: SHARE_RULE }).max(0.99, { error: SHARE_RULE });
const EMIT_RULE = '{ "kind": "window" } or { "kind": "fast", "afterShare": 0.5 }';

const joiner = z
  .strictObject({
    positive: z
      .array(kind)
      .min(1, { error: "1 to 32 kinds of feedback" })
      .max(32, { error: "1 to 32 kinds of feedback" })
      .superRefine((kinds, context) => {
        for (const index of repeated(kinds)) {
          context.addIssue({ code: "custom", path: [index], message: "a kind that stands once in the list" });
        }
      })
      .default(["click"])
      .meta({
        description:
          "Kinds of feedback that make an impression a positive. Feedback of another kind is stored, and ignored in learning",
      }),
    window: duration({ min: "100ms", max: "7d" })
      .prefault("10m")
      .meta({ description: "How long after an impression feedback still counts" }),
    lateness: duration({ min: "0ms", max: "1h" })
      .prefault("5s")
      .meta({ description: "How long events may arrive out of order" }),
    memory: size({ min: "16MB", max: "1TB" }).optional().meta({
      description:
        "The most memory for impressions that wait for feedback, or that feedback can still correct; what came first gives way. At most a third of supervision.heap; default: a quarter",
    }),
    correctionWindow: duration({ min: "0ms", max: "7d" })
      .prefault("1h")
      .meta({ description: "How long feedback after the window still corrects a sample" }),
    emit: z
      .discriminatedUnion(
        "kind",
        [
          z.strictObject({ kind: z.literal("window") }),
          z.strictObject({
            kind: z.literal("fast"),
            afterShare: share.default(0.5).meta({
              description:
                "A negative is given once this share of positives has come, by the delays learned; 0: at once",
            }),
          }),
        ],
        { error: EMIT_RULE },
      )
      .prefault({ kind: "window" })
      .meta({
        description:
          "When an impression without feedback is a negative: at the window's end, or sooner (fast). What comes later corrects it, and both are weighed so that predictions stay unbiased",
      }),
    scatter: duration({ min: "0ms", max: "1h" }).prefault("0ms").meta({
      description:
        "Positives that come in bursts are spread over the time between these, at most over so long; 0ms: not",
    }),
  })
  .transform((it) => ({
    positive: it.positive,
    windowMs: it.window,
    latenessMs: it.lateness,
    memoryBytesMax: it.memory,
    correctionWindowMs: it.correctionWindow,
    emitAfterShare: it.emit.kind === "fast" ? it.emit.afterShare : undefined,
    scatterMsMax: it.scatter,
  }));

const COMPENSATION_RULE = "a number from 0 to 1000";
function trainer(folder: string) {
  return z
    .strictObject({
      warmStart: z
        .record(
          token,
          z.strictObject({
            from: path(folder).meta({
              description: "The state folder of a node that has the images, not one that runs on them",
            }),
            model: token.optional().meta({ description: "The model's name there; by default the same" }),
          }),
        )
        .default({})
        .meta({
          description:
            "By a model's name: whose rows it begins with, on the node that trains, before it has any of its own. Tables of one name, key and dimension are taken; what else there is begins as ever, which the log says",
        }),
      count: integer({ min: 1, max: 16 }).default(1).meta({
        description:
          "Trainers of each model, each in a thread of its own; they share the samples and learn side by side",
      }),
      delayCompensation: z
        .number({ error: COMPENSATION_RULE })
        .min(0, { error: COMPENSATION_RULE })
        .max(1000, { error: COMPENSATION_RULE })
        .default(0)
        .meta({
          description:
            "Lambda: how strongly a gradient is corrected for what other trainers changed between its reading and its writing; 0: not",
        }),
      batch: integer({ min: 1, max: 16_384 }).default(256).meta({ description: "Samples of a step, at most" }),
      maxWait: duration({ min: "0ms", max: "1m" })
        .prefault("50ms")
        .meta({ description: "How long a step waits for a full batch" }),
    })
    .transform((it) => ({
      warmStart: it.warmStart,
      count: it.count,
      compensation: it.delayCompensation,
      batch: it.batch,
      maxWaitMs: it.maxWait,
    }));
}

const sync = z
  .strictObject({
    // Peers refuse a poll that is to be held for longer.
    pollWait: duration({ min: "10ms", max: `${POLL_LIMITS.waitMs / 1000}s` })
      .prefault("2s")
      .meta({ description: "How long a peer holds a poll open until something changes" }),
    gap: duration({ min: "0ms", max: "1m" })
      .prefault("50ms")
      .meta({ description: "What a node told a peer of changes keeps this distance, so that updates coalesce" }),
    jumpLimit: duration({ min: "1s", max: "365d" }).prefault(JUMP_LIMIT).meta({
      description:
        "Versions further ahead of our clock are refused; at least twice what snapshot.every is in regions that may train",
    }),
    urgentHold: duration({ min: "0ms", max: "1m" })
      .prefault("2s")
      .meta({ description: "How long in all urgent rows may hold a pull back on a congested link" }),
    orphanAfter: duration({ min: "1s", max: "1d" })
      .prefault("1m")
      .meta({ description: "A row that no complete pull has covered after this long is reported to the primary" }),
    settleEvery: duration({ min: "1s", max: "1d" }).prefault("1m").meta({
      description: "How often the primary asks all members where they stand, to let go of what all of them know",
    }),
  })
  .transform((it) => ({
    pollWaitMs: it.pollWait,
    gapMs: it.gap,
    jumpLimitMs: it.jumpLimit,
    urgentHoldMs: it.urgentHold,
    orphanMs: it.orphanAfter,
    settleMs: it.settleEvery,
  }));

const snapshot = z
  .strictObject({
    every: duration({ min: "100ms", max: SNAPSHOT_EVERY_MAX })
      .prefault(SNAPSHOT_EVERY)
      .meta({ description: "How often a shard's image is written" }),
  })
  .transform((it) => ({ everyMs: it.every }));

const leases = z
  .strictObject({
    duration: duration({ min: "500ms", max: "10m" })
      .prefault("3s")
      .meta({ description: "How long a leader holds a shard without renewing" }),
  })
  .transform((it) => ({ durationMs: it.duration }));

const supervision = z
  .strictObject({
    restarts: integer({ min: 0, max: 1000 })
      .default(10)
      .meta({ description: "Restarts of a worker within `within` before the node gives up on it" }),
    within: duration({ min: "1s", max: "1d" }).prefault("1m"),
    backoff: duration({ min: "1ms", max: "1m" })
      .prefault("100ms")
      .meta({ description: "Pause before the first restart; doubles with each" }),
    backoffMax: duration({ min: "1ms", max: "10m" }).prefault("10s"),
    blockedAfter: duration({ min: "500ms", max: "10m" })
      .prefault("10s")
      .meta({ description: "A worker that does not answer for this long is replaced" }),
    heap: size({ min: "64MB", max: "1TB" })
      .prefault(HEAP)
      .meta({ description: "The most JavaScript memory of one worker; beyond it the worker is replaced" }),
  })
  .transform((it) => ({
    restarts: it.restarts,
    withinMs: it.within,
    backoffMs: it.backoff,
    backoffMaxMs: it.backoffMax,
    blockedAfterMs: it.blockedAfter,
    heapBytes: it.heap,
  }));

const log = z.strictObject({
  level: z.enum(["debug", "info", "warn", "error"]).default("info"),
  format: z.enum(["text", "json"]).default("text"),
});
