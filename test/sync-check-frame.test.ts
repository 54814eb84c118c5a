/*
 * Why a frame is refused whole, to the last microsecond, byte and writer; and that one just within is taken.
 */
import { beforeEach, expect, test } from "vitest";
import { NO_HORIZON } from "../protocols/sync/horizon.ts";
import { createMapRowStore } from "../protocols/sync/map-row-store.ts";
import { type ReplicaEffect } from "../protocols/sync/replica.ts";
import { parseWriterId } from "../protocols/sync/version.ts";
import { encodeFrame, type FrameInput } from "../protocols/wire/frame-codec.ts";
import { LIMITS, OURS, THEIRS, us } from "./pull-steps.ts";
import { columnsOf, PULL, ROWS, T } from "./replica-steps.ts";

/** The last time that is not too far ahead. */
const MOST = T + LIMITS.jumpMs * 1000;

beforeEach(() => us.restart());

interface Changed extends Partial<FrameInput> {
  readonly t?: number;
  readonly value?: number;
  readonly state?: number;
}

function receive({ t = T, value = 0, state = 0, ...changes }: Changed): ReplicaEffect[] {
  us.pull({});
  const body = encodeFrame({
    declaration: us.replica.declaration,
    pullId: PULL,
    answer: { responder: THEIRS, number: 1 },
    index: 0,
    frames: 2,
    hasState: true,
    replaces: false,
    tables: [ROWS],
    writers: [THEIRS],
    batches: [
      {
        ...columnsOf([{ key: 1n, t }], [0]),
        values: new Uint8Array(Float32Array.of(value).buffer),
        state: new Uint8Array(Float32Array.of(state).buffer),
      },
    ],
    end: undefined,
    ...changes,
  });
  const effects = us.step({ kind: "message", from: "b", message: "frame", body });
  us.step({ kind: "give-up", pullId: PULL });
  return effects;
}

/** The end of an answer, the last frame of two. */
function ending(change: Partial<NonNullable<FrameInput["end"]>>): Changed {
  const version = { counter: 3, generator: THEIRS };
  const end = { knowledge: new Map(), horizon: NO_HORIZON, version, early: false, applied: new Map(), ...change };
  return { index: 1, end };
}

function refused(changes: Changed): unknown {
  const before = us.replica.store.digest();
  const [effect, ...rest] = receive(changes);
  expect([rest, us.replica.store.digest()]).toEqual([[], before]);
  return effect?.kind === "refused" && effect.from === "b" ? [effect.reason, effect.detail] : effect;
}

function isTaken(changes: Changed): boolean {
  return receive(changes).some(({ kind }) => kind === "frame");
}

test("a frame of other tables, with state or without where there is none or some, or of another shape", () => {
  expect(isTaken({})).toBe(true);
  expect(refused({ declaration: "0".repeat(16) })).toEqual(["declaration", "the peer's tables differ from ours"]);
  expect(refused({ hasState: false })).toEqual(["state", "no optimizer state"]);
  expect(refused({ tables: [{ ...ROWS, stateBytes: 8 }], batches: [batchOf({ state: new Uint8Array(8) })] })).toEqual([
    "declaration",
    "rows of table 0 have another shape",
  ]);
  expect(
    refused({ tables: [{ ...ROWS, dim: 2, valueBytes: 8 }], batches: [batchOf({ values: new Uint8Array(8) })] }),
  ).toEqual(["declaration", "rows of table 0 have another shape"]);
  expect(refused({ tables: [ROWS, ROWS], batches: [{ ...batchOf({}), table: 1 }] })).toEqual([
    "declaration",
    "rows of table 1 have another shape",
  ]);
  us.restart({ store: createMapRowStore([ROWS], { state: false }) });
  expect(refused({})).toEqual(["state", "unwanted optimizer state"]);
  expect(isTaken({ hasState: false })).toBe(true);
});

test("numbers that are none name their table, and whether they are its values or its state", () => {
  for (const broken of [Number.NaN, Infinity]) {
    expect(refused({ value: broken })).toEqual(["not-finite", "values of table 'rows'"]);
    expect(refused({ state: broken })).toEqual(["not-finite", "state of table 'rows'"]);
  }
});

test("times further ahead than may be, of rows, knowledge and horizons", () => {
  const ahead = `t ${MOST + 1} of ${THEIRS} is too far ahead of our clock`;
  expect(refused({ t: MOST + 1 })).toEqual(["time", ahead]);
  expect(refused(ending({ knowledge: new Map([[THEIRS, MOST + 1]]) }))).toEqual(["time", ahead]);
  const horizon = { ...NO_HORIZON, settled: MOST + 1 };
  const expiring = { ...NO_HORIZON, expired: new Map([[0, MOST + 1]]) };
  for (const far of [horizon, expiring]) {
    expect(refused(ending({ horizon: far }))).toEqual([
      "time",
      `a horizon at t ${MOST + 1} is too far ahead of our clock`,
    ]);
  }
  expect(isTaken({ t: MOST })).toBe(true);
  us.restart();
  expect(isTaken(ending({ knowledge: new Map([[THEIRS, MOST]]) }))).toBe(true);
  expect(isTaken(ending({ horizon: { ...NO_HORIZON, settled: MOST } }))).toBe(true);
});

test("of several rows the last time of each writer is looked at", () => {
  const batch = {
    ...batchOf({}),
    keys: BigUint64Array.of(1n, 2n, 3n),
    t: Float64Array.of(T, MOST + 1, T),
    writers: Uint16Array.of(0, 1, 1),
    flags: new Uint8Array(3),
    values: new Uint8Array(12),
    state: new Uint8Array(12),
  };
  const other = parseWriterId("0.c.n.x");
  expect(refused({ writers: [THEIRS, other], batches: [batch] })).toEqual([
    "time",
    `t ${MOST + 1} of ${other} is too far ahead of our clock`,
  ]);
});

test("versions in our name that we did not make, and those that we did", () => {
  us.write(9n);
  const minted = `t ${T + 1} in our name, of which the last is ${T}`;
  expect(refused({ writers: [OURS], t: T + 1 })).toEqual(["minted", minted]);
  expect(refused(ending({ knowledge: new Map([[OURS, T + 1]]) }))).toEqual(["minted", minted]);
  expect(isTaken({ writers: [OURS], t: T })).toBe(true);
});

test("more writers than there is room for, of rows or of knowledge; those that are known take none", () => {
  const [c, d, e] = ["c", "d", "e"].map((node) => parseWriterId(`0.${node}.n.x`));
  const limits = { ...LIMITS, writersMax: 3 };
  const full = ["full", "more than 3 writers"];
  const times = new Map([c, d].map((writer) => [writer ?? OURS, T]));
  us.restart({ limits });
  // Ours and two.
  expect(isTaken({ writers: [THEIRS, c ?? OURS] })).toBe(true);
  expect(isTaken({ writers: [c ?? OURS, THEIRS] })).toBe(true);
  expect(refused({ writers: [d ?? OURS] })).toEqual(full);
  us.restart({ limits, knowledge: times });
  expect(isTaken(ending({ knowledge: new Map([...times, [THEIRS, T]]) }))).toBe(true);
  expect(us.replica.knowledge.size).toBe(2);
  expect(
    refused(
      ending({
        knowledge: new Map([
          [THEIRS, T],
          [e ?? OURS, T],
        ]),
      }),
    ),
  ).toEqual(full);
});

function batchOf(change: { readonly values?: Uint8Array; readonly state?: Uint8Array }) {
  return {
    table: 0,
    keys: BigUint64Array.of(1n),
    t: Float64Array.of(T),
    writers: Uint16Array.of(0),
    flags: Uint8Array.of(0),
    values: new Uint8Array(4),
    state: new Uint8Array(4),
    ...change,
  };
}
