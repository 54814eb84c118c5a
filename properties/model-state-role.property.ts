// Goal: whatever is promoted when, whoever has followed the log how far: at most one region trains, by what each knows itself, and every
// decision is carried out by the region that it names.
// Method: regions hold beginnings of one log; the one where it goes on may append to it, by compare-and-set; any other may follow some
// of it, restart, or lose what it only heard. A region acts by its own copy alone.
import fc from "fast-check";
import { expect, test } from "vitest";
import { applyEntry, EMPTY_LOG, type LogEntry } from "../protocols/model-state/region-log.ts";
import { logHome, type Role, roleOf } from "../protocols/model-state/role.ts";

const REGIONS = ["frankfurt", "oregon", "singapore"] as const;
type Region = (typeof REGIONS)[number];
const FIRST = "oregon";

const steps = fc.array(
  fc.oneof(
    fc.record({
      act: fc.constant("promote" as const),
      at: fc.constantFrom(...REGIONS),
      to: fc.constantFrom(...REGIONS),
      /** Numbered otherwise than the next one: such an entry must change nothing. */
      off: fc.constantFrom(0, 0, 0, -1, 1),
    }),
    fc.record({ act: fc.constant("take-over" as const), at: fc.constantFrom(...REGIONS) }),
    fc.record({ act: fc.constant("follow" as const), at: fc.constantFrom(...REGIONS), entries: fc.nat(3) }),
  ),
  { maxLength: 60, size: "max" },
);

/** The regions' copies of the log, by how much of it each holds. */
class LogWorld {
  readonly entries: LogEntry[] = [];
  readonly held = new Map<Region, number>(REGIONS.map((region) => [region, 0] as const));

  role(region: Region, held = this.held.get(region) ?? 0): Role {
    return roleOf(this.#replay(held), { region, first: FIRST });
  }

  #replay(held: number): typeof EMPTY_LOG {
    let state = EMPTY_LOG;
    for (const [at, entry] of this.entries.slice(0, held).entries()) state = applyEntry(state, at + 1, entry);
    return state;
  }

  /** Compare-and-set, in the own stream: only who holds all of the log appends to it. */
  append(region: Region, entry: LogEntry): boolean {
    if (this.held.get(region) !== this.entries.length || this.home() !== region) return false;
    this.entries.push(entry);
    this.held.set(region, this.entries.length);
    return true;
  }

  home(): string {
    return logHome(this.#replay(this.entries.length), FIRST);
  }

  follow(region: Region, entries: number): void {
    this.held.set(region, Math.min(this.entries.length, (this.held.get(region) ?? 0) + entries));
  }
}

test("at most one region trains, whatever the others have heard, and none does before the one before it knows that it does not", () => {
  let moves = 0;
  fc.assert(
    fc.property(steps, (all) => {
      const world = new LogWorld();
      for (const step of all) {
        const role = world.role(step.at);
        if (step.act === "follow") world.follow(step.at, step.entries);
        else if (step.act === "promote" && step.to !== role.training) {
          // Also by who should not: what is no next promotion, or comes while one runs, changes nothing.
          const counts = step.off === 0 && role.next === undefined;
          if (world.append(step.at, { kind: "promote", atMs: 1, to: step.to, term: role.term + 1 + step.off })) {
            expect(world.role(step.at).next).toBe(counts ? step.to : role.next);
          }
        } else if (step.act === "take-over" && role.duty === "takes-over") {
          // As the copy of the log is taken over before anything is appended to it.
          world.follow(step.at, world.entries.length);
          if (world.append(step.at, { kind: "training", atMs: 1, region: step.at, term: role.term })) moves += 1;
        }
        const training = REGIONS.filter((region) => world.role(region).duty === "trains");
        expect(training.length).toBeLessThanOrEqual(1);
        const whole = world.entries.length;
        const duties = REGIONS.map((region) => world.role(region, whole).duty);
        // By the whole log there is one who trains, or one who hands over and one who takes over.
        expect(duties.filter((duty) => duty === "trains" || duty === "takes-over")).toHaveLength(1);
        expect(duties.includes("takes-over")).toBe(duties.includes("hands-over"));
        expect(new Set(REGIONS.map((region) => world.role(region, whole).training)).size).toBe(1);
      }
    }),
    { numRuns: 1_000 },
  );
  expect(moves).toBeGreaterThan(100);
});
