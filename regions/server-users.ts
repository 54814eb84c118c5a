import { type NatsPermissions, type NatsUser } from "../runtime/nats-server/config.ts";

/** The user of the region's nodes on their server. Where there is one node, the password is new at each start and never leaves the process. */
export const NODE_USER = "freshet-node";
/** Whoever connects without credentials, where that is allowed: may look, and ask services who they are. */
export const ANONYMOUS_USER = "freshet-anonymous";
/** A person with the operator's password: may read every message and stream, and change nothing. */
export const OPERATOR_USER = "operator";

/** What a peer asks of us over its link. What we ask of it, it answers on its own server; so answers are not in this list. */
const PEER_MESSAGES = [
  ["leader", "poll"],
  ["shard", "pull"],
  ["shard", "more"],
  ["shard", "release"],
  ["shard", "orphans"],
  ["shard", "survey"],
  ["state-manager", "standing"],
  ["state-manager", "summary"],
] as const;

/** Streams that other regions read: SAMPLES when they go on with it. */
const SHARED_STREAMS = ["EVENTS", "LOG", "SAMPLES"] as const;

/**
 * What a peer region may do here: poll and pull as itself and nobody else, receive what is addressed to it, and read the shared streams.
 * No stream can be written, no record seen, no service answered for; and actors refuse from elsewhere what is not for there.
 */
function peerPermissions(own: string, peer: string): NatsPermissions {
  return {
    publish: {
      allow: [
        ...PEER_MESSAGES.map(([kind, message]) => `freshet.${own}.${kind}.*.${message}.${peer}`),
        ...SHARED_STREAMS.flatMap(readStream),
      ],
    },
    subscribe: { allow: [`freshet.${peer}.>`, `_INBOX_${peer}.>`] },
  };
}

/** All users of a region's own server. */
export function serverUsers(options: {
  readonly region: string;
  readonly nodePassword: string;
  readonly grants: readonly { readonly region: string; readonly password: string }[];
  readonly operatorPassword?: string;
  readonly anonymousPassword?: string;
}): NatsUser[] {
  const { region, nodePassword, grants, operatorPassword, anonymousPassword } = options;
  return [
    { user: NODE_USER, password: nodePassword, permissions: "all" },
    ...grants.map((grant) => ({
      user: grant.region,
      password: grant.password,
      permissions: peerPermissions(region, grant.region),
    })),
    ...(operatorPassword === undefined
      ? []
      : [{ user: OPERATOR_USER, password: operatorPassword, permissions: operatorPermissions(region) }]),
    ...(anonymousPassword === undefined
      ? []
      : [{ user: ANONYMOUS_USER, password: anonymousPassword, permissions: anonymousPermissions(region) }]),
  ];
}

const DISCOVERY = ["$SRV.PING", "$SRV.PING.>", "$SRV.INFO", "$SRV.INFO.>", "$SRV.STATS", "$SRV.STATS.>"];

/** Messages that ask an actor about itself and change nothing. */
const QUESTIONS = ["status", "row", "links", "summary"] as const;

function questions(region: string, asker: string): string[] {
  return QUESTIONS.map((question) => `freshet.${region}.*.*.${question}.${asker}`);
}

function anonymousPermissions(region: string): NatsPermissions {
  return {
    publish: { allow: [...DISCOVERY, ...questions(region, "anonymous")] },
    subscribe: { allow: ["freshet.>", "_INBOX.>"] },
  };
}

function operatorPermissions(region: string): NatsPermissions {
  return {
    publish: {
      allow: [
        ...DISCOVERY,
        ...questions(region, OPERATOR_USER),
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.STREAM.MSG.GET.*",
        "$JS.API.DIRECT.GET.>",
        "$JS.API.CONSUMER.NAMES.*",
        "$JS.API.CONSUMER.LIST.*",
        "$JS.API.CONSUMER.INFO.>",
      ],
    },
    subscribe: { allow: [">"] },
  };
}

function readStream(stream: string): string[] {
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  ];
}
