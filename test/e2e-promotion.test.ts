import { expect, test } from "vitest";
import { learning } from "./crash-world.ts";
import { type Regions, startRegions } from "./e2e-regions.ts";
import { eventually } from "./e2e-support.ts";
import { expectOnce, feed, learnedMore, trains } from "./promotion-support.ts";
import { freshet } from "./run-freshet.ts";

/** Oregon trains, frankfurt can, and singapore serves. */
function startWithStandby(): Promise<Regions> {
  return startRegions({
    nodes: { oregon: ["a"], frankfurt: ["a"], singapore: ["a"] },
    training: "oregon",
    servers: "own",
    config: { ...learning(), standby: ["frankfurt"] },
  });
}

test("training moves there and back while feedback comes, and every event takes effect once", async () => {
  await using regions = await startWithStandby();
  const [oregon, frankfurt, singapore] = [regions.node("oregon"), regions.node("frankfurt"), regions.node("singapore")];
  const { stream, posting, stop } = feed(regions);
  await using _ = posting;
  try {
    await learnedMore(oregon);
    const refused = await freshet(["promote", "singapore", oregon.url]);
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(refused.err).toContain("Training stays where it is: singapore holds no optimizer state");
    const elsewhere = await freshet(["promote", "frankfurt", singapore.url]);
    expect(elsewhere.err).toContain("it is decided in oregon, the region that trains; ask a node there");

    const moved = await freshet(["promote", "frankfurt", oregon.url]);
    expect(moved).toMatchObject({ code: 0, err: "" });
    expect(moved.out).toMatch(/frankfurt trains, term 1\n$/);
    await trains("frankfurt", regions.all);
    await learnedMore(frankfurt);
    expect((await oregon.status())?.models[0]?.backlog).toBeUndefined();

    // Back again, while the region that takes over is killed with its server, and then the one that hands over.
    const decided = await fetch(`${frankfurt.url}/v1/promote`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ region: "oregon" }),
    });
    expect([decided.status, await decided.json()]).toMatchObject([
      200,
      { training: "frankfurt", term: 2, next: "oregon" },
    ]);
    for (const node of [oregon, frankfurt]) {
      await node.kill();
      await node.start();
    }
    await trains("oregon", regions.all);
    await learnedMore(oregon);
  } finally {
    await stop();
  }
  await expectOnce(regions, { trainer: oregon, stream, posting });
}, 300_000);

test("a region that is cut off loses training to another by force, writes on, and follows when it is back: all are equal, and every event took effect once, but for what it said counts twice", async () => {
  await using regions = await startWithStandby();
  const [oregon, frankfurt, singapore] = [regions.node("oregon"), regions.node("frankfurt"), regions.node("singapore")];
  const { stream, posting, stop } = feed(regions);
  await using _ = posting;
  let twice = 0;
  try {
    await learnedMore(oregon);
    await learnedMore(oregon);
    const there = await freshet(["promote", "frankfurt", "--force", frankfurt.url]);
    expect(there, oregon.lines.slice(-5).join("\n") + frankfurt.lines.slice(-20).join("\n")).toMatchObject({ code: 1 });
    expect(there.err).toContain("Training stays where it is: oregon answers: ask a node of oregon for it");
    regions.cutOff(oregon);
    const asked = await freshet(["promote", "frankfurt", frankfurt.url]);
    expect(asked).toMatchObject({ code: 1, out: "" });
    expect(asked.err).toContain("oregon does not answer");
    expect(asked.err).toContain("freshet promote frankfurt --force");
    const elsewhere = await freshet(["promote", "frankfurt", "--force", singapore.url]);
    expect(elsewhere.err).toContain("ask a node of frankfurt");

    const forced = await freshet(["promote", "frankfurt", "--force", frankfurt.url]);
    expect(forced).toMatchObject({ code: 0, err: "" });
    expect(forced.out).toMatch(/frankfurt goes on from message \d+ of the samples/);
    expect(forced.out).toMatch(/frankfurt trains, term 1\n$/);
    twice = Number(/the events behind the last (\d+) count twice/.exec(forced.out)?.[1] ?? 0);
    await trains("frankfurt", [frankfurt, singapore]);
    await learnedMore(frankfurt);
    // Behind its cut the old one takes itself for the primary, and learns on.
    expect(await oregon.training()).toMatchObject({ training: "oregon", term: 0 });
    await learnedMore(oregon);
    regions.heal(oregon);
    await trains("frankfurt", regions.all);
  } finally {
    await stop();
  }
  await expectOnce(regions, { trainer: frankfurt, stream, posting, twice });
  for (const node of regions.all) {
    await eventually(`${node.region} answers as of the new epoch`, async () => {
      await node.recommend("somebody", { record: false });
      return ((await node.metric("freshet_inference_epoch")) ?? 0) > 0 ? true : undefined;
    });
  }
}, 120_000);
