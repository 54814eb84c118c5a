import { type Context, Hono, type Next } from "hono";
import { messageOf } from "../protocols/wire/error-message.ts";
import { HttpRefusal, refusalResponse } from "./http-errors.ts";
import { storeEvents } from "./http-events.ts";
import { changeMember, promote } from "./http-members.ts";
import { checkOrigin, checkToken, TokenBucket } from "./http-guard.ts";
import { HTTP_LIMITS, type HttpOptions, type HttpPorts } from "./http-ports.ts";
import { qualityPage } from "./quality-page.ts";
import { Recommender } from "./http-recommendations.ts";

/** What the HTTP interface has done since it began. */
export interface HttpCounts {
  readonly eventsAccepted: number;
  /** Requests with events of which none was stored. */
  readonly eventsRefused: number;
  readonly inFlight: number;
}

/** The HTTP interface as a function from request to response, with no socket yet. */
export interface HttpApp {
  fetch(request: Request): Promise<Response>;
  counts(): HttpCounts;
  /** Fetches the popular lists that answer when the model cannot. */
  refreshPopular(): Promise<void>;
  /** From now on requests are refused; resolves when those that run are answered and what was shown is stored. */
  stop(): Promise<void>;
}

/** Every route, what it takes, and what it is for. */
const ROUTES = {
  "/": { method: "GET", open: false, about: "this list" },
  "/v1/events": {
    method: "POST",
    open: false,
    about: "store impressions and feedback: an event, a list of them, or {events: []}",
  },
  "/v1/recommendations": {
    method: "GET",
    open: false,
    about: "?user=&k=&model=&feature.NAME=&dense.NAME=&impressions=none",
  },
  "/quality": { method: "GET", open: false, about: "charts of each model's quality by window, as a page" },
  "/v1/quality": { method: "GET", open: false, about: "the same, as JSON" },
  "/v1/members": { method: "GET", open: false, about: "the nodes that hold the rows, as the region log names them" },
  "/v1/members/add": { method: "POST", open: false, about: "{region, node}: make it a member" },
  "/v1/members/retire": { method: "POST", open: false, about: "{region, node}: it is a member no longer" },
  "/v1/training": { method: "GET", open: false, about: "which region trains, and what a promotion waits for" },
  "/v1/promote": { method: "POST", open: false, about: "{region}: it is to train" },
  "/status": { method: "GET", open: false, about: "all that this node knows of itself, as JSON" },
  "/metrics": { method: "GET", open: false, about: "Prometheus metrics" },
  // Orchestrators and load balancers probe these two and hold no token.
  "/healthz": { method: "GET", open: true, about: "whether this process answers" },
  "/readyz": { method: "GET", open: true, about: "whether it can do its work, and if not, why" },
} as const;

/** Makes the HTTP interface. Every refusal is `{error: {code, message, problems?}}` and is counted by route, status and reason. */
export function createApp(ports: HttpPorts, options: HttpOptions): HttpApp {
  const recommender = new Recommender(options, ports);
  const { requestsPerSecond, tokenSha256 } = options;
  const bucket =
    requestsPerSecond === undefined
      ? undefined
      : new TokenBucket({ perSecond: requestsPerSecond, nowMs: ports.nowMs() });
  const counts = { eventsAccepted: 0, eventsRefused: 0 };
  let inFlight = 0;
  let state: "running" | "stopping" = "running";
  const idle = new Set<() => void>();

  const app = new Hono();
  app.onError((error, context) => {
    const refusal = error instanceof HttpRefusal ? error : unexpected(error);
    ports.metrics.count("freshet_http_refused_total", 1, { reason: refusal.code });
    return refusalResponse(context, refusal);
  });
  app.notFound(() => {
    throw new HttpRefusal(404, "unknown-route", `There is no such route; there are ${Object.keys(ROUTES).join(", ")}`);
  });
  app.use(count, admit);

  app.get("/", (context) => context.text(index()));
  app.get("/healthz", (context) => context.json({ alive: true }));
  app.get("/readyz", async (context) => {
    const { ready, problems } = await readiness();
    return context.json({ ready, problems }, ready ? 200 : 503);
  });
  app.get("/status", async (context) => context.json(await ports.status(within(HTTP_LIMITS.statusWithinMs))));
  app.get("/metrics", async (context) => {
    const text = await ports.prometheus(within(HTTP_LIMITS.statusWithinMs));
    return context.text(text, 200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" });
  });
  app.post("/v1/events", async (context) => {
    try {
      const stored = await storeEvents(context.req.raw, { http: options, ports });
      if (!stored.duplicate) {
        counts.eventsAccepted += stored.accepted;
        ports.metrics.count("freshet_http_events_total", stored.accepted);
      }
      return context.json(stored, 202);
    } catch (error) {
      counts.eventsRefused++;
      throw error;
    }
  });
  app.get("/quality", async (context) => {
    const { models, nowMs, windowMs } = await ports.quality(within(HTTP_LIMITS.statusWithinMs));
    context.header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
    return context.html(qualityPage(models, { region: options.region, nowMs, windowMs }));
  });
  app.get("/v1/quality", async (context) => context.json(await ports.quality(within(HTTP_LIMITS.statusWithinMs))));
  app.get("/v1/members", async (context) => context.json(await ports.members(within(HTTP_LIMITS.statusWithinMs))));
  for (const act of ["add", "retire"] as const) {
    app.post(`/v1/members/${act}`, async (context) =>
      context.json(await changeMember(context.req.raw, { act, ports })),
    );
  }
  app.get("/v1/training", async (context) => context.json(await ports.training(within(HTTP_LIMITS.statusWithinMs))));
  app.post("/v1/promote", async (context) => context.json(await promote(context.req.raw, ports)));
  app.get("/v1/recommendations", async (context) => {
    const answer = await recommender.answer(new URL(context.req.url).searchParams);
    return context.json(answer);
  });

  async function count(context: Context, next: Next): Promise<void> {
    const { path } = context.req;
    const began = performance.now();
    inFlight++;
    try {
      await next();
    } finally {
      inFlight--;
      if (inFlight === 0) for (const wake of idle) wake();
    }
    const route = Object.hasOwn(ROUTES, path) ? path : "other";
    ports.metrics.count("freshet_http_requests_total", 1, { route, status: String(context.res.status) });
    ports.metrics.observe("freshet_http_request_seconds", (performance.now() - began) / 1000, { route });
    context.header("Cache-Control", "no-store");
    context.header("X-Content-Type-Options", "nosniff");
    if (state === "stopping") context.header("Connection", "close");
  }

  async function admit(context: Context, next: Next): Promise<void> {
    const { path, url, method } = context.req;
    const route = isRoute(path) ? ROUTES[path] : undefined;
    if (url.length > HTTP_LIMITS.urlCharsMax) {
      throw new HttpRefusal(414, "url-too-long", `A URL may have ${HTTP_LIMITS.urlCharsMax} characters`);
    }
    checkOrigin(context.req.raw, options);
    if (tokenSha256 !== undefined && route?.open !== true) checkToken(context.req.header("authorization"), tokenSha256);
    if (route !== undefined && method !== route.method && !(method === "HEAD" && route.method === "GET")) {
      throw new HttpRefusal(405, "wrong-method", `${path} takes ${route.method}`, { headers: { Allow: route.method } });
    }
    if (path.startsWith("/v1/")) admitWork();
    await next();
  }

  function admitWork(): void {
    if (state === "stopping") {
      throw new HttpRefusal(503, "stopping", "This node is stopping; ask another", { headers: { "Retry-After": "5" } });
    }
    if (inFlight > HTTP_LIMITS.inFlightMax) {
      throw new HttpRefusal(503, "busy", `${HTTP_LIMITS.inFlightMax} requests are being answered already`, {
        headers: { "Retry-After": "1" },
      });
    }
    const waitSeconds = bucket?.take(ports.nowMs()) ?? 0;
    if (waitSeconds > 0) {
      throw new HttpRefusal(429, "too-many-requests", `This node takes ${requestsPerSecond ?? 0} requests per second`, {
        headers: { "Retry-After": String(waitSeconds) },
      });
    }
  }

  async function readiness(): Promise<{ readonly ready: boolean; readonly problems: readonly string[] }> {
    if (state === "stopping") return { ready: false, problems: ["it is stopping"] };
    try {
      return await ports.ready(within(HTTP_LIMITS.readyWithinMs));
    } catch (error) {
      return {
        ready: false,
        problems: [`its supervisor does not answer: ${messageOf(error)}`],
      };
    }
  }

  function unexpected(error: Error): HttpRefusal {
    if (error.name === "AskFailed") {
      return new HttpRefusal(503, "no-answer", "The part of this node that knows does not answer now", {
        headers: { "Retry-After": "1" },
      });
    }
    // The message may hold what a user sent, or where our files lie; it goes to the log and no further.
    ports.log.error("a request failed", { why: error.message, stack: error.stack });
    return new HttpRefusal(500, "failed", "This request failed inside the node; its log says why");
  }

  return {
    fetch: async (request) => app.fetch(request),
    counts: () => ({ ...counts, inFlight }),
    refreshPopular: () => recommender.refreshPopular(),
    stop: async () => {
      state = "stopping";
      if (inFlight > 0) await new Promise<void>((resolve) => idle.add(resolve));
      await recommender.drained();
    },
  };
}

function isRoute(path: string): path is keyof typeof ROUTES {
  return Object.hasOwn(ROUTES, path);
}

function within(ms: number): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(ms) };
}

function index(): string {
  const lines = Object.entries(ROUTES).map(
    ([path, route]) => `${route.method.padEnd(4)} ${path.padEnd(22)} ${route.about}`,
  );
  return `freshet region node\n\n${lines.join("\n")}\n`;
}
