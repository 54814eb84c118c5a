/*
 * Pulls that stand at the other end of a link, with small numbers.
 */
import { expect, test } from "vitest";
import { closePull, openStanding, wakeStanding } from "../protocols/sync/links.ts";
import { came, linkOf, pay } from "./link-steps.ts";

test("pulls stand while what they may bring fits the window; those that stood for long give way, the longest first", () => {
  const link = linkOf({ framesAtFirst: 2, pullsMax: 1 });
  link.expectedBytes = 500;
  function stand(shard: string, nowMs: number): unknown {
    return openStanding(link, { shard, nowMs });
  }
  expect(stand("a", 0)).toEqual({ burst: 1000, giveWay: [] });
  expect(link.standing.get("a")).toEqual({ weight: 0.5, burst: 1000, sinceMs: 0 });
  expect(stand("b", 10)).toEqual({ burst: 1000, giveWay: [] });
  expect(stand("c", 20)).toEqual({ burst: 1000, giveWay: [] });
  // At most three stand.
  expect(stand("d", 99)).toBeUndefined();
  expect(stand("d", 100)).toEqual({ burst: 1000, giveWay: ["a"] });
  expect([...link.standing.keys()]).toEqual(["b", "c", "d"]);
  // Four halves fit a window of two, and no more.
  link.window.frames = 1;
  expect(stand("e", 130)).toEqual({ burst: 1000, giveWay: ["b", "c"] });
  link.window.frames = 0.1;
  expect(stand("f", 1000)).toEqual({ burst: 1000, giveWay: ["d", "e"] });
  expect(stand("g", 1000)).toBeUndefined();
  expect([...link.standing.keys()]).toEqual(["f"]);
});

test("openings may stand together though no window has room, and one pull always", () => {
  const link = linkOf({ framesAtFirst: 1, pullsMax: 20, standingMax: 9 });
  link.expectedBytes = 500;
  const stood = Array.from({ length: 5 }, (_, at) => openStanding(link, { shard: `s${at}`, nowMs: 0 }) !== undefined);
  expect(stood).toEqual([true, true, true, true, false]);
  const large = linkOf({ framesAtFirst: 1, pullsMax: 1, frameBytes: 1000, framesMin: 0 });
  large.window.frames = 0;
  expect(openStanding(large, { shard: "a", nowMs: 0 })).toEqual({ burst: 1000, giveWay: [] });
});

test("what stands is bounded by what a budget saves up, nothing is left standing in debt, and little is expected of a little", () => {
  const link = linkOf({ framesAtFirst: 8 }, 8000);
  link.expectedBytes = 250;
  expect(openStanding(link, { shard: "a", nowMs: 0 })).toEqual({ burst: 1000, giveWay: [] });
  expect(openStanding(link, { shard: "b", nowMs: 0 })).toEqual({ burst: 1000, giveWay: [] });
  expect(openStanding(link, { shard: "c", nowMs: 0 })).toBeUndefined();
  link.expectedBytes = 10;
  closePull(link, "b");
  expect(openStanding(link, { shard: "c", nowMs: 0 })).toEqual({ burst: 100, giveWay: [] });
  expect(link.standing.get("c")?.weight).toBe(0.01);
  pay(link, 2001);
  expect(openStanding(link, { shard: "d", nowMs: 0 })).toBeUndefined();
});

test("a standing pull that is answered takes part like any other, and says nothing of how long the way is", () => {
  const link = linkOf({ framesAtFirst: 4 });
  openStanding(link, { shard: "a", nowMs: 0 });
  wakeStanding(link, "b");
  expect(link.pulls.size).toBe(0);
  wakeStanding(link, "a");
  expect([...link.standing.keys()]).toEqual([]);
  expect(link.pulls.get("a")).toEqual({
    isLong: false,
    frames: undefined,
    upTo: 1,
    received: 0,
    asks: [],
    weight: 1,
    burst: 1000,
    unpaid: 1,
  });
  openStanding(link, { shard: "c", nowMs: 0 });
  came(link, "c", { frames: 3, bytes: 500 });
  expect(link.pulls.get("c")).toMatchObject({ frames: 3, received: 1 });
  expect(link.window).toMatchObject({ base: undefined, latencyMs: undefined, frameBytes: 875 });
  openStanding(link, { shard: "d", nowMs: 0 });
  closePull(link, "d");
  expect([link.standing.size, link.pulls.has("d")]).toEqual([0, false]);
});
