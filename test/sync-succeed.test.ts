import { expect, test } from "vitest";
import { createTableRowStore } from "../runtime/compute/table/table-row-store.ts";
import {
  contentOf,
  createReplica,
  type Replica,
  type ReplicaEffect,
  type ReplicaEvent,
  stepReplica,
} from "../protocols/sync/replica.ts";
import { type RowEdit, type TableSpec } from "../protocols/sync/row-store.ts";
import { buildWriterId } from "../protocols/sync/version.ts";

const TABLES: readonly TableSpec[] = [
  { name: "users", dim: 1, valueBytes: 4, stateBytes: 4, precision: "f32", optimizer: "test" },
];
const NOW_MS = 1_700_000_000_000;

function start(region: string): Replica {
  const writer = buildWriterId({ epoch: 0, region, node: "a", nonce: "n1" });
  return createReplica({ writer, store: createTableRowStore(TABLES, { state: true }) });
}

function learn(replica: Replica, id: number, key: bigint): ReplicaEffect[] {
  function mutate({ floats, state }: RowEdit): undefined {
    floats[0] = (floats[0] ?? 0) + id;
    state[0] = id;
  }
  const writes = [{ table: 0, keys: BigUint64Array.of(key), mutate }];
  return stepReplica(replica, { kind: "write", writes, batch: { trainer: "t", id } }, NOW_MS);
}

/** All that one has the other lacks. */
function pull(to: Replica, from: Replica, pullId: string): void {
  const queue: { readonly at: Replica; readonly event: ReplicaEvent }[] = [
    { at: to, event: { kind: "pull", peer: "from", pullId: pullId.padStart(32, "0") } },
  ];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { at, event } = next;
    for (const effect of stepReplica(at, event, NOW_MS)) {
      if (effect.kind !== "send") continue;
      const { message, body } = effect;
      const name = at === to ? "to" : "from";
      queue.push({ at: at === to ? from : to, event: { kind: "message", from: name, message, body } });
    }
  }
}

test("succeed takes another replica's positions when the rows are the same to the last version, and else nothing", () => {
  const [old, next] = [start("oregon"), start("frankfurt")];
  learn(old, 1, 7n);
  learn(old, 2, 8n);
  pull(next, old, "1");
  learn(old, 3, 7n);
  const succession = { kind: "succeed", content: contentOf(old), applied: new Map([["t", 3]]) } as const;

  expect(stepReplica(next, succession, NOW_MS)).toMatchObject([{ kind: "refused", reason: "differs" }]);
  // Those of what it pulled, of the same moment.
  expect([...next.applied]).toEqual([["t", 2]]);
  pull(next, old, "2");
  expect(stepReplica(next, succession, NOW_MS)).toMatchObject([{ kind: "written", rows: 0 }]);
  expect([...next.applied]).toEqual([["t", 3]]);

  // What was learned there is not learned again, and what comes then is, on the same optimizer state.
  expect(learn(next, 3, 7n)).toMatchObject([{ kind: "written", duplicate: true }]);
  expect(learn(next, 4, 7n)).toContainEqual(expect.objectContaining({ kind: "written", rows: 1, duplicate: false }));
  pull(old, next, "3");
  expect(old.store.digest()).toBe(next.store.digest());
});
