/*
 * What a config may say, and bounds elsewhere that rest on it.
 */
import { expect, test } from "vitest";
import { SYNC_LIMITS } from "../protocols/limits.ts";
import { mismatches } from "../regions/config-together.ts";
import { nodeAddresses } from "../regions/node-plan.ts";
import { LEAST, parse, problemsOf } from "./config-parsing.ts";

test("no row of a primary that restarted is refused: the limit is twice the time between its images, in its file and in those of others", () => {
  const every = { snapshot: { every: "30s" } };
  expect(problemsOf({ ...LEAST, ...every, sync: { jumpLimit: "59s" } })).toEqual([
    expect.stringContaining('sync.jumpLimit is "59s"'),
  ]);
  const trains = parse({ ...LEAST, ...every, sync: { jumpLimit: "1m" } });
  function follows(jumpLimit: string): ReturnType<typeof parse> {
    const peers = [{ region: "frankfurt", url: "nats://127.0.0.1:4222" }];
    // How often it writes images itself does not matter: it never stamps.
    return parse({ ...LEAST, region: "oregon", peers, sync: { jumpLimit }, snapshot: { every: "1h" } });
  }
  function found(jumpLimit: string): string[] {
    return mismatches([trains, follows(jumpLimit)]).filter((each) => each.includes("jumpLimit"));
  }
  expect(found("1m")).toEqual([]);
  expect(found("59s")).toEqual([
    "x.jsonc: its sync.jumpLimit is less than twice the snapshot.every of x.jsonc, whose rows it would refuse after a restart there",
  ]);
});

test("whatever numbers of trainers a model has had, a shard has room for the positions of all of them", () => {
  // More are refused ("more trainers than there may be").
  const ids = Array.from({ length: 16 }, (_, index) => {
    const { trainers } = nodeAddresses(parse({ ...LEAST, trainer: { count: index + 1 } }));
    return trainers("clicks").map(({ id }) => id);
  }).flat();
  expect([ids.length, new Set(ids).size]).toEqual([136, 136]);
  expect(ids.length).toBeLessThan(SYNC_LIMITS.trainersMax / 2);
});
