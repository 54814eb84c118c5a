import { type Replica } from "../../protocols/sync/replica.ts";
import { type ReplicaEffect } from "../../protocols/sync/replica-state.ts";
import { type Mutate } from "../../protocols/sync/row-store.ts";
import { type ShardChecker } from "./checkers.ts";
import { type Knobs } from "./knobs.ts";
import { heldAs, numbersIn } from "./tables.ts";
import { type Surroundings } from "./surroundings.ts";

/** How a node writes a value, or deletes the row for 0; and the value that all see. */
export function editOf({ precision }: Knobs, value: number): { readonly seen: number; readonly mutate: Mutate } {
  // A number that f16 has not, of which all see the nearest that it has.
  const exact = precision === "f32" ? value : Math.fround(value + 0.3);
  return {
    seen: value === 0 ? 0 : heldAs(precision, exact),
    mutate: ({ floats, state, isNew }) => {
      if (value === 0) return isNew ? "skip" : "delete";
      floats.fill(exact);
      state.fill(exact);
      return undefined;
    },
  };
}

/** What a primary wrote anew is a write as any other: filed before the check. */
export function noteOrphans(
  world: Surroundings,
  options: {
    readonly replica: Replica;
    readonly checker: ShardChecker;
    readonly shard: number;
    readonly effects: readonly ReplicaEffect[];
  },
): void {
  const { replica, checker, shard, effects } = options;
  const { knobs, steps } = world;
  const { store, writer } = replica;
  for (const effect of effects) {
    if (effect.kind !== "applied" || effect.origin !== "orphan") continue;
    const { found, values } = store.read(0, effect.keys);
    const version = { t: effect.t[0] ?? 0, writer };
    world.count(found[0] === 1 ? "orphan written anew" : "orphan deleted");
    checker.wrote({
      key: Number(effect.keys[0]),
      version,
      value: numbersIn(knobs.precision, values)[0] ?? 0,
      deleted: found[0] === 0,
    });
    steps.stamped(version, shard);
  }
}
