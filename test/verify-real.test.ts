import { expect, test } from "vitest";
import { type Fault, type Harm, type Round, rounds, stalledWays } from "./real/fault-plan.ts";
import { Judgement } from "./real/judgement.ts";
import { runReal, TARGETS } from "./real/run.ts";
import { TRAINING } from "./real/world.ts";

function fault(harm: Harm, atMs: number, forMs: number): Fault {
  return { harm, atMs, forMs };
}

const [first, last] = ["frankfurt", "singapore"] as const;

/** Each fault at least once, the node that trains among those that are hit. */
const SCHEDULE: readonly Round[] = [
  [
    fault({ kind: "one-way", between: [TRAINING, first] }, 0, 3_000),
    fault({ kind: "suspend", node: `${last}/b` }, 300, 2_500),
    fault({ kind: "clock", node: `${TRAINING}/a`, offsetMs: 3_600_000 }, 500, 2_000),
    fault({ kind: "force", region: last }, 1_000, 5_000),
  ],
  [
    fault({ kind: "kill", node: `${TRAINING}/a` }, 0, 500),
    fault({ kind: "cut", between: [TRAINING, last] }, 200, 2_500),
    fault({ kind: "kill-server", node: `${first}/a` }, 400, 0),
    fault({ kind: "slow", between: [first, last], slowness: { delayMs: 50, bytesPerSecond: 50_000 } }, 0, 2_500),
  ],
  [
    // Asked again and again until the node that trains is back.
    fault({ kind: "promote", region: TRAINING }, 300, 60_000),
    fault({ kind: "kill-both", node: `${last}/a` }, 0, 800),
    fault({ kind: "black-hole", between: [TRAINING, first] }, 0, 2_000),
    fault({ kind: "clock", node: `${first}/b`, offsetMs: -1_800_000 }, 200, 2_000),
    fault(
      { kind: "flap", between: [TRAINING, last], slowness: { delayMs: 100, bytesPerSecond: 50_000 }, everyMs: 700 },
      0,
      5_000,
    ),
  ],
];

test("six real nodes hold what they promise under each fault, and are byte-equal after each round", async () => {
  const lines: string[] = [];
  const { folder, violations, faults, promotions, heals, compared, terms, effects } = await runReal({
    seed: 1,
    rounds: SCHEDULE,
    roundsMax: Infinity,
    forMs: Infinity,
    equalWithinMs: 60_000,
    signal: new AbortController().signal,
    say: (line) => lines.push(line),
  });
  expect(violations, [...lines.slice(-40), folder ?? ""].join("\n")).toEqual([]);
  expect(Object.keys(faults)).toHaveLength(12);
  expect(promotions).toEqual({ promote: 1, force: 1 });
  expect(heals).toBe(SCHEDULE.length);
  expect(compared).toBeGreaterThan(100);
  expect(terms).toBeGreaterThan(5);
  expect(effects?.clicks).toBeGreaterThan(20);
  expect(effects?.clicksApplied).toBe(effects?.clicks);
}, 400_000);

test("rounds() is the same for the same seed, and has every kind of fault before one comes again", () => {
  function draw(seed: number): Fault[] {
    return rounds(seed, TARGETS).take(60).toArray().flat();
  }
  expect(draw(5)).toEqual(draw(5));
  expect(draw(5)).not.toEqual(draw(6));
  for (let seed = 1; seed <= 20; seed += 1) {
    const kinds = draw(seed).map(({ harm }) => harm.kind);
    expect(new Set(kinds.slice(0, 12)).size).toBe(12);
    expect(new Set(kinds.slice(12, 24)).size).toBe(12);
  }
});

test("stalledWays() stops a direction in the links that either region has to the other, and nothing else", () => {
  const harm: Harm = { kind: "one-way", between: ["x", "y"] };
  expect(stalledWays(harm, { from: "x", to: "y" })).toEqual(["out"]);
  expect(stalledWays(harm, { from: "y", to: "x" })).toEqual(["back"]);
  expect(stalledWays(harm, { from: "x", to: "z" })).toEqual([]);
  expect(stalledWays({ kind: "black-hole", between: ["x", "y"] }, { from: "y", to: "x" })).toEqual(["out", "back"]);
});

test("Judgement sees a version go back, a row vanish, a second content and a second holder, and no more", () => {
  const judgement = new Judgement();
  const name = { table: "items", key: "1", shard: 0 };
  function at(t: number, content = "x", writer = "w"): Parameters<Judgement["row"]>[2] {
    return { found: true, version: { t, writer }, content };
  }
  expect(judgement.row("a", name, at(5))).toBeUndefined();
  expect(judgement.row("a", name, at(5))).toBeUndefined();
  expect(judgement.row("b", name, at(4, "old"))).toBeUndefined();
  expect(judgement.row("a", name, at(4, "old"))?.what).toBe("version went back");
  expect(judgement.row("a", name, at(5, "x", "v"))?.what).toBe("version went back");
  expect(judgement.row("a", name, { found: false, content: "" })?.what).toBe("row vanished");
  // A deleted row keeps a version.
  expect(judgement.row("a", name, { found: false, version: { t: 6, writer: "w" }, content: "" })).toBeUndefined();
  expect(judgement.row("b", name, at(5, "y"))?.what).toBe("two contents of one version");
  // By force a shard of a node that does not take over goes back once, and no other.
  const other = { ...name, key: "2", shard: 1 };
  judgement.row("b", other, at(5));
  judgement.forced("a");
  expect(judgement.row("a", name, { ...at(4), version: { t: 4, writer: "w" } })?.what).toBe("version went back");
  expect(judgement.row("b", name, at(3, "older"))).toBeUndefined();
  expect(judgement.row("b", name, at(2, "oldest"))?.what).toBe("version went back");
  expect(judgement.row("b", other, at(4, "old"))).toBeUndefined();
  // A later epoch comes first, whatever its times.
  expect(judgement.row("c", name, at(9, "x", "0.oregon.a.n"))).toBeUndefined();
  expect(judgement.row("c", name, at(2, "y", "1.frankfurt.a.n"))).toBeUndefined();
  judgement.forget("a");
  expect(judgement.row("a", name, at(4, "old"))).toBeUndefined();
  const lease = { shard: "m-0", holder: "a", term: 3 };
  expect(judgement.holder("x", lease)).toBeUndefined();
  expect(judgement.holder("x", { ...lease, term: 4, holder: "b" })).toBeUndefined();
  expect(judgement.holder("y", { ...lease, holder: "b" })).toBeUndefined();
  expect(judgement.holder("x", { ...lease, holder: "b" })?.what).toBe("two holders of one term");
});
