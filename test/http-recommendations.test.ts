import { expect, test } from "vitest";
import { HTTP_LIMITS } from "../regions/http-ports.ts";
import { appWith, ask } from "./http-asking.ts";
import { NOW_MS } from "./http-world.ts";

test("GET /v1/recommendations answers and records what it showed", async () => {
  const { app, world } = appWith();
  const answer = await ask(app, "/v1/recommendations?user=u1&k=3&model=movies&feature.device=phone&dense.age=41.5");
  expect(answer.status).toBe(200);
  expect(answer.body).not.toHaveProperty("dense");
  expect(answer.body).toMatchObject({
    request: "request-1",
    model: "movies",
    step: "model",
    items: [{ item: "item-0" }, { item: "item-1" }, { item: "item-2" }],
  });
  await app.stop();
  expect(world.stored).toEqual([
    [0, 1, 2].map((position) => ({
      type: "impression",
      request: "request-1",
      user: "u1",
      item: `item-${position}`,
      position,
      time: NOW_MS,
      features: { device: "phone" },
      dense: { age: 41.5, rank: position },
    })),
  ]);
});

test("a feature that stands several times is a list, in the order given", async () => {
  const { app, world } = appWith();
  const path = "/v1/recommendations?user=u1&k=1&feature.recent=103&feature.device=phone&feature.recent=104";
  expect((await ask(app, path)).status).toBe(200);
  for (const query of ["user=u2", "dense.age=1&dense.age=2", "feature.recent=a&feature.recent="]) {
    expect((await ask(app, `/v1/recommendations?user=u1&k=1&${query}`)).status).toBe(400);
  }
  await app.stop();
  expect(world.stored).toMatchObject([[{ features: { recent: "103\n104", device: "phone" } }]]);
});

test("impressions=none records nothing, and gives the caller what its own impressions need", async () => {
  const { app, world } = appWith();
  const answer = await ask(app, "/v1/recommendations?user=u1&k=2&dense.age=3&impressions=none");
  expect(answer.body).toMatchObject({
    dense: [
      { age: 3, rank: 0 },
      { age: 3, rank: 1 },
    ],
  });
  await app.stop();
  expect(world.stored).toEqual([]);
});

test("an answer does not wait for its impressions, and ones that cannot be stored are counted", async () => {
  const { app, world } = appWith();
  world.append = "fails";
  expect((await ask(app, "/v1/recommendations?user=u1&k=4")).status).toBe(200);
  await app.stop();
  expect(world.counted.get('freshet_http_impressions_dropped_total{"reason":"not-stored"}')).toBe(4);
});

test("impressions beyond the bound are dropped and counted, not kept", async () => {
  const { app, world } = appWith();
  world.append = "hangs";
  const answers = HTTP_LIMITS.impressionsMax / 100 + 50;
  for (let index = 0; index < answers; index++) await ask(app, "/v1/recommendations?user=u1&k=100");
  const dropped = world.counted.get('freshet_http_impressions_dropped_total{"reason":"full"}') ?? 0;
  expect(dropped).toBeGreaterThan(0);
  // One write of at most a thousand is under way; the rest waits.
  expect(dropped).toBeGreaterThanOrEqual(answers * 100 - HTTP_LIMITS.impressionsMax - 1_000);
});

test.each(["fails", "hangs"] as const)(
  "when the replica %s, the popular list that was fetched last answers",
  async (replica) => {
    const { app, world } = appWith();
    await app.refreshPopular();
    world.replica = replica;
    world.popular = "fails";
    await app.refreshPopular();
    const answer = await ask(app, "/v1/recommendations?user=u1&k=2");
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      step: "popular",
      model: "clicks",
      items: [{ item: "popular-0" }, { item: "popular-1" }],
    });
    expect(world.counted.get('freshet_http_recommendations_total{"model":"clicks","step":"popular"}')).toBe(1);
  },
);

test("503 only when nothing at all can answer", async () => {
  const { app, world } = appWith();
  world.replica = "fails";
  world.popular = "fails";
  await app.refreshPopular();
  const answer = await ask(app, "/v1/recommendations?user=u1");
  expect(answer.status).toBe(503);
  expect(answer.body).toMatchObject({ error: { code: "no-answer" } });
});

test.each([
  ["", "user"],
  ["user=", "user"],
  ["user=u&k=0", "k"],
  ["user=u&k=101", "k"],
  ["user=u&k=1e1", "k"],
  ["user=u&user=v", "user"],
  ["user=u&usr=v", "usr"],
  ["user=u&dense.age=old", "dense.age"],
  ["user=u&dense.age=1e39", "dense.age"],
  ["user=u&dense.age=", "dense.age"],
  ["user=u&feature.=x", "feature."],
  ["user=u&feature.__proto__=x", "feature.__proto__"],
  [`user=u&feature.a=${"x".repeat(257)}`, "feature.a"],
  ["user=u%00", "user"],
  ["user=u&impressions=all", "impressions"],
])("GET /v1/recommendations?%s is refused at %s", async (query, path) => {
  const { app } = appWith();
  const answer = await ask(app, `/v1/recommendations?${query}`);
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({ error: { code: "bad-query", problems: [{ path }] } });
});

test("an unknown model is 404 and names those there are", async () => {
  const { app } = appWith();
  const answer = await ask(app, "/v1/recommendations?user=u&model=books");
  expect(answer.status).toBe(404);
  expect(answer.body).toMatchObject({
    error: { code: "unknown-model", message: 'There is no model "books" here; there is: clicks, movies' },
  });
});
