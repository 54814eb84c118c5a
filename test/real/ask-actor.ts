import { type NatsConnection } from "@nats-io/transport-node";
import * as z from "zod";
import { type RealNode } from "./real-node.ts";
import { MODEL } from "./world.ts";

const ASK_MS = 2_000;

const row = z.object({
  found: z.boolean(),
  version: z.object({ t: z.number(), writer: z.string() }).optional(),
  values: z.array(z.number()).optional(),
  catalogue: z.object({ item: z.string(), firstSeenMs: z.number(), popularity: z.number().optional() }).optional(),
});
const leaders = z.object({
  leaders: z.array(z.object({ shard: z.string(), holder: z.string(), term: z.number() })),
});

/** A row that a node holds. */
export interface RowName {
  readonly table: string;
  readonly key: string;
  readonly shard: number;
}

/** A row as a node has it; `content` is the same text for the same values. */
export interface SeenRow {
  readonly found: boolean;
  readonly version?: { readonly t: number; readonly writer: string };
  readonly content: string;
}

/** Asks a node for a row, as an operator over its region's server. Undefined when nothing is known. */
export async function askRow(nc: NatsConnection, node: RealNode, name: RowName): Promise<SeenRow | undefined> {
  const { table, key, shard } = name;
  const answer = row.safeParse(
    await ask(nc, node, { actor: `shard.${MODEL.name}-${shard}`, message: "row" }, { table, key }),
  );
  if (!answer.success) return undefined;
  const { found, version, values, catalogue } = answer.data;
  return { found, ...(version === undefined ? {} : { version }), content: JSON.stringify({ values, catalogue }) };
}

/** Who leads each shard, as this node knows. */
export async function askLeaders(nc: NatsConnection, node: RealNode): Promise<z.infer<typeof leaders>["leaders"]> {
  const answer = leaders.safeParse(await ask(nc, node, { actor: "leader", message: "status" }, {}));
  return answer.success ? answer.data.leaders : [];
}

async function ask(
  nc: NatsConnection,
  node: RealNode,
  what: { readonly actor: string; readonly message: string },
  body: unknown,
): Promise<unknown> {
  const to = what.actor.includes(".") ? `${what.actor}-${node.node}` : `${what.actor}.${node.node}`;
  try {
    const reply = await nc.request(`freshet.${node.region}.${to}.${what.message}.operator`, JSON.stringify(body), {
      timeout: ASK_MS,
    });
    return JSON.parse(reply.string());
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return undefined; // the node, or its region's server, is not there
  }
}
