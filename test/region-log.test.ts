import { expect, test } from "vitest";
import { EPOCH_MAX } from "../protocols/limits.ts";
import {
  changeMember,
  everyMember,
  memberName,
  membersNumber,
  presentMembers,
} from "../protocols/model-state/members.ts";
import { createLogFollower, isPart, nextTurn, takeRead } from "../protocols/model-state/log-follower.ts";
import {
  applyEntry,
  decodeEntry,
  EMPTY_LOG,
  encodeEntry,
  epochOfLog,
  extentOf,
  type LogEntry,
  reaches,
  type RegionLogState,
  skipEntry,
} from "../protocols/model-state/region-log.ts";
import { logHome, type Role, roleOf } from "../protocols/model-state/role.ts";
import { gradeWindow, type QualityWindow, VERDICT_DEFAULTS } from "../protocols/model-state/verdict.ts";
import { DecodeError } from "../protocols/wire/decode-error.ts";

const MEMBERSHIP = { kind: "membership", atMs: 5, regions: ["oregon", "tokyo"], training: "tokyo" } as const;
const MEMBER = { kind: "member", atMs: 5, act: "add", region: "oregon", node: "a" } as const;
const PROMOTE = { kind: "promote", atMs: 5, to: "oregon", term: 1 } as const;
const FORCED = { ...PROMOTE, epoch: 1 } as const;
const TRAINING = { kind: "training", atMs: 5, region: "oregon", term: 1 } as const;
const VERDICT = { kind: "verdict", atMs: 5, model: "clicks", from: "healthy", to: "corrupted", cause: "" } as const;

test("entries come back as they were written, and nothing that they do not have", () => {
  for (const entry of [
    MEMBERSHIP,
    MEMBER,
    { ...MEMBER, act: "retire" },
    PROMOTE,
    FORCED,
    { ...FORCED, epoch: EPOCH_MAX },
    TRAINING,
    VERDICT,
    { ...VERDICT, from: "uncertain", to: "healthy", atMs: -1.5 },
  ] as const) {
    expect(decodeEntry(encodeEntry(entry))).toStrictEqual(entry);
    expect(decodeEntry(json({ ...entry, more: 1 }))).toStrictEqual(entry);
  }
});

test("decodeEntry() reads every way to say -0 as 0", () => {
  // Damaged bytes that a law came upon: a double has no room for the exponent.
  const damaged =
    '{"kind":"membership","atMs":-1.5693781442101e-1294,"regions":["00aa0a","00a000aa"],"training":"00a000aa"}';
  for (const text of [damaged, damaged.replace("-1.5693781442101e-1294", "-0")]) {
    const entry = decodeEntry(new TextEncoder().encode(text));
    // toEqual() tells -0 from 0.
    expect(entry).toEqual({ kind: "membership", atMs: 0, regions: ["00aa0a", "00a000aa"], training: "00a000aa" });
    expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
  }
});

const NO_NAMES = [undefined, null, 1, "", "A", "a.b", ["a"]];
const NO_TERMS = [undefined, null, "1", 0, -1, 1.5, 2 ** 53];

/** An entry, one of its fields, what is wrong there, and what is said. */
const WRONG: readonly (readonly [entry: LogEntry, field: string, values: readonly unknown[], reason: string])[] = [
  [VERDICT, "kind", [undefined, "verdicts", 1], "its kind is unknown"],
  [VERDICT, "atMs", [undefined, null, "5", true], "atMs is no number"],
  [
    MEMBERSHIP,
    "regions",
    [undefined, "oregon", {}, ["oregon", "tokyo", "B"], ["tokyo", 1]],
    "regions is no list of names",
  ],
  [MEMBERSHIP, "training", [undefined, 1, "paris", ""], "training is no region of the list"],
  [MEMBER, "act", [undefined, "", "remove"], "a change of members lacks a field"],
  [MEMBER, "region", NO_NAMES, "a change of members lacks a field"],
  [MEMBER, "node", NO_NAMES, "a change of members lacks a field"],
  [PROMOTE, "to", NO_NAMES, "a promotion lacks a field"],
  [PROMOTE, "term", NO_TERMS, "a promotion lacks a field"],
  [FORCED, "epoch", [...NO_TERMS.slice(1), EPOCH_MAX + 1], "a promotion's epoch is no epoch"],
  [TRAINING, "region", NO_NAMES, "a start of training lacks a field"],
  [TRAINING, "term", NO_TERMS, "a start of training lacks a field"],
  [VERDICT, "model", NO_NAMES, "a verdict lacks a field"],
  [VERDICT, "from", [undefined, "", "well", 1], "a verdict lacks a field"],
  [VERDICT, "to", [undefined, "", "well", 1], "a verdict lacks a field"],
  [VERDICT, "cause", [undefined, null, 1], "a verdict lacks a field"],
];

test.each(WRONG)("an entry is refused: %j with another %s", (entry, field, values, reason) => {
  for (const value of values) expect(reasonOf(json({ ...entry, [field]: value }))).toBe(reason);
});

test("what is no JSON, no UTF-8 or no object is no entry, and the error says of what", () => {
  expect(reasonOf(new TextEncoder().encode("{"))).toBe("it is no JSON");
  expect(reasonOf(Uint8Array.of(0x22, 0xff, 0x22))).toBe("it is no JSON");
  for (const value of [null, 1, "a"]) expect(reasonOf(json(value))).toBe("it is no object");
  expect(() => decodeEntry(json(1))).toThrow("Cannot decode an entry of the region log: it is no object");
  expect(reasonOf(new TextEncoder().encode('{"kind":"verdict","atMs":1e999}'))).toBe("atMs is no number");
});

/** The log after these entries, the first of which has the number 1. */
function logOf(...entries: readonly LogEntry[]): RegionLogState {
  let state = EMPTY_LOG;
  for (const [at, entry] of entries.entries()) state = applyEntry(state, at + 1, entry);
  return state;
}

test("an entry that was applied changes nothing again, one that cannot be read is passed over", () => {
  const state = logOf(MEMBERSHIP, VERDICT);
  expect(state).toMatchObject({ applied: 2, membership: MEMBERSHIP });
  expect(state.verdicts).toEqual(new Map([["clicks", VERDICT]]));
  expect(applyEntry(state, 2, MEMBER)).toBe(state);
  expect(skipEntry(state, 2)).toBe(state);
  expect(skipEntry(state, 3)).toEqual({ ...state, applied: 3 });
});

test("a promotion counts as the next one after the last has ended, and its training as its own", () => {
  expect(logOf(PROMOTE).promotion).toEqual({ ...PROMOTE, seq: 1 });
  expect(logOf({ ...PROMOTE, term: 2 })).toEqual({ ...EMPTY_LOG, applied: 1 });
  const second = { ...PROMOTE, to: "tokyo", term: 2 } as const;
  // The first still runs.
  expect(logOf(PROMOTE, second).promotion?.term).toBe(1);
  expect(logOf(PROMOTE, { ...TRAINING, region: "tokyo" }).training).toBeUndefined();
  expect(logOf(PROMOTE, { ...TRAINING, term: 2 }).training).toBeUndefined();
  expect(logOf(TRAINING).training).toBeUndefined();
  const ended = logOf(PROMOTE, TRAINING);
  expect(ended.training).toEqual(TRAINING);
  expect(applyEntry(ended, 3, { ...TRAINING, atMs: 9 }).training).toEqual(TRAINING);
  expect(applyEntry(ended, 3, second).promotion).toEqual({ ...second, seq: 3 });
  expect(applyEntry(ended, 3, { ...second, term: 1 }).promotion?.term).toBe(1);
});

test("a forced promotion counts while another runs, if its epoch is later", () => {
  expect(epochOfLog(EMPTY_LOG)).toBe(0);
  const forced = { ...FORCED, term: 2, epoch: 3 } as const;
  const state = logOf(PROMOTE, forced);
  expect([state.promotion, epochOfLog(state)]).toEqual([{ ...forced, seq: 2 }, 3]);
  expect(applyEntry(state, 3, { ...forced, term: 3 })).toEqual({ ...state, applied: 3 });
  expect(epochOfLog(applyEntry(state, 3, { ...forced, term: 3, epoch: 4 }))).toBe(4);
  // One that is not forced keeps the epoch.
  const trained = applyEntry(state, 3, { ...TRAINING, term: 2 });
  expect(applyEntry(trained, 4, { ...PROMOTE, term: 3 })).toMatchObject({ epoch: 3, promotion: { term: 3 } });
});

test("who trains, hands over, takes over and follows, before, while and after training moves", () => {
  function at(region: string, ...entries: readonly LogEntry[]): Role {
    return roleOf(logOf(...entries), { region, first: "tokyo" });
  }
  expect(at("tokyo")).toEqual({ duty: "trains", training: "tokyo", term: 0, epoch: 0 });
  expect(at("oregon").duty).toBe("follows");
  expect(at("oregon", { ...MEMBERSHIP, training: "oregon" })).toMatchObject({ duty: "trains", training: "oregon" });
  expect(["tokyo", "oregon", "paris"].map((region) => at(region, PROMOTE))).toEqual(
    ["hands-over", "takes-over", "follows"].map((duty) => ({
      duty,
      training: "tokyo",
      term: 1,
      next: "oregon",
      epoch: 0,
    })),
  );
  expect(["tokyo", "oregon", "paris"].map((region) => at(region, FORCED).duty)).toEqual([
    "follows",
    "takes-over",
    "follows",
  ]);
  expect(["tokyo", "oregon"].map((region) => at(region, PROMOTE, TRAINING))).toEqual(
    ["follows", "trains"].map((duty) => ({ duty, training: "oregon", term: 1, epoch: 0 })),
  );
  expect([logHome(EMPTY_LOG, "tokyo"), logHome(logOf(PROMOTE), "tokyo")]).toEqual(["tokyo", "oregon"]);
});

test("a log has come as far as another that is of an earlier epoch, however long, or of its own and no longer", () => {
  const log = extentOf(logOf(FORCED, TRAINING));
  expect(log).toEqual({ epoch: 1, last: 2 });
  for (const [epoch, last, isReached] of [
    [0, 9, true],
    [1, 2, true],
    [1, 3, false],
    [2, 1, false],
  ] as const) {
    expect(reaches(log, { epoch, last })).toBe(isReached);
  }
});

test("of an own log that is a part of a copy nothing is believed, and what another node may add is waited for", () => {
  const follower = createLogFollower({ region: "tokyo", first: "tokyo", holds: true, keeps: true });
  const first = nextTurn(follower);
  expect(first).toMatchObject({ region: "tokyo", fromSeq: 1, waits: false, restores: true });
  const messages = [{ seq: 1, body: encodeEntry(PROMOTE) }];
  takeRead(follower, first, { region: "tokyo", messages, lastSeq: 1, least: { epoch: 0, last: 2 } });
  expect([isPart(follower), follower.knowsOwn, follower.caughtUp]).toEqual([true, false, false]);
  const next = nextTurn(follower);
  expect(next).toMatchObject({ region: "tokyo", fromSeq: 2, waits: true, restores: false });
  takeRead(follower, next, { region: "tokyo", messages: [{ seq: 2, body: encodeEntry(TRAINING) }], lastSeq: 2 });
  expect([isPart(follower), follower.knowsOwn]).toEqual([false, true]);
});

test("members are listed in order of name, with the number of the entry that changed them last", () => {
  let members = EMPTY_LOG.members;
  for (const [act, node, seq] of [
    ["add", "b", 3],
    ["add", "a", 4],
    ["retire", "b", 7],
    ["add", "a", 8],
    ["retire", "c", 9],
  ] as const) {
    members = changeMember(members, { act, region: "oregon", node, seq });
  }
  expect(everyMember(members)).toEqual([
    { region: "oregon", node: "a", since: 4, isRetired: false },
    { region: "oregon", node: "b", since: 7, isRetired: true },
  ]);
  expect(presentMembers(members).map(memberName)).toEqual(["oregon/a"]);
  expect([membersNumber(EMPTY_LOG.members), membersNumber(members)]).toEqual([0, 7]);
});

test("a window is judged from just as many samples on, and by limits that it must be beyond, or reach", () => {
  const limits = {
    ...VERDICT_DEFAULTS,
    samplesMin: 10,
    logLossPoor: 0.25,
    logLossBad: 0.5,
    calibrationPoor: 0.5,
    calibrationBad: 2,
  };
  const baseline = { samples: 10, nonFiniteShare: 0, logLoss: 1 };
  function grade(model: Partial<QualityWindow>, against: QualityWindow | undefined = baseline): string {
    const window = { samples: 10, nonFiniteShare: 0, ...model };
    return gradeWindow(against === undefined ? { model: window } : { model: window, baseline: against }, limits).grade;
  }
  expect(["silent", "good"]).toEqual([grade({ samples: 9, logLoss: 9 }), grade({})]);
  expect([1.25, 1.375, 1.5].map((logLoss) => grade({ logLoss }))).toEqual(["good", "poor", "bad"]);
  // A baseline of too few samples says nothing.
  expect(grade({ logLoss: 9 }, { ...baseline, samples: 9 })).toBe("good");
  expect([1, 2, 0.5, 8, 1 / 8, 0, Infinity].map((calibration) => grade({ calibration }))).toEqual([
    "good",
    "poor",
    "poor",
    "bad",
    "bad",
    "bad",
    "bad",
  ]);
  expect([0, 0.001, limits.nonFiniteBad].map((nonFiniteShare) => grade({ nonFiniteShare, samples: 0 }))).toEqual([
    "silent",
    "poor",
    "bad",
  ]);
  const broken = gradeWindow({ model: { samples: 10, nonFiniteShare: 0, calibration: 0 } }, limits);
  expect(broken).toStrictEqual({ grade: "bad", cause: { kind: "calibration", limit: 2 } });
});

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function reasonOf(bytes: Uint8Array): string | undefined {
  try {
    decodeEntry(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return error.reason;
    throw error;
  }
}
