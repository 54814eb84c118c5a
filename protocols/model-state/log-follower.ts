/*
 * How a node follows the region log and appends to it. Where it keeps its region's copy of the log, it believes what it read in that copy and nothing else.
 * So what became of an append needs no guess, whether its answer says so, speaks of a conflict or never comes: the copy is read, and what waits is
 * known there by its own bytes. One append is under way at a time, and the next is made once the copy was read after it.
 *
 * The copy may be a part of what was to be written there, where a process was killed meanwhile. How far it was to come is said beside it, before
 * the first entry is (actors/least-log.ts). What does not come as far is no log: nothing is believed of it, until a region is found that has
 * come as far, and its log takes the place.
 */
import {
  applyMessage,
  wouldCount,
  EMPTY_LOG,
  encodeEntry,
  epochOfLog,
  extentOf,
  type LogEntry,
  type LogExtent,
  reaches,
  type RegionLogState,
  skipEntry,
} from "./region-log.ts";
import { logHome, type Role, roleOf } from "./role.ts";
import { sameBytes } from "../wire/bytes.ts";

/** What waits for the log, who is told that the log has it, and who that it never will. */
export interface Unsent {
  readonly entry: LogEntry;
  readonly done?: () => void;
  readonly failed?: (why: string) => void;
}

export interface LogPlace {
  readonly region: string;
  /** The region that trains before the log says which. */
  readonly first: string;
  /** Whether the region has a copy of the log, and whether this node keeps it. */
  readonly holds: boolean;
  readonly keeps: boolean;
}

export interface LogFollower {
  readonly place: LogPlace;
  log: RegionLogState;
  /** The own region's stream has been read, so that it is known what this region has to do. */
  knowsOwn: boolean;
  /** All of the log has been read. */
  caughtUp: boolean;
  /** The own region's stream may hold more than was read of it. */
  looks: boolean;
  /** How far the own stream must have come. */
  least: LogExtent;
  unsent: readonly Unsent[];
  /** The append that is under way, until it was answered, or not in time, and the stream was read after that. */
  sent: { readonly body: Uint8Array; isAnswered: boolean; isRead: boolean } | undefined;
}

/** Which part of the log to read next. */
export interface LogTurn {
  readonly region: string;
  readonly fromSeq: number;
  /** Whether to wait for a message where there is none. */
  readonly waits: boolean;
  /** Whether the own stream, where it is empty, is to be filled from another region's. */
  readonly restores: boolean;
  /** Whether the read begins after the answer to what was sent, and so tells what became of it. */
  readonly settles: boolean;
}

/** Part of the log as one region's stream has it. */
export interface LogRead {
  readonly region: string;
  readonly messages: readonly { readonly seq: number; readonly body: Uint8Array }[];
  /** Of that stream, when they were read. */
  readonly lastSeq: number;
  /** How far it must have come, where that was asked for: of the own one, with the first of a start. */
  readonly least?: LogExtent;
}

export function createLogFollower(place: LogPlace): LogFollower {
  return {
    place,
    log: EMPTY_LOG,
    knowsOwn: !place.holds,
    caughtUp: false,
    looks: place.holds,
    least: { epoch: 0, last: 0 },
    unsent: [],
    sent: undefined,
  };
}

export function followedRole({ log, place }: LogFollower): Role {
  return roleOf(log, place);
}

/** The own stream is a part of what was to be written there, as far as it was read. */
export function isPart({ knowsOwn, log, least }: LogFollower): boolean {
  return !knowsOwn && !reaches(extentOf(log), least);
}

/** Whether a log is to take the place of the own one: it is of a later epoch, or that is a part and this one has come as far as it was to. */
export function isTruer(follower: LogFollower, found: LogExtent): boolean {
  return follower.knowsOwn
    ? found.epoch > epochOfLog(follower.log)
    : isPart(follower) && reaches(found, follower.least);
}

export function nextTurn(follower: LogFollower): LogTurn {
  const { log, knowsOwn, looks, sent, place } = follower;
  const settles = sent?.isAnswered === true;
  const isLook = looks || settles;
  return {
    region: isLook ? place.region : logHome(log, place.first),
    fromSeq: log.applied + 1,
    // Of a part more may come, where another node writes it.
    waits: !isLook || isPart(follower),
    restores: !knowsOwn && log.applied === 0,
    settles,
  };
}

/** What a turn read of a stream that this node is to believe; gives what waited and was in it, and the numbers of what cannot be read. */
export function takeRead(
  follower: LogFollower,
  { settles }: LogTurn,
  { region, messages, lastSeq, least = follower.least }: LogRead,
): { readonly said: readonly Unsent[]; readonly unreadable: readonly number[] } {
  const { place, sent } = follower;
  const said: Unsent[] = [];
  const unreadable: number[] = [];
  follower.least = least;
  for (const { seq, body } of messages) {
    if (seq <= follower.log.applied) continue;
    const next = applyMessage(follower.log, { seq, body });
    if (next === undefined) unreadable.push(seq);
    follower.log = next ?? skipEntry(follower.log, seq);
    if (sent !== undefined && sameBytes(sent.body, body)) sent.isRead = true;
    const own = follower.unsent.find(({ entry }) => sameBytes(encodeEntry(entry), body));
    if (own === undefined) continue;
    said.push(own);
    follower.unsent = follower.unsent.filter((each) => each !== own);
  }
  const isAll = follower.log.applied >= lastSeq && !isPart(follower);
  if (isAll && region === place.region) {
    follower.knowsOwn = true;
    follower.looks = false;
  }
  if (isAll && region === logHome(follower.log, place.first)) follower.caughtUp = true;
  // What is not in the stream after its answer was refused, or will be where it still comes and something else was appended first.
  if (sent?.isAnswered === true && (sent.isRead || (settles && isAll))) follower.sent = undefined;
  return { said, unreadable };
}

/**
 * A turn has ended, whatever it brought. After one of another region's part the own stream is read again: of that part something may be in it now, though a
 * copy failed, and so may be what a node that was started again had sent before.
 */
export function noteTurn(follower: LogFollower, { region }: LogTurn): void {
  if (follower.place.keeps && region !== follower.place.region) follower.looks = true;
}

/** What is forced goes first: it does not wait for the log's home, which is out of reach. */
export function enqueue(follower: LogFollower, unsent: Unsent): void {
  follower.unsent = isForced(unsent.entry) ? [unsent, ...follower.unsent] : [...follower.unsent, unsent];
}

/**
 * One entry at a time, and only when the whole log is known: an append on an old view is refused, and tried again on the new one. What the log has
 * overtaken is refused here.
 */
export function nextAppend(follower: LogFollower): {
  readonly append?: { readonly body: Uint8Array; readonly expectedLastSequence: number };
  readonly refused: readonly { readonly unsent: Unsent; readonly why: string }[];
} {
  const refused: { unsent: Unsent; why: string }[] = [];
  if (follower.sent !== undefined) return { refused };
  for (let [first] = follower.unsent; first !== undefined; [first] = follower.unsent) {
    const { entry } = first;
    const why = overtaken(follower, entry);
    if (why === undefined) {
      if (!mayAppend(follower, entry)) break;
      const body = encodeEntry(entry);
      follower.sent = { body, isAnswered: false, isRead: false };
      return { append: { body, expectedLastSequence: follower.log.applied }, refused };
    }
    refused.push({ unsent: first, why });
    follower.unsent = follower.unsent.slice(1);
  }
  return { refused };
}

/** The append was answered, with whatever, or it will not be; tells whether it was read before. */
export function noteAnswer(follower: LogFollower): boolean {
  const { sent } = follower;
  if (sent === undefined) return true;
  sent.isAnswered = true;
  if (sent.isRead) follower.sent = undefined;
  return sent.isRead;
}

/** What waits and is not `kept` never gets into the log. */
export function giveUp(follower: LogFollower, kept: (entry: LogEntry) => boolean): readonly Unsent[] {
  const given = follower.unsent.filter(({ entry }) => !kept(entry));
  follower.unsent = follower.unsent.filter(({ entry }) => kept(entry));
  return given;
}

/** Another log is the true one, and the own stream is a copy of it by now, where this node keeps one. */
export function replaceLog(follower: LogFollower, log: RegionLogState): void {
  follower.log = log;
  follower.knowsOwn = true;
  follower.caughtUp = false;
  follower.looks = false;
}

export function isForced(entry: LogEntry): boolean {
  return entry.kind === "promote" && entry.epoch !== undefined;
}

function overtaken(follower: LogFollower, entry: LogEntry): string | undefined {
  const { duty, training } = followedRole(follower);
  if (isForced(entry) && duty === "trains") return `${training} trains already`;
  return wouldCount(follower.log, entry) ? undefined : "the region log has gone on meanwhile; ask again";
}

function mayAppend(follower: LogFollower, entry: LogEntry): boolean {
  if (isForced(entry)) return true;
  const { duty } = followedRole(follower);
  return follower.caughtUp && duty === (entry.kind === "training" ? "takes-over" : "trains");
}
