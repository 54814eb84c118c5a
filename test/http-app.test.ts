import { expect, test } from "vitest";
import { expectSoundMarkup } from "./balanced-markup.ts";
import { tokenDigest } from "../regions/http-guard.ts";
import { HTTP_LIMITS } from "../regions/http-ports.ts";
import { appWith, ask, JSON_TYPE, post } from "./http-asking.ts";
import { NOW_MS } from "./http-world.ts";

const IMPRESSION = { type: "impression", request: "r1", user: "u1", item: "i1" };
const CLICK = { type: "feedback", request: "r1", item: "i1" };

test.each([
  ["one event", CLICK, 1],
  ["a list", [IMPRESSION, CLICK], 2],
  ["an object with a list", { events: [IMPRESSION, CLICK, CLICK] }, 3],
])("POST /v1/events stores %s whole before it answers 202", async (_, body, accepted) => {
  const { app, world } = appWith();
  const answer = await post(app, body);
  expect(answer.status).toBe(202);
  expect(answer.body).toEqual({ accepted, sequence: 1, duplicate: false });
  expect(world.stored).toHaveLength(1);
  expect(world.stored[0]).toHaveLength(accepted);
  expect(world.stored[0]).toContainEqual({ ...CLICK, kind: "click", time: NOW_MS });
  expect(world.counted.get("freshet_http_events_total{}")).toBe(accepted);
});

test("quality over time is a page that reaches for nothing elsewhere, and JSON", async () => {
  const { app } = appWith();
  const page = await app.fetch(new Request("http://127.0.0.1:8080/quality"));
  expect(page.status).toBe(200);
  expect(page.headers.get("content-type")).toContain("text/html");
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
  const html = await page.text();
  expectSoundMarkup(html);
  expect(html).toContain("Quality in oregon");
  const { body } = await ask(app, "/v1/quality");
  expect(body).toMatchObject({ windowMs: 60_000, models: [{ model: "clicks", series: [{ points: [{ auc: 0.7 }] }] }] });
});

test("one bad event refuses them all, and every bad one is listed", async () => {
  const { app, world } = appWith();
  const answer = await post(app, {
    events: [IMPRESSION, { ...CLICK, itme: "x" }, 7, { ...CLICK, time: NOW_MS + 3_600_000 }],
  });
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({
    error: {
      code: "bad-events",
      problems: [{ path: "events[1].itme" }, { path: "events[2]", given: "7" }, { path: "events[3].time" }],
    },
  });
  expect(world.stored).toEqual([]);
  expect(app.counts()).toEqual({ eventsAccepted: 0, eventsRefused: 1, inFlight: 0 });
});

test("the same body under the same Idempotency-Key is stored once and counted once", async () => {
  const { app, world } = appWith();
  const first = await post(app, CLICK, { "idempotency-key": "k1" });
  const second = await post(app, CLICK, { "idempotency-key": "k1" });
  expect(first.body).toEqual({ accepted: 1, sequence: 1, duplicate: false });
  expect(second.body).toEqual({ accepted: 1, sequence: 1, duplicate: true });
  expect(world.stored).toHaveLength(1);
  expect(app.counts().eventsAccepted).toBe(1);
  expect(world.counted.get("freshet_http_events_total{}")).toBe(1);
});

test("another body under an Idempotency-Key that was used is stored, not swallowed", async () => {
  const { app, world } = appWith();
  await post(app, CLICK, { "idempotency-key": "k1" });
  const other = await post(app, { ...CLICK, item: "i2" }, { "idempotency-key": "k1" });
  expect(other.body).toEqual({ accepted: 1, sequence: 2, duplicate: false });
  expect(world.stored).toHaveLength(2);
  expect(app.counts().eventsAccepted).toBe(2);
});

test("events that cannot be stored are not accepted", async () => {
  const { app, world } = appWith();
  world.append = "fails";
  const answer = await post(app, CLICK);
  expect(answer.status).toBe(503);
  expect(answer.headers.get("retry-after")).toBe("1");
  expect(answer.body).toMatchObject({ error: { code: "not-stored" } });
  expect(world.counted.get('freshet_http_refused_total{"reason":"not-stored"}')).toBe(1);
  expect(world.counted.get('freshet_http_requests_total{"route":"/v1/events","status":"503"}')).toBe(1);
});

test.each([
  ["no JSON", "{", 400, "bad-json"],
  ["nothing", "", 400, "bad-json"],
  ["no event", [], 400, "bad-events"],
  ["no events", { events: [] }, 400, "bad-events"],
  ["too many events", Array.from({ length: 1_001 }, () => CLICK), 400, "bad-events"],
  [
    "an event nested without end",
    `[{"type":"impression","features":${"[".repeat(40_000)}${"]".repeat(40_000)}}]`,
    400,
    "bad-events",
  ],
  ["null", "null", 400, "bad-events"],
])("POST /v1/events refuses %s", async (_, body, status, code) => {
  const { app, world } = appWith();
  const answer = await post(app, body);
  expect(answer.status).toBe(status);
  expect(answer.body).toMatchObject({ error: { code } });
  expect(world.stored).toEqual([]);
});

test("a body that is not UTF-8 is refused, not mended", async () => {
  const { app } = appWith();
  const body = new Uint8Array([
    ...new TextEncoder().encode('{"type":"feedback","request":"r","item":"'),
    0xff,
    ...new TextEncoder().encode('"}'),
  ]);
  const answer = await ask(app, "/v1/events", { method: "POST", body, headers: JSON_TYPE });
  expect(answer.body).toMatchObject({ error: { code: "bad-json" } });
});

test("a body beyond the limit is refused, whatever it says of its length", async () => {
  const { app, world } = appWith({ bodyBytesMax: 1_000 });
  const declared = await post(app, CLICK, { "content-length": "1001" });
  expect(declared.status).toBe(413);
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 100;
      controller.enqueue(new TextEncoder().encode(" ".repeat(100)));
    },
  });
  const init: RequestInit & { duplex: "half" } = { method: "POST", body: endless, headers: JSON_TYPE, duplex: "half" };
  const streamed = await ask(app, "/v1/events", init);
  expect(streamed.status).toBe(413);
  expect(sent).toBeLessThan(2_000);
  expect(world.stored).toEqual([]);
});

test("events that are too large together as they are stored are refused", async () => {
  const { app, world } = appWith({ bodyBytesMax: 10_000_000 });
  const features = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`f${index}`, "x".repeat(200)]));
  const answer = await post(
    app,
    Array.from({ length: 200 }, () => ({ ...IMPRESSION, features })),
  );
  expect(answer.body).toMatchObject({ error: { code: "too-large" } });
  expect(answer.status).toBe(413);
  expect(world.stored).toEqual([]);
});

test.each([{ "content-type": "text/plain" }, { "content-type": "" }, { "content-encoding": "gzip" }])(
  "POST /v1/events takes plain JSON only: %o",
  async (headers) => {
    const { app } = appWith();
    const answer = await post(app, CLICK, headers);
    expect(answer.status).toBe(415);
    expect(answer.body).toMatchObject({ error: { code: "wrong-type" } });
  },
);

test("URLs and queries have limits", async () => {
  const { app } = appWith();
  expect((await ask(app, `/v1/recommendations?user=u&${"a".repeat(HTTP_LIMITS.urlCharsMax)}`)).status).toBe(414);
  const many = Array.from({ length: HTTP_LIMITS.queryFieldsMax }, (_, index) => `f${index}=`).join("&");
  expect((await ask(app, `/v1/recommendations?user=u&${many}`)).status).toBe(400);
});

test("unknown routes are 404 and wrong methods 405, as JSON", async () => {
  const { app, world } = appWith();
  const unknown = await ask(app, "/v2/events");
  expect([unknown.status, unknown.body]).toMatchObject([404, { error: { code: "unknown-route" } }]);
  const wrong = await ask(app, "/v1/events", { method: "DELETE" });
  expect([wrong.status, wrong.body]).toMatchObject([405, { error: { code: "wrong-method" } }]);
  expect(wrong.headers.get("allow")).toBe("POST");
  expect((await ask(app, "/healthz", { method: "HEAD" })).status).toBe(200);
  // A stranger cannot make a new series with every path.
  expect(world.counted.get('freshet_http_requests_total{"route":"other","status":"404"}')).toBe(1);
});

test("with a token, all but the probes need it", async () => {
  const { app, world } = appWith({ tokenSha256: tokenDigest("s3cret") });
  for (const path of ["/", "/v1/recommendations?user=u", "/status", "/metrics", "/unknown"]) {
    for (const authorization of [undefined, "Bearer wrong", "Bearer ", "Basic s3cret", "s3cret"]) {
      const answer = await ask(app, path, authorization === undefined ? {} : { headers: { authorization } });
      expect(answer.status, `${path} ${authorization}`).toBe(401);
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
    }
  }
  expect((await ask(app, "/status", { headers: { authorization: "Bearer s3cret" } })).status).toBe(200);
  expect((await ask(app, "/healthz")).status).toBe(200);
  expect((await ask(app, "/readyz")).status).toBe(200);
  expect(world.counted.get('freshet_http_refused_total{"reason":"unauthorised"}')).toBe(25);
});

test("requests beyond the rate are 429 and say when to come back", async () => {
  const { app, world } = appWith({ requestsPerSecond: 2 });
  const statuses = [];
  for (let index = 0; index < 3; index++) statuses.push((await post(app, CLICK)).status);
  expect(statuses).toEqual([202, 202, 429]);
  expect((await post(app, CLICK)).headers.get("retry-after")).toBe("1");
  expect((await ask(app, "/healthz")).status).toBe(200);
  world.nowMs += 500;
  expect((await post(app, CLICK)).status).toBe(202);
  expect((await post(app, CLICK)).status).toBe(429);
  // A clock that jumps back gives nothing and takes nothing.
  world.nowMs -= 3_600_000;
  expect((await post(app, CLICK)).status).toBe(429);
  world.nowMs += 1_000;
  expect((await post(app, CLICK)).status).toBe(202);
});

test("what a stranger's web page can have a browser send is refused", async () => {
  const { app } = appWith();
  const crossSite = await ask(app, "/v1/recommendations?user=u", { headers: { "sec-fetch-site": "cross-site" } });
  expect(crossSite.body).toMatchObject({ error: { code: "cross-site" } });
  const rebound = await ask(app, "/status", { headers: { host: "evil.example.com:8080" } });
  expect(rebound.body).toMatchObject({ error: { code: "wrong-host" } });
  expect((await ask(app, "/status", { headers: { host: "localhost:8080" } })).status).toBe(200);
});

test("/readyz is 503 with the reasons until the node is ready", async () => {
  const { app, world } = appWith();
  world.ready = false;
  const not = await ask(app, "/readyz");
  expect([not.status, not.body]).toEqual([503, { ready: false, problems: ["the shards are loading"] }]);
  world.ready = true;
  const ready = await ask(app, "/readyz");
  expect([ready.status, ready.body]).toEqual([200, { ready: true, problems: [] }]);
  // A status looks at every row: too much for what is asked every second.
  expect(world.statusesAsked).toBe(0);
});

test("/status, /metrics and / say what they should", async () => {
  const { app } = appWith();
  expect((await ask(app, "/status")).body).toMatchObject({ region: "frankfurt", lagMs: { p99: 1250 } });
  const metrics = await ask(app, "/metrics");
  expect(metrics.text).toContain("freshet_up 1");
  expect(metrics.headers.get("content-type")).toContain("version=0.0.4");
  expect((await ask(app, "/")).text).toContain("/v1/recommendations");
});

test("/v1/members lists, adds and retires; what is no name is refused, and what the log does not take says why", async () => {
  const { app } = appWith();
  async function send(act: string, body: unknown): Promise<[number, unknown]> {
    const init = { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), headers: JSON_TYPE };
    const { status, body: answer } = await ask(app, `/v1/members/${act}`, init);
    return [status, answer];
  }
  expect((await ask(app, "/v1/members")).body).toMatchObject({ number: 2, training: "oregon" });
  const node = { region: "frankfurt", node: "b" };
  expect(await send("add", node)).toMatchObject([200, { members: [{}, { ...node, isRetired: false }] }]);
  expect(await send("retire", node)).toMatchObject([200, { members: [{}, { ...node, isRetired: true }] }]);
  const [status, refused] = await send("retire", { region: "oregon", node: "a" });
  expect([status, refused]).toMatchObject([409, { error: { code: "not-changed" } }]);
  for (const body of [{}, [], null, { region: "frankfurt" }, { ...node, since: 1 }, { region: "x.y", node: "a" }]) {
    expect(await send("add", body)).toMatchObject([400, { error: { code: "bad-member" } }]);
  }
  expect(await send("add", "{")).toMatchObject([400, { error: { code: "bad-json" } }]);
  expect(await send("add", " ".repeat(2_000))).toMatchObject([413, { error: { code: "too-large" } }]);
  expect((await ask(app, "/v1/members/add")).status).toBe(405);
});

test("stop() answers what runs and refuses the rest", async () => {
  const { app, world } = appWith();
  await app.refreshPopular();
  world.replica = "hangs";
  const running = ask(app, "/v1/recommendations?user=u&impressions=none");
  const stopped = app.stop();
  expect((await post(app, CLICK)).body).toMatchObject({ error: { code: "stopping" } });
  expect((await ask(app, "/readyz")).status).toBe(503);
  expect((await running).status).toBe(200);
  await stopped;
});
