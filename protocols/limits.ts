/*
 * Every bound of the protocol in one place. Full is an answer, not a wait: each of these is refused or counted where it is reached.
 */

/** The last usable microsecond count: above it doubles lose whole numbers too soon for a clock that must still count up. */
export const T_MAX = 2 ** 53 - 2 ** 20;

/** The last epoch: a number above `T_MAX` that still counts is an epoch where a t is written. */
export const EPOCH_MAX = 2 ** 20 - 1;

/** What a shard replica holds, sends and accepts. */
export const SYNC_LIMITS = {
  /** An incoming t may lie this far ahead of the receiver's clock. Guards against poisoned times, not against skew. */
  jumpMs: 24 * 60 * 60 * 1000,
  /** Entries of one knowledge, and writers one shard replica has ever heard of. */
  writersMax: 2048,
  tablesMax: 64,
  /** A row with its state must fit one frame. */
  rowBytesMax: 512 * 1024,
  /** A frame is cut at this size, counted by the largest its rows can become. */
  frameBytes: 384 * 1024,
  /** No frame is larger; a larger one is refused unread. NATS carries 1 MiB. */
  frameBytesMax: 900 * 1024,
  /** Frames of one answer. */
  framesMax: 1_000_000,
  /** Bytes of a full copy's frames, which wait in memory until all of them are there. A region node's shards take what their tables may hold. */
  copyBytesMax: 4 * 2 ** 30,
  /** Frames in flight, and the most that one request may ask for again. */
  windowFrames: 4,
  /** Answers kept open by one shard replica, at least two: beyond it the last gives way, and those before it come to their end. */
  answersMax: 64,
  /** An answer that nobody asked for during one to two of these is closed. */
  answerIdleMs: 20_000,
  /** Standing pulls kept by one shard replica, one of each asker; beyond it the oldest is forgotten. */
  heldMax: 256,
  /** A pull without progress asks again after this long. */
  retryMs: 1_000,
  /** And gives up after so many tries without progress; */
  retriesMax: 5,
  /** after so many where all that it may ask for has come. */
  waitsMax: 30,
  /** Trainers whose highest batch one shard remembers: many more than a model ever has, with all numbers of them. */
  trainersMax: 1024,
  /** The primary settles what it can once its knowledge has more entries than this, or a deleted row is held. */
  entriesKept: 8,
  /** Rows in the update cache of one shard; beyond it older ones leave, and pulls from before them scan the shard. */
  cacheRowsMax: 65_536,
  /** How long a row stays cached after it is known: at the start, and the bounds within which the hit rate tunes it. */
  cacheAgeMs: 60_000,
  cacheAgeMsMin: 5_000,
  cacheAgeMsMax: 1_800_000,
  /** Rows in the urgent list of one shard; beyond it the oldest leave, and travel as any other. */
  urgentRowsMax: 1_024,
  /** On a congested link an ordinary pull is held back for urgent rows at most this long in all. */
  urgentHoldMs: 2_000,
  /** Rows of a table that go at once where it is over its budget: so many, or this share, which takes as long to drop as all take to be looked at. */
  evictRowsMax: 4_096,
  evictShare: 1 / 128,
  /** The share of a budget that is free in the end. */
  evictSlack: 0.05,
  /** A row still early after one to two of these is reported to the shard's primary. */
  orphanMs: 60_000,
  /** Rows in one report, and the most that a primary writes anew in one `orphanMs`. */
  orphansMax: 256,
} as const;

/** Bounds in the shape of `SYNC_LIMITS`: simulated worlds run with small ones. */
export type SyncLimits = Readonly<Record<keyof typeof SYNC_LIMITS, number>>;

/** What goes over one link between regions at once. */
export const LINK_LIMITS = {
  /** Frames in flight before anything is measured, and the most ever: servers drop a connection that 64 MiB wait for. */
  framesAtFirst: 2,
  framesMin: 1,
  framesMax: 64,
  /** What a frame of an answer takes, before any came. */
  frameBytes: SYNC_LIMITS.frameBytes,
  /** How long frames may queue: so long, or this share of the way without a queue where that is longer. */
  slackMs: 10,
  slackShare: 0.25,
  /** The length of the way is measured anew after this long. */
  baseMs: 10_000,
  /** The first answer of a pull over a link in use. */
  openingBytes: 16 * 1024,
  /** The same over a link of which nothing is known yet: a shard's few hundred rows come at once, and at 10 kB/s before the tries are over. */
  unknownBytes: 64 * 1024,
  /** What opens a pull should take no longer than this: half of `retryMs`, after which it is asked for again. */
  openingMs: SYNC_LIMITS.retryMs / 2,
  /** Frames that come unasked over an idle link, once it is known to be quick. */
  openingFramesMax: SYNC_LIMITS.windowFrames,
  /** Pulls that run at once, long ones aside. Many changed shards over a long link want many: a pull is two crossings. */
  pullsMax: 64,
  /** An answer of more frames than this after its first is long. */
  shortFramesMax: 8,
  /** Long pulls that run at once. */
  longMax: 2,
  /** Pulls left standing at once; what they are expected to bring together fits the window, or what openings may take. */
  standingMax: 1024,
  /** One that has stood for so long gives way to another that wants its room; 0: none is left standing. */
  standMs: 10_000,
} as const;

/** Bounds in the shape of `LINK_LIMITS`. */
export type LinkLimits = Readonly<Record<keyof typeof LINK_LIMITS, number>>;

/** What the poll between nodes may cost. */
export const POLL_LIMITS = {
  ...LINK_LIMITS,
  /** Shards in one answer; the rest follows in the next. */
  changesMax: 1000,
  /** How long the answering node holds a poll that has nothing to report. */
  waitMs: 5_000,
  /** The asking node gives up on a poll this much after `waitMs`, and asks again. */
  graceMs: 1_000,
  /** Answers to one neighbour keep this distance, so that updates coalesce. */
  gapMs: 50,
  /** A failed pull is tried again after this long, doubled with each failure up to the maximum. */
  backoffMs: 250,
  backoffMsMax: 10_000,
  /** A pull of which nothing comes for this long is over; one that lasts this long gives way to another peer, the next one after twice that. */
  pullMs: 60_000,
  /** Who was passed over so often for a better peer of the same shard is not passed over again. */
  passesMax: 2,
  /** What is listed while a pull stands is expected of it for this long, and then asked for. */
  standPatienceMs: 1_000,
  /** What is left to a shard's leader is pulled after all when the leader has not brought it after this long. */
  patienceMs: 5_000,
  /** A node that leads no shard asks other regions so often, all of them together. */
  farPollMs: 1_000,
  shardNameCharsMax: 160,
  /** Nodes that poll one node, those that did lately. */
  peersMax: 256,
} as const;

/** Bounds in the shape of `POLL_LIMITS`. */
export type PollLimits = Readonly<Record<keyof typeof POLL_LIMITS, number>>;

/** What an image on disk may hold. */
export const IMAGE_LIMITS = {
  /** Rows are cut into blocks of about so many bytes: one is packed between two messages. */
  blockBytes: 128 * 1024,
  /** Blocks are put together until there are so many bytes, and stored as one. */
  storedBlockBytes: 512 * 1024,
  /** No stored block is larger. */
  blockBytesMax: 4 * 1024 * 1024,
  /** Blocks of one segment. */
  blocksMax: 2 ** 22,
  /** What a segment says of itself behind its blocks. */
  endBytesMax: 64 * 1024 * 1024,
  /** Segments of one image: a whole one, and the increments after it. */
  segmentsMax: 256,
  /** Increments are followed by a whole segment once they have this share of its bytes, and at least `incrementBytes`. */
  incrementShare: 0.5,
  incrementBytes: 256 * 1024,
  /** Stored blocks are read together until there are so many bytes. */
  readBytes: 2 * 1024 * 1024,
} as const;
