import { type ModelStatus, type NodeStatus } from "../regions/status.ts";

/** What a region of a test says of itself: a node that is well, with one model, but for what the test decides. */
export function servedStatus(
  region: string,
  of: Partial<Omit<NodeStatus, "models">> & { readonly model?: Partial<ModelStatus> } = {},
): NodeStatus {
  const { model, ...rest } = of;
  return {
    region,
    node: "a",
    version: "0.1.0",
    role: region === "oregon" ? "training" : "serving",
    upSeconds: 1,
    ready: true,
    problems: [],
    models: [{ model: "clicks", rows: 1, digest: "same", samples: 1, verdict: "healthy", ...model }],
    links: [],
    events: { accepted: 1, refused: 0 },
    workers: [],
    leaders: [],
    nats: { version: "2.12.1", url: "nats://127.0.0.1:4241", jetstream: "ok" },
    ...rest,
  };
}
