import * as z from "zod";
import { repeated } from "./config-model.ts";
import { duration, integer, isLoopback, listen, natsUrl, path, rate, secret, size, token } from "./config-values.ts";
import { ANONYMOUS_USER, NODE_USER, OPERATOR_USER } from "./server-users.ts";

/*
 * How a config file speaks of nats-servers: the region's own, one that runs elsewhere, and those of peers.
 */

/** Users of a region's own server; a region connects as the user of its name. */
const TAKEN_NAMES: readonly string[] = [NODE_USER, ANONYMOUS_USER, OPERATOR_USER, "anonymous"];

/** The name of a region. */
export const regionName: z.ZodString = token.refine((name) => !TAKEN_NAMES.includes(name), {
  error: `a name other than ${TAKEN_NAMES.join(", ")}, which are users of a nats-server`,
});

const NODES_RULE = "1 to 16 names of nodes";

/** The nodes of a region, all of which hold the same shards. */
export const nodeNames = z
  .array(token)
  .min(1, { error: NODES_RULE })
  .max(16, { error: NODES_RULE })
  .superRefine((names, context) => {
    for (const index of repeated(names)) {
      context.addIssue({ code: "custom", path: [index], message: "a name that stands once in the list" });
    }
  });

const port = integer({ min: 1, max: 65_535 });
const LOOPBACK_HINT = 'an address of this machine only, such as "127.0.0.1:4222", or one with "tls" beside it';

const limits = z
  .strictObject({
    streamBytes: size({ min: "1MB", max: "100TB" })
      .prefault("4GB")
      .meta({ description: "The most that each stream keeps" }),
    maxAge: duration({ min: "1m", max: "3650d" })
      .prefault("3d")
      .meta({ description: "How long a stream keeps a message" }),
  })
  .transform(({ streamBytes, maxAge }) => ({ streamBytes, maxAgeMs: maxAge }))
  .prefault({});

/** The region's own nats-server. */
// oxlint-disable-next-line explicit-module-boundary-types -- the type is what the schema makes it
export function ownNats(folder: string) {
  return z
    .strictObject({
      listen: listen.prefault("127.0.0.1:4222"),
      binary: path(folder)
        .optional()
        .meta({ description: "The nats-server to run. Default: found on PATH, or fetched" }),
      tls: z.strictObject({ cert: path(folder), key: path(folder), ca: path(folder) }).optional(),
      monitor: port.optional().meta({ description: "Port on 127.0.0.1 of nats-server's own monitoring pages" }),
      limits,
      inspectAnonymously: z
        .boolean()
        .optional()
        .meta({ description: "Whether anyone on this machine may read every message. Default: true on loopback" }),
      password: secret(folder)
        .optional()
        .meta({ description: 'Password of the user "operator", who may read every message and the streams' }),
      nodesPassword: secret(folder).optional().meta({
        description: "The password with which this region's other nodes connect. May be left out on loopback",
      }),
    })
    .check(endAtUnknownFields)
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
    .transform((nats) => ({
      kind: "own" as const,
      ...nats,
      inspectAnonymously: nats.inspectAnonymously ?? nats.listen.loopback,
    }));
}

function clientTls(folder: string) {
  return z.strictObject({
    ca: path(folder).optional().meta({ description: "Whom to trust. Default: the usual authorities" }),
  });
}

/** A nats-server that runs elsewhere. It is reached under the same rule as a peer's: beyond this machine with TLS and a password. */
// oxlint-disable-next-line explicit-module-boundary-types -- the type is what the schema makes it
export function externalNats(folder: string) {
  return z
    .strictObject({
      url: natsUrl,
      node: token
        .optional()
        .meta({ description: "The node of this region whose server it is. It is entered as that node's sibling" }),
      user: z.string().min(1).max(128).optional(),
      password: secret(folder).optional(),
      tls: clientTls(folder).optional(),
      limits,
    })
    .check(endAtUnknownFields)
    .superRefine((nats, context) => {
      checkRemote(nats, { context, what: "a nats-server" });
      if (nats.node !== undefined && nats.user !== undefined) {
        context.addIssue({ code: "custom", path: ["user"], message: 'nothing, beside "node": siblings have a user' });
      }
    })
    .transform((nats) => ({ kind: "external" as const, ...nats }));
}

/**
 * A union takes the form whose only fault is a field it does not know before one that knows the field and finds a wrong value in it.
 * With this, both have failed, and the nearer one speaks.
 */
function endAtUnknownFields({ issues }: z.core.ParsePayload): void {
  for (const [index, issue] of issues.entries()) {
    if (issue.code === "unrecognized_keys") issues[index] = { ...issue, continue: false };
  }
}

/** Beyond this machine nothing crosses in the clear, and nobody connects unnamed. */
function checkRemote(
  to: { readonly url: string; readonly password?: unknown; readonly tls?: unknown },
  { context, what }: { readonly context: z.RefinementCtx; readonly what: string },
): void {
  const url = URL.parse(to.url);
  if (url === null || url.hostname === "" || isLoopback(url.hostname)) return;
  if (url.protocol !== "tls:" && to.tls === undefined) {
    context.addIssue({
      code: "custom",
      path: ["url"],
      message:
        'a tls:// address, or one with "tls" beside it: neither passwords nor events cross a network in the clear',
    });
  }
  if (to.password === undefined) {
    context.addIssue({ code: "custom", path: ["password"], message: `a secret, for ${what} on another machine` });
  }
}

/** A peer region that may connect here. */
// oxlint-disable-next-line explicit-module-boundary-types -- the type is what the schema makes it
export function grant(folder: string) {
  return z.strictObject({
    region: regionName.meta({ description: "The peer; it connects as the user of this name" }),
    password: secret(folder)
      .optional()
      .meta({ description: "May be left out while this server listens on loopback only: see the examples" }),
  });
}

/** A peer region to connect to. */
// oxlint-disable-next-line explicit-module-boundary-types -- the type is what the schema makes it
export function peer(folder: string) {
  return z
    .strictObject({
      region: regionName,
      url: natsUrl,
      nodes: nodeNames.default(["a"]).meta({ description: "The nodes of that region" }),
      password: secret(folder)
        .optional()
        .meta({ description: "The password that the peer granted us. May be left out on loopback" }),
      tls: clientTls(folder).optional(),
      compress: z.enum(["never", "zstd"]).default("never").meta({
        description:
          "Whether rows that come from this peer are compressed. Pays where less than about 30 MB/s come through",
      }),
      budget: rate({ min: "10KB/s", max: "100GB/s" }).optional().meta({
        description:
          "The most bytes of rows that each node of this region pulls from that peer, on average, as they are before any compression. Default: what the link bears",
      }),
    })
    .superRefine((it, context) => checkRemote(it, { context, what: "a peer" }));
}
