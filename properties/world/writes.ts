import { type Replica } from "../../protocols/sync/replica.ts";
import { type ReplicaEffect } from "../../protocols/sync/replica-state.ts";
import { type Mutate } from "../../protocols/sync/row-store.ts";
import { type ShardChecker } from "./checkers.ts";
import { type Knobs } from "./knobs.ts";
import { heldAs, numbersIn } from "./tables.ts";
import { epochOf, type Version } from "../../protocols/sync/version.ts";
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

/** One write of a row; a value of 0 deletes it. */
export interface Write {
  readonly key: number;
  readonly value: number;
  readonly urgent: boolean;
  readonly nowMs: number;
  readonly batch?: { readonly trainer: string; readonly id: number };
}

/** V7, L6: a node took its write, which is filed; gives the version that it stamped. */
export function fileWrite(
  world: Surroundings,
  options: {
    readonly write: Write;
    readonly seen: number;
    readonly replica: Replica;
    readonly checker: ShardChecker;
    readonly shard: number;
    readonly effects: readonly ReplicaEffect[];
    readonly node: number;
    readonly where: string;
  },
): Version | undefined {
  const { write, seen, replica, checker, shard, effects, node, where } = options;
  const { key, value, urgent, nowMs } = write;
  const applied = effects.find((effect) => effect.kind === "applied");
  const version = applied && { t: applied.t[0] ?? 0, writer: replica.writer };
  if (world.judge.isBlind) return version;
  const written = effects.find((effect) => effect.kind === "written");
  const held = replica.store.versionOf(0, BigInt(key));
  const isBelow = held !== undefined && epochOf(held.writer) > epochOf(replica.writer);
  if ((written?.refused ?? 0) > 0) {
    if (isBelow) world.count("written below a later epoch");
    else world.judge.breach("V7", `a local write of ${where} lost against a row it had seen`);
  } else if (written?.rows !== 1 && value !== 0) world.judge.breach("L6", `${where} took no write`);
  if (version === undefined) return undefined;
  checker.wrote({ key, version, value: seen, deleted: value === 0 });
  world.count(value === 0 ? "deleted" : "written");
  if (urgent) world.count("written urgent");
  world.steps.stamped(version, shard);
  world.promotions.wrote(node, version);
  if (version.t > nowMs * 1000) world.count("stamped ahead of the clock");
  return version;
}

/** What a primary wrote anew is a write as any other: filed before the check. */
export function noteOrphans(
  world: Surroundings,
  options: {
    readonly replica: Replica;
    readonly checker: ShardChecker;
    readonly shard: number;
    readonly effects: readonly ReplicaEffect[];
    readonly node: number;
  },
): void {
  const { replica, checker, shard, effects, node } = options;
  const { knobs, steps } = world;
  const { store, writer } = replica;
  for (const effect of effects) {
    if (effect.kind !== "applied" || effect.origin !== "orphan") continue;
    const { found, values } = store.read(0, effect.keys);
    const version = { t: effect.t[0] ?? 0, writer };
    world.promotions.wrote(node, version);
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
