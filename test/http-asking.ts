import { createApp, type HttpApp } from "../regions/http-app.ts";
import { type HttpOptions } from "../regions/http-ports.ts";
import { httpWorld, OPTIONS } from "./http-world.ts";

export const JSON_TYPE = { "content-type": "application/json" };

/** A response, read. `body` is its JSON, if it is JSON. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
}

/** Asks the app for a path. */
export async function ask(app: HttpApp, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await app.fetch(new Request(`http://127.0.0.1${path}`, init));
  const text = await response.text();
  const json = (response.headers.get("content-type") ?? "").startsWith("application/json");
  const body: unknown = json && text !== "" ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, text, body };
}

/** Posts events. */
export async function post(app: HttpApp, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return ask(app, "/v1/events", { method: "POST", body: text, headers: { ...JSON_TYPE, ...headers } });
}

/** An app and the region behind it. */
export function appWith(options: Partial<HttpOptions> = {}): {
  readonly app: HttpApp;
  readonly world: ReturnType<typeof httpWorld>;
} {
  const world = httpWorld();
  return { app: createApp(world.ports, { ...OPTIONS, ...options }), world };
}
