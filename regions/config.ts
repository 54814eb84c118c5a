import * as z from "zod";
import { modelSchema } from "./config-model.ts";
import { duration, integer, isLoopback, listen, natsUrl, path, secret, size, token } from "./config-values.ts";

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
    region: token.meta({ description: "This node's region" }),
    node: token.default("a").meta({ description: "This node's name within its region" }),
    state: path(folder).optional().meta({ description: "Folder of everything that outlives a restart" }),
    training: token.meta({ description: "The region that trains when the system starts for the first time" }),
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
    joiner: joiner.prefault({}),
    trainer: trainer.prefault({}),
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

const port = integer({ min: 1, max: 65_535 });
const LOOPBACK_HINT = 'an address of this machine only, such as "127.0.0.1:4222", or one with "tls" beside it';

function ownNats(folder: string) {
  const limits = z.strictObject({
    streamBytes: size({ min: "1MB", max: "100TB" })
      .prefault("4GB")
      .meta({ description: "The most that each stream keeps" }),
    maxAge: duration({ min: "1m", max: "3650d" })
      .prefault("3d")
      .meta({ description: "How long a stream keeps a message" }),
  });
  return z
    .strictObject({
      listen: listen.prefault("127.0.0.1:4222"),
      binary: path(folder)
        .optional()
        .meta({ description: "The nats-server to run. Default: found on PATH, or fetched" }),
      tls: z.strictObject({ cert: path(folder), key: path(folder), ca: path(folder) }).optional(),
      monitor: port.optional().meta({ description: "Port on 127.0.0.1 of nats-server's own monitoring pages" }),
      limits: limits.prefault({}),
      inspectAnonymously: z
        .boolean()
        .optional()
        .meta({ description: "Whether anyone on this machine may read every message. Default: true on loopback" }),
      password: secret(folder)
        .optional()
        .meta({ description: 'Password of the user "operator", who may read every message and the streams' }),
    })
    .superRefine((nats, context) => {
      if (nats.listen.loopback) return;
      if (nats.tls === undefined) context.addIssue({ code: "custom", path: ["listen"], message: LOOPBACK_HINT });
      if (nats.inspectAnonymously === true) {
        context.addIssue({
          code: "custom",
          path: ["inspectAnonymously"],
          message: "false, for a server that other machines can reach",
        });
      }
    })
    .transform(({ limits: { streamBytes, maxAge }, ...nats }) => ({
      kind: "own" as const,
      ...nats,
      inspectAnonymously: nats.inspectAnonymously ?? nats.listen.loopback,
      limits: { streamBytes, maxAgeMs: maxAge },
    }));
}

function clientTls(folder: string) {
  return z.strictObject({
    ca: path(folder).optional().meta({ description: "Whom to trust. Default: the usual authorities" }),
  });
}

function externalNats(folder: string) {
  return z
    .strictObject({
      url: natsUrl,
      user: z.string().min(1).max(128).optional(),
      password: secret(folder).optional(),
      tls: clientTls(folder).optional(),
    })
    .superRefine((nats, context) => {
      if (nats.password !== undefined && isOpenWire(nats)) {
        context.addIssue({ code: "custom", path: ["url"], message: WIRE_HINT });
      }
    })
    .transform((nats) => ({ kind: "external" as const, ...nats }));
}

const WIRE_HINT = 'a tls:// address, or one with "tls" beside it: a password does not cross a network in the clear';

function isOpenWire(to: { readonly url: string; readonly tls?: unknown }): boolean {
  const url = URL.parse(to.url);
  return url !== null && url.protocol !== "tls:" && to.tls === undefined && !isLoopback(url.hostname);
}

function grant(folder: string) {
  return z.strictObject({
    region: token.meta({ description: "The peer; it connects as the user of this name" }),
    password: secret(folder)
      .optional()
      .meta({ description: "May be left out while this server listens on loopback only: see the examples" }),
  });
}

function peer(folder: string) {
  return z
    .strictObject({
      region: token,
      url: natsUrl,
      password: secret(folder)
        .optional()
        .meta({ description: "The password that the peer granted us. May be left out on loopback" }),
      tls: clientTls(folder).optional(),
    })
    .superRefine((it, context) => {
      if (isOpenWire(it)) context.addIssue({ code: "custom", path: ["url"], message: WIRE_HINT });
      const host = URL.parse(it.url)?.hostname ?? "";
      if (it.password === undefined && host !== "" && !isLoopback(host)) {
        context.addIssue({ code: "custom", path: ["password"], message: "a secret, for a peer on another machine" });
      }
    });
}

function http(folder: string) {
  const rate = "requests per second from 0.1 to 1000000";
  return z
    .strictObject({
      listen: listen.prefault("127.0.0.1:8080"),
      token: secret(folder).optional().meta({ description: "What clients send as `Authorization: Bearer ...`" }),
      bodyMax: size({ min: "1KB", max: "64MB" }).prefault("1MB"),
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

const joiner = z
  .strictObject({
    window: duration({ min: "100ms", max: "7d" })
      .prefault("10m")
      .meta({ description: "How long after an impression feedback still counts" }),
    lateness: duration({ min: "0ms", max: "1h" })
      .prefault("5s")
      .meta({ description: "How long events may arrive out of order" }),
    pendingMax: integer({ min: 1, max: 100_000_000 })
      .default(1_000_000)
      .meta({ description: "Impressions that wait for feedback at once" }),
    correctionWindow: duration({ min: "0ms", max: "7d" })
      .prefault("1h")
      .meta({ description: "How long feedback after the window still corrects a sample" }),
  })
  .transform((it) => ({
    windowMs: it.window,
    latenessMs: it.lateness,
    pendingMax: it.pendingMax,
    correctionWindowMs: it.correctionWindow,
  }));

const trainer = z
  .strictObject({
    batch: integer({ min: 1, max: 16_384 }).default(256).meta({ description: "Samples of a step, at most" }),
    maxWait: duration({ min: "0ms", max: "1m" })
      .prefault("50ms")
      .meta({ description: "How long a step waits for a full batch" }),
  })
  .transform((it) => ({ batch: it.batch, maxWaitMs: it.maxWait }));

const sync = z
  .strictObject({
    pollWait: duration({ min: "10ms", max: "1m" })
      .prefault("2s")
      .meta({ description: "How long a peer holds a poll open until something changes" }),
    gap: duration({ min: "0ms", max: "1m" })
      .prefault("50ms")
      .meta({ description: "What a node told a peer of changes keeps this distance, so that updates coalesce" }),
    jumpLimit: duration({ min: "1s", max: "365d" })
      .prefault("24h")
      .meta({ description: "Versions further ahead of our clock are refused" }),
  })
  .transform((it) => ({ pollWaitMs: it.pollWait, gapMs: it.gap, jumpLimitMs: it.jumpLimit }));

const snapshot = z
  .strictObject({
    every: duration({ min: "100ms", max: "1d" })
      .prefault("5s")
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
      .prefault("4GB")
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
