import { expect, test } from "vitest";
import { createApp } from "../regions/http-app.ts";
import { tokenDigest } from "../regions/http-guard.ts";
import { serveHttp } from "../regions/http-server.ts";
import { httpWorld, OPTIONS } from "./http-world.ts";
import { freshet } from "./run-freshet.ts";

test("member ls, add and retire ask a node, and say what it answers and what it refuses", async () => {
  const world = httpWorld();
  const app = createApp(world.ports, { ...OPTIONS, tokenSha256: tokenDigest("secret-token") });
  await using server = await serveHttp(app, { host: "127.0.0.1", port: 0 });
  const url = `127.0.0.1:${server.port}`;
  const env = { FRESHET_TOKEN: "secret-token" };
  const listed = await freshet(["member", "ls", url], { env });
  expect(listed).toMatchObject({ code: 0, err: "" });
  expect(listed.out).toMatch(/members, number 2; oregon trains\n  oregon\/a +member +since entry 2/);
  const added = await freshet(["member", "add", "singapore/b", url, "--json"], { env });
  expect(JSON.parse(added.out)).toMatchObject({ number: 3, members: [{}, { region: "singapore", isRetired: false }] });
  const retired = await freshet(["member", "retire", "singapore/b", url], { env });
  expect(retired.out).toMatch(/singapore\/b +retired +since entry 3/);
  const refused = await freshet(["member", "retire", "oregon/a", url], { env });
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toContain("The members stay as they are: oregon/a trains; let another region train first");
  expect((await freshet(["member", "ls", url])).err).toContain("it wants a token; set FRESHET_TOKEN");
  const names = ["frankfurt", "frankfurt/b/c", "Frankfurt/b", "/b"];
  const wrong = await Promise.all(names.map((name) => freshet(["member", "add", name, url], { env })));
  for (const [at, { code, err }] of wrong.entries()) {
    expect([code, err]).toEqual([2, expect.stringContaining(`${JSON.stringify(names[at])} is no REGION/NODE`)]);
  }
});

test("promote says why training stays, and is called wrongly without a region", async () => {
  const world = httpWorld();
  await using server = await serveHttp(createApp(world.ports, OPTIONS), { host: "127.0.0.1", port: 0 });
  const url = `127.0.0.1:${server.port}`;
  const refused = await freshet(["promote", "singapore", url]);
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toContain("Training stays where it is: singapore does not answer, and nobody would train until");
  const there = await freshet(["promote", "oregon", url, "--json"], {});
  expect([there.code, JSON.parse(there.out)]).toEqual([0, { training: "oregon", term: 0 }]);
  expect((await freshet(["promote", "Oregon", url])).err).toContain('"Oregon" is no region, such as frankfurt');
});
