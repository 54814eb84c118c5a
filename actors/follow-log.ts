import { memberName } from "../protocols/model-state/members.ts";
import {
  EMPTY_LOG,
  extentOf,
  type LogEntry,
  reaches,
  type RegionLogState,
} from "../protocols/model-state/region-log.ts";
import { type LogRead, type LogTurn } from "../protocols/model-state/log-follower.ts";
import { type ActorRef } from "../runtime/actor.ts";
import { type StreamProtocol } from "../runtime/stream-protocol.ts";
import { copyStream } from "./copy-stream.ts";
import { fetchLog, type LaterLog } from "./later-epoch.ts";
import { readLeast, writeLeast } from "./least-log.ts";
import { type StateManagerConfig } from "./state-manager.ts";

/**
 * Carries out one turn of reading; absent where it was of another region's part, which is in the own stream then. Of one epoch all that regions hold are
 * beginnings of one log. Where the own one is empty, and not because it was to be begun anew, this is the first start of all, or what was there is lost:
 * then nothing is known before every region that may hold the log was read. `signal` ends the wait for what is not there yet.
 */
export function createLogReader(
  config: StateManagerConfig,
  { stream, deadline }: { readonly stream: ActorRef<StreamProtocol>; readonly deadline: (ms: number) => AbortSignal },
): (turn: LogTurn, signal: AbortSignal) => Promise<LogRead | undefined> {
  async function read(
    region: string,
    {
      fromSeq,
      waitMs = 0,
      signals = [],
    }: { readonly fromSeq: number; readonly waitMs?: number; readonly signals?: AbortSignal[] },
  ): Promise<LogRead> {
    const request = { region, stream: "LOG", max: READ_MAX, fromSeq, waitMs };
    const signal = AbortSignal.any([deadline(waitMs + ASK_MS), ...signals]);
    const { messages, lastSeq } = await stream.ask("read", request, { signal });
    return { region, messages, lastSeq };
  }

  /** Another region's part of the log, or, where this node keeps the own stream, nothing once that has it too. */
  async function keep(part: LogRead, last: number): Promise<LogRead | undefined> {
    if (!config.mayTrain || last === 0) return part;
    await copyStream(stream, { stream: "LOG", from: part.region, to: config.region, last, deadline });
    return undefined;
  }

  return async ({ region, fromSeq, waits, restores }, signal) => {
    const part = await read(region, { fromSeq, ...(waits && { waitMs: READ_WAIT_MS, signals: [signal] }) });
    if (region !== config.region) return keep(part, part.messages.at(-1)?.seq ?? 0);
    if (!restores) return part;
    const { least, wasWhole = true } = (await readLeast(stream, { deadline })) ?? {};
    const own = least === undefined ? part : { ...part, least };
    if (part.messages.length > 0 || !wasWhole) return own;
    let latest: LogRead & Pick<LaterLog, "log"> = { ...part, log: EMPTY_LOG };
    for (const other of config.full.filter((each) => each !== config.region)) {
      const { log, messages } = await fetchLog(stream, { from: other, deadline });
      if (reaches(extentOf(latest.log), extentOf(log))) continue;
      latest = { region: other, messages, lastSeq: log.applied, log };
    }
    const { log, ...theirs } = latest;
    if (log.applied === 0 || (least !== undefined && !reaches(extentOf(log), least))) return own;
    if (config.mayTrain) await writeLeast(stream, { log, deadline });
    const kept = await keep(theirs, log.applied);
    if (config.mayTrain) await writeLeast(stream, { log, isWhole: true, deadline });
    return kept;
  };
}

const ASK_MS = 10_000;
const READ_WAIT_MS = 5_000;
const READ_MAX = 100;

/** Whether the log's membership is what the config says; where it differs, the config of the training region is the newer word. */
function sameMembership({ membership }: RegionLogState, config: StateManagerConfig): boolean {
  return (
    membership !== undefined &&
    membership.training === config.training &&
    membership.regions.join(" ") === config.regions.join(" ")
  );
}

/** What the config says and the log does not: which region trains, and who is a member. Whom the log retired stays so. */
export function unsaid(
  log: RegionLogState,
  { config, atMs }: { readonly config: StateManagerConfig; readonly atMs: number },
): LogEntry[] {
  const { regions, training, nodes } = config;
  return [
    ...(sameMembership(log, config) ? [] : [{ kind: "membership", atMs, regions, training } as const]),
    ...nodes
      .filter((each) => !log.members.has(memberName(each)))
      .map(({ region, node }) => ({ kind: "member", atMs, act: "add", region, node }) as const),
  ];
}
