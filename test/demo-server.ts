import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A real HTTP server on a free loopback port whose answers a test decides. Ends when disposed. */
export interface DemoServer extends AsyncDisposable {
  readonly url: string;
}

/** Starts one. `answer` gets the parsed body of a POST; undefined cuts the connection without an answer. */
export async function startDemoServer(
  answer: (request: IncomingMessage, body: unknown) => Answer | undefined,
): Promise<DemoServer> {
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
    const given = answer(request, text === "" ? undefined : JSON.parse(text));
    if (given === undefined) {
      request.socket.destroy();
      return;
    }
    response.writeHead(given.status, { "content-type": "application/json", ...given.headers });
    response.end(JSON.stringify(given.body ?? {}));
  }
  const server = createServer((request, response) => void handle(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
