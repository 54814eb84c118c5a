import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { createApp } from "../regions/http-app.ts";
import { type HttpPorts } from "../regions/http-ports.ts";
import { CannotListen, type HttpServer, serveHttp } from "../regions/http-server.ts";
import { httpWorld, OPTIONS } from "./http-world.ts";

const ANYWHERE = { host: "127.0.0.1", port: 0 };

interface Served extends AsyncDisposable {
  readonly world: ReturnType<typeof httpWorld>;
  readonly server: HttpServer;
  readonly url: string;
}

async function serve(options: Partial<typeof OPTIONS> = {}): Promise<Served> {
  const world = httpWorld();
  const server = await serveHttp(createApp(world.ports, { ...OPTIONS, ...options }), ANYWHERE);
  return {
    world,
    server,
    url: `http://127.0.0.1:${server.port}`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Everything that the server sends until it closes the connection. */
async function readToEnd(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

test("serveHttp() answers over a real socket", async () => {
  await using served = await serve();
  const response = await fetch(`${served.url}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: "feedback", request: "r", item: "i" }),
  });
  expect(response.status).toBe(202);
  expect(await response.json()).toEqual({ accepted: 1, sequence: 1, duplicate: false });
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(served.world.stored).toHaveLength(1);
});

test("a port in use is a clear error that names it", async () => {
  await using served = await serve();
  const { port } = served.server;
  const second = serveHttp(createApp(httpWorld().ports, OPTIONS), { host: "127.0.0.1", port });
  await expect(second).rejects.toThrow(CannotListen);
  await expect(second).rejects.toThrow(
    `Cannot listen for HTTP on 127.0.0.1:${port}: another process listens there already`,
  );
});

test("a body sent in chunks is cut at the limit", async () => {
  await using served = await serve({ bodyBytesMax: 10_000 });
  const socket = connect(served.server.port, "127.0.0.1");
  socket.on("error", () => {}); // the server may close while we still write, which is what is wanted
  const answer = readToEnd(socket);
  socket.write(
    "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  for (let sent = 0; sent < 20_000; sent += 1_000) socket.write(`3e8\r\n${" ".repeat(1_000)}\r\n`);
  await expect(answer).resolves.toContain("HTTP/1.1 413 ");
  expect(served.world.stored).toEqual([]);
});

test("headers that are too large, or no HTTP at all, end the connection and nothing else", async () => {
  await using served = await serve();
  const large = connect(served.server.port, "127.0.0.1");
  large.write(`GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Large: ${"x".repeat(20_000)}\r\n\r\n`);
  await expect(readToEnd(large)).resolves.toContain("HTTP/1.1 431 ");
  const noise = connect(served.server.port, "127.0.0.1");
  noise.write("\u0000\u0001\u0002\r\n\r\n");
  await expect(readToEnd(noise)).resolves.toContain("HTTP/1.1 400 ");
  expect((await fetch(`${served.url}/healthz`)).status).toBe(200);
});

test("a client that never ends its headers is cut off", async () => {
  await using served = await serve();
  const socket = connect(served.server.port, "127.0.0.1");
  socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
  await expect(readToEnd(socket)).resolves.toContain("HTTP/1.1 408 ");
});

test("stopping answers what runs, closes idle connections and frees the port", async () => {
  const served = await serve();
  const { port } = served.server;
  const idle = connect(port, "127.0.0.1");
  await once(idle, "connect");
  const idleClosed = readToEnd(idle);
  const response = await fetch(`${served.url}/healthz`);
  await served[Symbol.asyncDispose]();
  await served[Symbol.asyncDispose]();
  expect(response.status).toBe(200);
  await response.body?.cancel();
  await expect(idleClosed).resolves.toBe("");
  await expect(fetch(`${served.url}/healthz`)).rejects.toThrow("fetch failed");
});

test("stopping waits for a request that is being answered", async () => {
  const { ports } = httpWorld();
  const [entered, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const recommend: HttpPorts["recommend"] = async (...args) => {
    entered.resolve();
    await released.promise;
    return ports.recommend(...args);
  };
  const server = await serveHttp(createApp({ ...ports, recommend }, { ...OPTIONS, deadlineMs: 5_000 }), ANYWHERE);
  const running = fetch(`http://127.0.0.1:${server.port}/v1/recommendations?user=u&impressions=none`);
  await entered.promise;
  const stopped = server[Symbol.asyncDispose]();
  released.resolve();
  const response = await running;
  await stopped;
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ step: "model" });
});
