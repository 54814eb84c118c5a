import * as z from "zod";
import { drawNonce } from "../actors/writer-nonce.ts";
import { isToken } from "../protocols/subjects.ts";
import { LOST_SNAPSHOTS } from "../protocols/sync/stamper.ts";
import { isWriterId, WRITER_CHARS_MAX } from "../protocols/sync/version.ts";
import { repeated } from "./config-model.ts";
import {
  durationMs,
  HEAP,
  isLoopback,
  JUMP_LIMIT,
  sizeBytes,
  SNAPSHOT_EVERY,
  SNAPSHOT_EVERY_MAX,
} from "./config-values.ts";
import { nodeAddresses, TRAINING_NODE } from "./node-plan.ts";

/*
 * What must hold between fields of a config file. Looked at apart from the schema and with little asked of the shape, so that
 * these problems are listed together with the others, and not only once those are mended.
 */

/** The part of its heap that a joiner may be told to remember: a restart may need twice as much (protocols/learning/joiner-resume.ts). */
const JOINER_PARTS_MIN = 3;

const named = z
  .array(
    z
      .looseObject({ region: z.string().catch(""), password: z.unknown().optional() })
      .catch({ region: "", password: {} }),
  )
  .catch([]);

const loose = z.looseObject({
  node: z.string().catch("a").default("a"),
  nodes: z.array(z.string().catch("")).optional().catch(undefined),
  region: z.string().catch(""),
  training: z.string().catch(""),
  standby: z.array(z.string().catch("")).catch([]),
  peers: named,
  grants: named,
  models: z
    .array(z.looseObject({ name: z.string().catch(""), shards: z.number().catch(4) }).catch({ name: "", shards: 4 }))
    .catch([]),
  urgency: z.record(z.string(), z.unknown()).catch({}),
  trainer: z
    .looseObject({
      count: z.int().min(1).max(16).catch(1),
      warmStart: z.record(z.string(), z.unknown()).catch({}).default({}),
    })
    .catch({ count: 1, warmStart: {} }),
  joiner: z
    .looseObject({ memory: z.string().optional().catch(undefined) })
    .catch({})
    .default({}),
  supervision: z
    .looseObject({ heap: z.string().catch(HEAP).default(HEAP) })
    .catch({ heap: HEAP })
    .default({ heap: HEAP }),
  sync: z
    .looseObject({ jumpLimit: z.string().optional().catch(undefined) })
    .catch({})
    .default({}),
  snapshot: z
    .looseObject({ every: z.string().catch(SNAPSHOT_EVERY).default(SNAPSHOT_EVERY) })
    .catch({ every: SNAPSHOT_EVERY })
    .default({ every: SNAPSHOT_EVERY }),
  nats: z
    .looseObject({
      listen: z.string().optional().catch(undefined),
      url: z.unknown().optional(),
      node: z.string().optional().catch(undefined),
      nodesPassword: z.unknown().optional(),
    })
    .catch({ url: undefined }),
});

/** One problem: where, and what is allowed there. */
export interface RuleProblem {
  readonly path: readonly (string | number)[];
  readonly allowed: string;
}

/** The rules between fields that a parsed file breaks. Fields of the wrong shape break none. */
export function brokenRules(value: unknown): readonly RuleProblem[] {
  const parsed = loose.safeParse(value);
  if (!parsed.success) return [];
  const { region, node, training, standby, peers, grants, models, nats, trainer, urgency, joiner, supervision } =
    parsed.data;
  const problems: RuleProblem[] = [...nodeRules(parsed.data)];

  for (const [list, what] of [
    [peers, "peers"],
    [grants, "grants"],
  ] as const) {
    const regions = list.map((each) => each.region);
    for (const [index, name] of regions.entries()) {
      if (name === region && name !== "") {
        problems.push({ path: [what, index, "region"], allowed: `another region than this node's own, ${region}` });
      }
    }
    for (const index of repeated(regions)) {
      if (regions[index] !== "") {
        problems.push({ path: [what, index, "region"], allowed: `a region that stands once in ${what}` });
      }
    }
  }
  const names = models.map((model) => model.name);
  for (const index of repeated(names)) {
    if (names[index] !== "") {
      problems.push({ path: ["models", index, "name"], allowed: "a name that no other model has" });
    }
  }
  for (const [path, byModel] of [
    [["trainer", "warmStart"], trainer.warmStart],
    [["urgency"], urgency],
  ] as const) {
    for (const name of Object.keys(byModel)) {
      if (names.includes(name)) continue;
      problems.push({ path: [...path, name], allowed: `the name of a model here: ${names.join(", ")}` });
    }
  }
  const memoryMax = (sizeBytes(supervision.heap) ?? Infinity) / JOINER_PARTS_MIN;
  if ((sizeBytes(joiner.memory ?? "") ?? 0) > memoryMax) {
    const allowed = `at most a third of supervision.heap, ${Math.floor(memoryMax / 2 ** 20)}MB: a restart may need twice as much for a while`;
    problems.push({ path: ["joiner", "memory"], allowed });
  }
  problems.push(...restartRules(parsed.data), ...tooLong({ region, node, models, trainer }));
  const regions = [region, ...peers.map((peer) => peer.region)].filter((name) => name !== "");
  if (training !== "" && region !== "" && !regions.includes(training)) {
    problems.push({ path: ["training"], allowed: `this node's region or that of a peer: ${regions.join(", ")}` });
  }
  for (const [index, name] of standby.entries()) {
    const others = regions.filter((each) => each !== training);
    if (name === "" || region === "" || training === "") continue;
    if (!others.includes(name) || standby.indexOf(name) !== index) {
      const allowed =
        others.length === 0 ? "nothing, as there is no other region" : `another region, once: ${others.join(", ")}`;
      problems.push({ path: ["standby", index], allowed });
    }
  }
  if (nats.url !== undefined && grants.length > 0) {
    problems.push({
      path: ["grants"],
      allowed: "nothing, beside an external nats-server: its own configuration says who may connect",
    });
  }
  const host = nats.listen?.replace(/:\d*$/, "");
  if (host !== undefined && !isLoopback(host)) {
    for (const [index, grant] of grants.entries()) {
      if (grant.password === undefined) {
        problems.push({
          path: ["grants", index, "password"],
          allowed: "a secret, where other machines can reach the server",
        });
      }
    }
  }
  return problems;
}

/** What the names of a region's nodes must be to each other. */
function nodeRules({
  region,
  node,
  nodes = [node],
  training,
  standby,
  nats,
}: {
  readonly region: string;
  readonly node: string;
  readonly nodes?: readonly string[] | undefined;
  readonly training: string;
  readonly standby: readonly string[];
  readonly nats: z.output<typeof loose>["nats"];
}): RuleProblem[] {
  const problems: RuleProblem[] = [];
  if (!nodes.includes(node)) problems.push({ path: ["nodes"], allowed: `a list with this node, ${node}, in it` });
  if ((region === training || standby.includes(region)) && region !== "" && !nodes.includes(TRAINING_NODE)) {
    problems.push({
      path: [nodes.length === 1 ? "node" : "nodes"],
      allowed: `${nodes.length === 1 ? "" : "a list with "}"${TRAINING_NODE}", the node that trains, in the region that trains`,
    });
  }
  const others = nodes.filter((name) => name !== node);
  if (nats.node !== undefined && !others.includes(nats.node)) {
    const allowed =
      others.length === 0 ? 'nothing, as "nodes" names no other node' : `another node: ${others.join(", ")}`;
    problems.push({ path: ["nats", "node"], allowed });
  }
  if (others.length > 0 && nats.listen !== undefined && nats.nodesPassword === undefined) {
    if (!isLoopback(nats.listen.replace(/:\d*$/, ""))) {
      problems.push({
        path: ["nats", "nodesPassword"],
        allowed: "a secret, where other machines can reach the server and the region has several nodes",
      });
    }
  }
  return problems;
}

/** What a primary stamps after a restart must not be refused. */
function restartRules({ region, training, standby, sync, snapshot: { every } }: z.output<typeof loose>): RuleProblem[] {
  const { jumpLimit = JUMP_LIMIT } = sync;
  const [everyMs = 0, limitMs = Infinity] = [every, jumpLimit].map(durationMs);
  if (region === "" || !(region === training || standby.includes(region))) return [];
  if (limitMs >= LOST_SNAPSHOTS * everyMs || everyMs > (durationMs(SNAPSHOT_EVERY_MAX) ?? 0)) return [];
  const why = "a primary that restarts stamps that far ahead, which would be refused";
  return sync.jumpLimit === undefined
    ? [{ path: ["snapshot", "every"], allowed: `at most half of sync.jumpLimit, which is "${jumpLimit}": ${why}` }]
    : [{ path: ["sync", "jumpLimit"], allowed: `at least twice snapshot.every, which is "${every}": ${why}` }];
}

/** Names that are each a token and too long for what is built of them: writer ids, and the ids of actors. */
function tooLong({
  region,
  node,
  models,
  trainer,
}: {
  readonly region: string;
  readonly node: string;
  readonly trainer: { readonly count: number };
  readonly models: readonly { readonly name: string; readonly shards: number }[];
}): RuleProblem[] {
  const problems: RuleProblem[] = [];
  // The longest that ever stamps: a nonce as long as any, after as many rollbacks as can be counted.
  const writer = [EPOCH_MAX, region, node, drawNonce({ random: () => 0 })].join(".");
  if (isToken(region) && isToken(node) && !isWriterId(writer)) {
    const max = region.length - (writer.length - WRITER_CHARS_MAX);
    problems.push({ path: ["region"], allowed: `a name of at most ${max} characters, as it stands in writer ids` });
  }
  const { shard, trainers, inference } = nodeAddresses({ region, node, trainer });
  for (const [index, { name, shards }] of models.entries()) {
    if (!isToken(name) || !isToken(node)) continue;
    const ids = [shard(name, Math.max(0, shards - 1)), ...trainers(name), inference(name)].map(({ id }) => id);
    if (ids.every(isToken)) continue;
    const max = TOKEN_CHARS_MAX - (Math.max(...ids.map((id) => id.length)) - name.length);
    problems.push({
      path: ["models", index, "name"],
      allowed: `a name of at most ${max} characters, as it stands in names of shards`,
    });
  }
  return problems;
}

/** Epochs of writer ids have ten digits at most. */
const EPOCH_MAX = 9_999_999_999;
const TOKEN_CHARS_MAX = 64;
