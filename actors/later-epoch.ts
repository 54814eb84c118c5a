/*
 * Whose log counts. A forced promotion is decided in the new region's copy of the log, while the old region cannot be asked; that one may
 * append to its own meanwhile. The log of the later epoch is the true one: every state manager looks for it in the regions that hold a log, and takes it in
 * place of its own.
 */
import { type SampleBatch } from "../protocols/learning/sample-batch.ts";
import { decodeSampleBatch, encodeSampleBatch } from "../protocols/learning/sample-codec.ts";
import {
  applyMessage,
  EMPTY_LOG,
  epochOfLog,
  type LogExtent,
  reaches,
  skipEntry,
  type RegionLogState,
} from "../protocols/model-state/region-log.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { type StreamMessage, type StreamProtocol } from "../runtime/stream-protocol.ts";
import { takeOn } from "./copy-stream.ts";
import { writeLeast } from "./least-log.ts";
import { type StateManagerProtocol } from "./state-manager-protocol.ts";
import { NotYet, type ShardPorts, type TakeOver } from "./take-over.ts";

const ASK_MS = 10_000;
const LOOK_MS = 2_000;
const READ_MAX = 100;
/** So many messages of samples, of which only their effect came, are left empty. */
const PADDING_MAX = 10_000;

/** A region, and how far its log has come. */
export interface FoundLog extends LogExtent {
  readonly region: string;
}

/** The region among these whose log has come furthest. Who does not answer is passed over. */
export async function findLatest(
  peers: readonly { readonly region: string; readonly manager: ActorRef<StateManagerProtocol> }[],
  { deadline }: { readonly deadline: (ms: number) => AbortSignal },
): Promise<FoundLog | undefined> {
  const answers = await Promise.allSettled(
    peers.map(async ({ region, manager }) => {
      const summary = await manager.ask("summary", {}, { signal: deadline(LOOK_MS) });
      return { region, epoch: summary.epoch, last: summary.applied };
    }),
  );
  let latest: FoundLog | undefined;
  for (const answer of answers) {
    if (answer.status === "rejected") continue;
    if (latest === undefined || !reaches(latest, answer.value)) latest = answer.value;
  }
  return latest;
}

/** The log as another region has it. */
export interface LaterLog {
  readonly log: RegionLogState;
  readonly messages: readonly StreamMessage[];
}

export async function fetchLog(
  stream: ActorRef<StreamProtocol>,
  { from, deadline }: { readonly from: string; readonly deadline: (ms: number) => AbortSignal },
): Promise<LaterLog> {
  let log = EMPTY_LOG;
  const all: StreamMessage[] = [];
  for (let isAll = false; !isAll;) {
    const request = { region: from, stream: "LOG", fromSeq: log.applied + 1, max: READ_MAX, waitMs: 0 };
    const { messages, lastSeq } = await stream.ask("read", request, { signal: deadline(ASK_MS) });
    for (const message of messages) log = applyMessage(log, message) ?? skipEntry(log, message.seq);
    all.push(...messages);
    isAll = messages.length === 0 || log.applied >= lastSeq;
  }
  return { log, messages: all };
}

/**
 * Has the own region's streams begin anew: LOG as a copy of that one, SAMPLES empty, as what is in it may be of an epoch that is over. Done in this
 * order, whatever ends in between is done again: before anything is lost it is said how far LOG must come. Nobody else may write to them meanwhile.
 */
export async function installLog(
  stream: ActorRef<StreamProtocol>,
  install: {
    readonly from: string;
    readonly to: string;
    readonly later: LaterLog;
    readonly deadline: (ms: number) => AbortSignal;
  },
): Promise<void> {
  const { later, deadline } = install;
  const { log, messages } = later;
  await writeLeast(stream, { log, deadline });
  await stream.ask("reset", { stream: "SAMPLES" }, { signal: deadline(ASK_MS) });
  await stream.ask("reset", { stream: "LOG" }, { signal: deadline(ASK_MS) });
  const copy = { ...install, stream: "LOG", last: messages.at(-1)?.seq ?? 0 };
  let held = 0;
  for (const message of messages) held = await takeOn(stream, { copy, message, held });
  await writeLeast(stream, { log, isWhole: true, deadline });
}

/** The next epoch, which no other region can choose as well: those that may be promoted take turns. */
export function nextEpoch(
  log: RegionLogState,
  { region, full }: { readonly region: string; readonly full: readonly string[] },
): number {
  const place = Math.max(0, [...full].toSorted().indexOf(region));
  const next = epochOfLog(log) + 1;
  return next + ((((place - next) % full.length) + full.length) % full.length);
}

/** Where a region would go on from by itself. */
export interface GoingOn {
  /** The last message of samples that it has, and when that was stored in the old region. */
  readonly samples: { readonly seq: number; readonly timeMs: number } | undefined;
  /** Up to which its shards' rows have learned, least and most. */
  readonly rows: { readonly least: number; readonly most: number };
}

/** What this region holds of what the lost one did. */
export async function lookAtOwn(
  { to, holdings }: Pick<TakeOver, "to" | "holdings">,
  { stream, shard, deadline }: ShardPorts & { readonly stream: ActorRef<StreamProtocol> },
): Promise<GoingOn> {
  const { message } = await stream.ask("last", { region: to, stream: "SAMPLES" }, { signal: deadline(ASK_MS) });
  const positions = await Promise.all(
    holdings.flatMap(({ shard: address, trainers }) =>
      trainers.map(async (trainer) => {
        const { applied } = await shard(address).ask("position", { trainer }, { signal: deadline(ASK_MS) });
        return applied;
      }),
    ),
  );
  return {
    samples: message === undefined ? undefined : { seq: message.seq, timeMs: message.timeMs },
    rows: { least: Math.min(...positions), most: Math.max(0, ...positions) },
  };
}

/**
 * Takes training over from a region that does not answer. Each shard begins the epoch with what it holds, on disk, and keeps the trainers' positions that came
 * with its rows. The stream of samples goes on after the copy that is here: its joiner resumes from the last message, as after a crash.
 */
export async function takeOverByForce(
  { from, to, term, epoch, holdings }: TakeOver & { readonly epoch: number },
  ports: ShardPorts & { readonly stream: ActorRef<StreamProtocol> },
): Promise<void> {
  const { stream, shard, deadline } = ports;
  await Promise.all(
    holdings.map(({ shard: address }) => shard(address).ask("lead", { epoch }, { signal: deadline(ASK_MS) })),
  );
  const { rows } = await lookAtOwn({ to, holdings }, ports);
  const { message } = await stream.ask("last", { region: to, stream: "SAMPLES" }, { signal: deadline(ASK_MS) });
  if (message === undefined && rows.most > 0) throw new NotYet(noSamples(to, from));
  const last: SampleBatch =
    message === undefined ? { keepFrom: 0, positions: [], samples: [] } : decodeSampleBatch(message.body);
  if (last.movedTo?.region === to && last.movedTo.term === term) return;
  const seq = message?.seq ?? 0;
  if (rows.most > seq + PADDING_MAX) throw new NotYet(`rows are ${rows.most - seq} messages ahead of the samples here`);
  const { keepFrom, positions } = last;
  async function append(after: number, movedTo: Pick<SampleBatch, "movedTo">): Promise<void> {
    const body = encodeSampleBatch({ keepFrom, positions, samples: [], ...movedTo });
    const request = { stream: "SAMPLES", body, expectedLastSequence: after };
    const outcome = await stream.ask("append", request, { signal: deadline(ASK_MS) });
    if (outcome.kind === "conflict") throw new NotYet("somebody else appends to the samples here");
  }
  // What rows have learned and is not here: new samples must not take its numbers, as the shards would pass over them.
  for (let after = seq; after < rows.most; after += 1) await append(after, {});
  await append(Math.max(seq, rows.most), { movedTo: { region: to, term } });
}

/** Why a region cannot go on by itself. */
export function noSamples(region: string, from: string): string {
  return `${region} has no copy of the samples of ${from}, and would learn once more from all events that are kept`;
}
