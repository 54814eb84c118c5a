import { createHash } from "node:crypto";
import { type WorkerSpec } from "../runtime/managed-worker.ts";
import { type HttpActorConfig } from "./http-actor.ts";
import { type RegionConfig } from "./read-config.ts";
import { resolveSecret } from "./secret.ts";

/** The worker of the HTTP interface: it may open sockets and read no file. It gets the token's hash, never the token. */
export async function httpWorker(
  config: RegionConfig,
  http: Exclude<RegionConfig["http"], false>,
): Promise<WorkerSpec> {
  const { listen, token, bodyBytesMax, requestsPerSecond, deadlineMs } = http;
  const tokenSha256 =
    token === undefined
      ? undefined
      : createHash("sha256")
          .update(await resolveSecret(token, { what: "the HTTP token" }))
          .digest("hex");
  const settings: HttpActorConfig = {
    region: config.region,
    node: config.node,
    listen,
    options: {
      models: config.models.map(({ name }) => name),
      bodyBytesMax,
      deadlineMs,
      region: config.region,
      loopback: listen.loopback,
      ...(tokenSha256 === undefined ? {} : { tokenSha256 }),
      ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    },
  };
  const module = new URL("./http-actor.ts", import.meta.url);
  return {
    name: "http",
    permissions: { net: true },
    actors: [{ module, export: "httpActor", id: config.node, config: settings }],
  };
}
