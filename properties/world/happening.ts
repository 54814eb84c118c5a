import { type Replica } from "../../protocols/sync/replica.ts";
import { type RECURRING } from "./knobs.ts";
import { type Envelope } from "./network.ts";

/** A timer of one life of a node; of its poller, or of a shard. */
export interface Timer {
  readonly kind: "timer";
  readonly node: number;
  readonly life: number;
  readonly shard: number | undefined;
  /** Which start of the shard it is of, in this life of the node. */
  readonly start?: number | undefined;
  readonly name: string;
}

/** What one life of a node wrote to a shard a while ago turns out to be urgent. */
export interface Urging {
  readonly kind: "urge";
  readonly node: number;
  readonly life: number;
  readonly shard: number;
}

/** What can happen in a world. */
export type Happening =
  | { readonly kind: "deliver"; readonly envelope: Envelope }
  | Timer
  | Urging
  | { readonly kind: (typeof RECURRING)[number] | "heal" | "look" | "hand-over" | "shard-restart" }
  /** Also: a node hears who leads. */
  | { readonly kind: "restart" | "join" | "told"; readonly node: number }
  /** A question reaches a store of leases. */
  | { readonly kind: "store"; readonly ask: number };

/** The queue's order is that of time, then of scheduling. */
export interface Scheduled {
  readonly atMs: number;
  readonly sequence: number;
  readonly happening: Happening;
}

export function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

/** One line for a trace. */
export function describe(happening: Happening): string {
  if (happening.kind === "timer") {
    return `timer of node ${happening.node} shard ${happening.shard ?? "-"}: ${happening.name}`;
  }
  if (happening.kind === "urge") return `urge of node ${happening.node} shard ${happening.shard}`;
  if (happening.kind === "restart" || happening.kind === "join" || happening.kind === "told") {
    return `${happening.kind} of node ${happening.node}`;
  }
  if (happening.kind !== "deliver") return happening.kind;
  const { from, to, shard, message, body } = happening.envelope;
  return `${from} > ${to} shard ${shard ?? "-"} ${message} ${typeof body === "string" ? body : `${body.length} bytes`}`;
}

/** One line for the report of a failure. */
function describeReplica({ version, knowledge, horizon, early, pull, answers, store }: Replica): string {
  const known = [...knowledge].map(([writer, t]) => `${writer}:${t}`).join(" ");
  return `version ${version.counter} of ${version.generator}, rows ${store.digest()}, early ${early.size}, answers ${answers.size}, pull ${pull?.peer ?? "none"}, settled ${horizon.settled}, knows ${known}`;
}

/** The last events, one a line, and a line for each replica. */
export function listLast(last: readonly Scheduled[], nodes: readonly (readonly Replica[] | undefined)[]): string {
  const events = [...last].sort((a, b) => (isBefore(a, b) ? -1 : 1));
  return [
    ...events.map(({ atMs, happening }) => `${atMs.toFixed(3)} ${describe(happening)}`),
    ...nodes.flatMap((replicas, index) =>
      replicas === undefined
        ? [`node ${index} is down`]
        : replicas.map((replica, shard) => `node ${index} shard ${shard}: ${describeReplica(replica)}`),
    ),
  ].join("\n");
}
