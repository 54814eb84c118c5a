import { afterAll, beforeAll, expect, test } from "vitest";
import { imagesWritten } from "./e2e-images.ts";
import { SHARDS, startThreeRegions, type ThreeRegions } from "./e2e-regions.ts";
import { eventually, shownAndClicked } from "./e2e-support.ts";
import { type Answer, type TestNode } from "./test-node.ts";

const ITEMS = Array.from({ length: 30 }, (_, index) => `item-${index}`);
/** From the answer to the click until another region recommends differently. */
const FRESH_MS = 2_000;
const ATTEMPTS = 3;

let world: ThreeRegions;

beforeAll(async () => {
  world = await startThreeRegions();
  expect(await world.frankfurt.post(ITEMS.flatMap((item, at) => shownAndClicked(`early-${at % 7}`, item)))).toBe(202);
  await world.converged(world.all);
  for (const node of world.all) await ranked(node, "anybody", ITEMS.length);
}, 90_000);

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** The model's own answer, as soon as it knows so many items. */
async function ranked(node: TestNode, user: string, items: number, record = false): Promise<Answer> {
  return eventually(`${node.region} ranks ${items} items`, async () => {
    const answer = await node.recommend(user, { record });
    return answer?.step === "model" && answer.items.length >= items ? answer : undefined;
  });
}

/** That everybody agrees says nothing of what nobody has read yet: what was posted is waited for by name. */
async function learned(node: TestNode, item: string, clicks: number): Promise<void> {
  await eventually(
    `${node.region} has ${clicks} clicks of ${item}`,
    async () => ((await node.clicksOf(item)) === clicks ? true : undefined),
    40_000,
  );
}

function scoreOf(answer: Answer | undefined, item: string): number {
  return answer?.items.find((each) => each.item === item)?.score ?? 0;
}

function order(answer: Answer | undefined): string {
  return (answer?.items ?? []).map(({ item }) => item).join(" ");
}

function clicksOn(answer: Answer, items: readonly string[]): object[] {
  return items.map((item) => ({ type: "feedback", request: answer.request, item }));
}

/** Milliseconds from a click in frankfurt until singapore ranks what was clicked higher for that user. Undefined when it takes too long. */
async function freshness(user: string): Promise<number | undefined> {
  const { frankfurt, singapore } = world;
  await world.converged(world.all);
  const shown = await ranked(frankfurt, user, ITEMS.length, true);
  const before = await ranked(singapore, user, ITEMS.length);
  // Nothing else is going on: without the click the answer stays.
  expect(order(await singapore.recommend(user, { record: false }))).toBe(order(before));
  const disliked = shown.items.slice(-3).map(({ item }) => item);

  expect(await frankfurt.post(clicksOn(shown, disliked))).toBe(202);
  const from = performance.now();
  while (performance.now() - from < FRESH_MS) {
    const now = await singapore.recommend(user, { record: false });
    const tookMs = performance.now() - from;
    const rose = now?.step === "model" && disliked.every((item) => scoreOf(now, item) > scoreOf(before, item));
    if (rose && order(now) !== order(before)) return tookMs;
  }
  return undefined;
}

test("feedback posted in one region changes that user's recommendations in another within 2 s", async () => {
  let tookMs: number | undefined;
  // A machine that does other things may be late; what never works is a fault.
  for (let attempt = 0; attempt < ATTEMPTS && tookMs === undefined; attempt++) {
    tookMs = await freshness(`eager-${attempt}`);
  }
  expect(tookMs).toBeDefined();
}, 60_000);

test("a region node killed with SIGKILL restores its image, serves from it alone, and catches up", async () => {
  const { frankfurt, oregon, singapore } = world;
  await world.converged(world.all);
  await imagesWritten(singapore);
  await singapore.kill();
  world.cutOff(singapore);
  expect(await frankfurt.post(shownAndClicked("meanwhile", "while-away"))).toBe(202);
  await learned(oregon, "while-away", 1);

  singapore.lines.length = 0;
  await singapore.start();
  await singapore.ready();
  expect(singapore.lines.filter((line) => line.includes("A shard was restored from its image"))).toHaveLength(
    SHARDS.length,
  );
  // What it has now can only come from the image: nobody reaches it.
  expect((await singapore.status())?.links.map(({ connected }) => connected)).toEqual([false, false]);
  const alone = await ranked(singapore, "anybody", ITEMS.length);
  expect(alone.items.map(({ item }) => item)).not.toContain("while-away");
  expect(await singapore.clicksOf("item-0")).toBe(1);
  expect(await singapore.clicksOf("while-away")).toBeUndefined();

  world.heal(singapore);
  await learned(singapore, "while-away", 1);
  await world.converged(world.all);
  const again = await ranked(singapore, "anybody", ITEMS.length + 1);
  expect(again.items.map(({ item }) => item)).toContain("while-away");
}, 90_000);

/** It serves, takes feedback and holds its leases, which it renews. */
async function expectOnItsOwnFeet(node: TestNode, item: string): Promise<void> {
  const shown = await ranked(node, "loyal", ITEMS.length, true);
  const clicked = shown.items[0]?.item ?? "";
  expect(
    await node.post([
      ...clicksOn(shown, [clicked]),
      ...shownAndClicked("loyal", item),
      ...shownAndClicked("fond", item),
    ]),
  ).toBe(202);
  await eventually(`${node.region} leads its shards`, async () => {
    const leaders = (await node.status())?.leaders ?? [];
    return SHARDS.every(({ shard }) => leaders.some((each) => each.shard === shard && each.holder === "a"))
      ? true
      : undefined;
  });
  const renewed = await node.lastOf("KV_LEASES");
  await eventually(`${node.region} renews its leases`, async () =>
    (await node.lastOf("KV_LEASES")) > renewed ? true : undefined,
  );
}

test("a region that is cut off, and the others, go on through a restart of its node and server; healed, all is learned everywhere", async () => {
  const { frankfurt, oregon, singapore } = world;
  await world.converged(world.all);
  world.cutOff(frankfurt);
  await eventually("everybody sees the cut", async () => {
    const [near, ...far] = await Promise.all(world.all.map((node) => node.status()));
    const isAlone = near?.links.every(({ connected }) => !connected) === true;
    return isAlone &&
      far.every((status) => status?.links.some(({ peer, connected }) => peer === "frankfurt" && !connected))
      ? true
      : undefined;
  });
  await expectOnItsOwnFeet(frankfurt, "cut-first");

  const natsPid = await frankfurt.natsPid();
  await frankfurt.kill();
  try {
    process.kill(natsPid, "SIGKILL");
  } catch {
    // Its owner's end ended it already.
  }
  frankfurt.lines.length = 0;
  await frankfurt.start();
  await frankfurt.ready();
  expect((await frankfurt.status())?.links.map(({ connected }) => connected)).toEqual([false, false]);

  await expectOnItsOwnFeet(frankfurt, "cut-second");
  await expectOnItsOwnFeet(oregon, "far-oregon");
  await expectOnItsOwnFeet(singapore, "far-singapore");
  await learned(singapore, "far-singapore", 2);
  await learned(singapore, "far-oregon", 2);
  // Nobody learned from frankfurt, and frankfurt from nobody.
  expect(await oregon.clicksOf("cut-first")).toBeUndefined();
  expect(await oregon.clicksOf("cut-second")).toBeUndefined();
  expect(await frankfurt.clicksOf("far-oregon")).toBeUndefined();

  world.heal(frankfurt);
  await learned(oregon, "cut-second", 2);
  await world.converged(world.all);
  for (const node of world.all) {
    for (const item of ["cut-first", "cut-second", "far-oregon", "far-singapore"]) {
      expect([node.region, item, await node.clicksOf(item)]).toEqual([node.region, item, 2]);
    }
  }
}, 150_000);
