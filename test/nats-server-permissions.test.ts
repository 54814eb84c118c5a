import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { open, within, type Client } from "./nats-server-support.ts";
import { startTestNats } from "./real-nats.ts";

test("users may do what their permissions say and nothing else", async () => {
  const password = "s\"e}c'r\\e t$HOME#\nline";
  await using nats = await startTestNats({
    jetStream: false,
    users: [
      {
        user: "writer",
        password,
        permissions: { publish: { allow: ["in.>"], deny: ["in.secret"] }, subscribe: { allow: ["_INBOX_w.>"] } },
      },
      {
        user: "reader }",
        password: "two",
        permissions: { publish: { allow: [] }, subscribe: { allow: ["in.>"] }, allowResponses: true },
      },
      { user: "nobody", password: "three", permissions: {} },
      { user: "root", password: "four", permissions: "all" },
    ],
  });
  await expect(connect({ servers: nats.url })).rejects.toThrow(/authorization/i);
  await expect(connect({ servers: nats.url, user: "root", pass: "wrong" })).rejects.toThrow(/authorization/i);
  await using writer = await open(nats.url, "writer", password);
  await using reader = await open(nats.url, "reader }", "two");
  await using nobody = await open(nats.url, "nobody", "three");
  await using root = await open(nats.url, "root", "four");

  const subscription = reader.connection.subscribe("in.a", {
    max: 1,
    callback: (_error, message) => void message.respond("answer"),
  });
  await reader.connection.flush();
  writer.connection.publish("in.a", "hello", { reply: "_INBOX_w.1" });
  await within(subscription.closed);
  expect(subscription.getProcessed()).toBe(1);
  expect(await refusals(writer)).toEqual([]);

  writer.connection.publish("out.a");
  writer.connection.publish("in.secret");
  writer.connection.publish("$JS.API.INFO");
  expect(await refusals(writer)).toEqual(["publish out.a", "publish in.secret", "publish $JS.API.INFO"]);
  reader.connection.publish("in.a");
  reader.connection.subscribe("out.a", { callback: () => undefined });
  expect(await refusals(reader)).toEqual(["publish in.a", "subscription out.a"]);
  nobody.connection.publish("x");
  nobody.connection.subscribe("x", { callback: () => undefined });
  expect(await refusals(nobody)).toEqual(["publish x", "subscription x"]);
  root.connection.publish("anything");
  expect(await refusals(root)).toEqual([]);
});

/** What the server has refused this client since the last time. The answer to a ping comes after all refusals before it. */
async function refusals({ connection, refused }: Client): Promise<string[]> {
  await connection.flush();
  await delay(0);
  return refused.splice(0);
}
