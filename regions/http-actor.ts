import { randomUUID } from "node:crypto";
import { type ActorRef, type Address, type Context, defineActor } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { type Listen } from "./config-values.ts";
import { type InferenceProtocol } from "../actors/inference.ts";
import { type StateManagerProtocol } from "../actors/state-manager-protocol.ts";
import { createApp, type HttpCounts } from "./http-app.ts";
import { HTTP_LIMITS, type HttpOptions, type HttpPorts } from "./http-ports.ts";
import { serveHttp } from "./http-server.ts";
import { type NodeProtocol } from "./status.ts";

/** What the HTTP actor is told and asked. Its work comes over sockets. */
export interface HttpProtocol {
  /** Where it listens, and what it has done. */
  readonly about: {
    request: Record<string, never>;
    reply: HttpCounts & { readonly host: string; readonly port: number };
  };
  /** To itself: fetch the popular lists. */
  readonly refresh: { request: Record<string, never>; reply: void };
  /** To itself: the lists are fetched. */
  readonly refreshed: { request: Record<string, never>; reply: void };
}

/** How the HTTP actor is made: where to listen, and whom to ask. */
export interface HttpActorConfig {
  readonly region: string;
  readonly node: string;
  readonly listen: Listen;
  readonly options: HttpOptions;
}

/**
 * The HTTP interface of a region node. Needs the network and nothing else; a failure to listen is `CannotListen`. It holds no state
 * that matters: an event is answered with 202 only when the region's stream has it.
 */
export const httpActor = defineActor<HttpProtocol, HttpActorConfig>({
  kind: "http",
  messages: ["about", "refresh", "refreshed"],
  setup: async (config, context) => {
    const app = createApp(connect(config, context), config.options);
    const server = await serveHttp(app, config.listen);
    function refresh(): void {
      context.pipe(app.refreshPopular(), "refreshed", () => ({}));
    }
    refresh();
    return {
      handlers: {
        about: () => ({ ...app.counts(), host: server.host, port: server.port }),
        refresh,
        refreshed: () => {
          context.after(HTTP_LIMITS.popularEveryMs, "refresh", {});
        },
      },
      stop: async () => {
        await server[Symbol.asyncDispose]();
      },
    };
  },
});

/** The ports of the HTTP interface as messages to actors of this region node. */
function connect({ region, node }: HttpActorConfig, context: Context<HttpProtocol>): HttpPorts {
  function address(kind: string, id: string): Address {
    return { region, kind, id };
  }
  const stream: ActorRef<StreamProtocol> = context.ref(address("stream", node));
  const supervisor: ActorRef<NodeProtocol> = context.ref(address("node", node));
  const manager: ActorRef<StateManagerProtocol> = context.ref(address("state-manager", node));
  function replica(model: string): ActorRef<InferenceProtocol> {
    return context.ref(address("inference", `${model}-${node}`));
  }
  return {
    log: context.log,
    metrics: context.metrics,
    nowMs: () => context.now(),
    requestId: () => randomUUID(),
    append: (body, { signal, msgId }) =>
      stream.ask("append", { stream: "EVENTS", body, ...(msgId === undefined ? {} : { msgId }) }, { signal }),
    recommend: (model, request, { signal }) => replica(model).ask("recommend", request, { signal }),
    popular: async (model, k, { signal }) => (await replica(model).ask("popular", { k }, { signal })).items,
    status: ({ signal }) => supervisor.ask("status", {}, { signal }),
    quality: ({ signal }) => manager.ask("quality", {}, { signal }),
    members: ({ signal }) => manager.ask("members", {}, { signal }),
    changeMember: (change, { signal }) => manager.ask("change-member", change, { signal }),
    training: ({ signal }) => manager.ask("training", {}, { signal }),
    promote: (request, { signal }) => manager.ask("promote", request, { signal }),
    ready: ({ signal }) => supervisor.ask("ready", {}, { signal }),
    prometheus: ({ signal }) => supervisor.ask("metrics", {}, { signal }),
  };
}
