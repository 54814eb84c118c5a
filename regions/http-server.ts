import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { type Listen } from "./config-values.ts";
import { type HttpApp } from "./http-app.ts";
import { HTTP_LIMITS } from "./http-ports.ts";

/** The HTTP interface cannot listen where its config says. */
export class CannotListen extends Error {
  override readonly name = "CannotListen";
  readonly host: string;
  readonly port: number;

  constructor(at: Pick<Listen, "host" | "port">, why: string, options?: ErrorOptions) {
    super(`Cannot listen for HTTP on ${at.host}:${at.port}: ${why}`, options);
    this.host = at.host;
    this.port = at.port;
  }
}

/** An HTTP server that takes requests. Disposing it stops it in order: what runs is answered, then connections are closed. */
export interface HttpServer extends AsyncDisposable {
  readonly host: string;
  /** The real one, where the config says 0. */
  readonly port: number;
}

const CLOSE_WITHIN_MS = 5_000;

/** Listens. Slow headers, slow bodies and more connections than allowed are cut by Node's own limits. */
export async function serveHttp(app: HttpApp, listen: Pick<Listen, "host" | "port">): Promise<HttpServer> {
  const answer = getRequestListener((request) => app.fetch(request), { overrideGlobalObjects: false });
  const server = createServer(
    {
      headersTimeout: HTTP_LIMITS.headersWithinMs,
      requestTimeout: HTTP_LIMITS.requestWithinMs,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 16_384,
    },
    (incoming, outgoing) => void answer(incoming, outgoing), // it answers 500 itself where we throw, and never rejects
  );
  server.maxConnections = HTTP_LIMITS.connectionsMax;
  await startListening(server, listen);
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : listen.port;
  return { host: listen.host, port, [Symbol.asyncDispose]: () => close(server, app) };
}

async function startListening(server: Server, at: Pick<Listen, "host" | "port">): Promise<void> {
  try {
    server.listen(at.port, at.host);
    await once(server, "listening");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new CannotListen(at, REASONS.get(code) ?? code, { cause: error });
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ["EADDRINUSE", "another process listens there already; stop it, or choose another port as http.listen"],
  ["EACCES", "this user may not listen on that port; choose one above 1023 as http.listen"],
  ["EADDRNOTAVAIL", "this machine has no such address"],
  ["ENOTFOUND", "no such host is known"],
]);

async function close(server: Server, app: HttpApp): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  const overdue = setTimeout(() => server.closeAllConnections(), CLOSE_WITHIN_MS);
  try {
    await app.stop();
    server.closeIdleConnections();
    await closed;
  } finally {
    clearTimeout(overdue);
  }
}
