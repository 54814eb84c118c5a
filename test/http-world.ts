import { type MembersReply } from "../actors/state-manager-protocol.ts";
import { type Logger, type Metrics } from "../runtime/actor.ts";
import { type HttpOptions, type HttpPorts } from "../regions/http-ports.ts";
import { type NodeStatus } from "../regions/status.ts";

/** A region behind the HTTP interface: an EVENTS stream in memory, and parts that can be made to fail or to be late. */
export interface HttpWorld {
  readonly ports: HttpPorts;
  /** What the stream holds: one list of events for each append. */
  readonly stored: unknown[];
  readonly counted: Map<string, number>;
  nowMs: number;
  ready: boolean;
  statusesAsked: number;
  append: "works" | "fails" | "hangs";
  replica: "works" | "fails" | "hangs";
  popular: "works" | "fails";
}

export const OPTIONS: HttpOptions = {
  models: ["clicks", "movies"],
  bodyBytesMax: 100_000,
  deadlineMs: 30,
  region: "oregon",
  loopback: true,
};
export const NOW_MS = Date.UTC(2026, 0, 1);

const STATUS: NodeStatus = {
  region: "frankfurt",
  node: "a",
  version: "0.1.0",
  role: "serving",
  upSeconds: 61,
  ready: true,
  problems: [],
  models: [
    {
      model: "clicks",
      rows: 1234,
      digest: "0123456789abcdef",
      samples: 99,
      auc: 0.71,
      epochs: { answers: 0, shards: [1, 0, -1] },
      verdict: "healthy",
    },
  ],
  lagMs: { p50: 41, p99: 1250, count: 77 },
  links: [{ peer: "oregon", connected: true, rttMs: 1.5, bytesIn: 2048, bytesOut: 10 }],
  events: { accepted: 5, refused: 1 },
  workers: [{ name: "shards", state: "running", restarts: 0 }],
  leaders: [{ model: "clicks", shard: 0, holder: "a" }],
  nats: { version: "2.12.1", url: "nats://127.0.0.1:4241", jetstream: "ok" },
};

const QUALITY = [
  {
    model: "clicks",
    series: [{ name: "all", points: [{ at: NOW_MS - 60_000, samples: 500, auc: 0.7, logLoss: 0.4, labelRate: 0.1 }] }],
  },
];

const MEMBERS: MembersReply = {
  number: 2,
  training: "oregon",
  members: [{ region: "oregon", node: "a", since: 2, isRetired: false }],
};

export function httpWorld(): HttpWorld {
  const counted = new Map<string, number>();
  const metrics: Metrics = {
    count: (name, by = 1, labels = {}) => {
      const series = `${name}${JSON.stringify(labels)}`;
      counted.set(series, (counted.get(series) ?? 0) + by);
    },
    gauge: () => {},
    observe: () => {},
  };
  const log: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const seen = new Map<string, number>();
  let requests = 0;
  function readiness(): Pick<NodeStatus, "ready" | "problems"> {
    return { ready: world.ready, problems: world.ready ? [] : ["the shards are loading"] };
  }
  const world: HttpWorld = {
    stored: [],
    counted,
    nowMs: NOW_MS,
    ready: true,
    statusesAsked: 0,
    append: "works",
    replica: "works",
    popular: "works",
    ports: {
      log,
      metrics,
      nowMs: () => world.nowMs,
      requestId: () => `request-${++requests}`,
      append: async (body, { signal, msgId }) => {
        if (world.append === "hangs") await cut(signal);
        if (world.append === "fails") throw new Error("no stream");
        const before = msgId === undefined ? undefined : seen.get(msgId);
        if (before !== undefined) return { kind: "appended", seq: before, duplicate: true };
        const events: unknown = JSON.parse(new TextDecoder().decode(body));
        const seq = world.stored.push(events);
        if (msgId !== undefined) seen.set(msgId, seq);
        return { kind: "appended", seq, duplicate: false };
      },
      recommend: async (model, request, { signal }) => {
        if (world.replica === "hangs") await cut(signal);
        if (world.replica === "fails") throw new Error("no replica");
        const items = Array.from({ length: request.k }, (_, index) => ({
          item: `item-${index}`,
          score: 1 / (index + 1),
          from: "neighbours",
        }));
        const dense = items.map((_, index) => ({ ...request.dense, rank: index }));
        return { request: `request-${++requests}`, model, step: "model", items, dense };
      },
      popular: async (_model, k) => {
        if (world.popular === "fails") throw new Error("no list");
        return Array.from({ length: k }, (_, index) => ({ item: `popular-${index}`, score: 1, from: "popular" }));
      },
      status: async () => {
        world.statusesAsked++;
        return { ...STATUS, ...readiness() };
      },
      quality: async () => ({ nowMs: world.nowMs, windowMs: 60_000, models: QUALITY }),
      members: async () => MEMBERS,
      changeMember: async ({ act, region, node }) =>
        region === "oregon"
          ? { refused: `${region}/${node} trains; let another region train first` }
          : {
              ...MEMBERS,
              number: 3,
              members: [...MEMBERS.members, { region, node, since: 3, isRetired: act === "retire" }],
            },
      training: async () => ({ training: "oregon", term: 0 }),
      promote: async ({ region }) =>
        region === "frankfurt"
          ? { training: "oregon", term: 1, next: region }
          : region === "oregon"
            ? { training: "oregon", term: 0 }
            : { refused: `${region} does not answer, and nobody would train until it does` },
      ready: async () => readiness(),
      prometheus: async () => "# TYPE freshet_up gauge\nfreshet_up 1\n",
    },
  };
  return world;
}

/** Rejects when the signal fires, and never resolves. */
function cut(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("too late")), { once: true });
  });
}
